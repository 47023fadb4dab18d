/* extent_list.c - see extent_list.h.
 *
 * Invariants: items[0].section_offset is 0; each item begins where the previous one ends; no item is empty; offsets and
 * lengths are multiples of the block, except in lists that a caller cuts at other places; no item continues its
 * predecessor in the file (they would be one item). A plain value without a lock; only appending can fail, for want of
 * memory, and leaves the list as it was.
 */
#include "storage/frame/extent_list.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"

rhumb_status rhumb__extent_list_append(rhumb__extent_list *list, uint64_t file_offset, uint64_t bytes) {
    if (bytes == 0) return RHUMB_OK;
    if (list->count > 0) {
        rhumb__extent_item *last = &list->items[list->count - 1];
        if (last->file_offset + last->bytes == file_offset) {
            last->bytes += bytes;
            list->bytes += bytes;
            return RHUMB_OK;
        }
    }
    if (list->count == list->capacity) {
        const uint32_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        rhumb__extent_item *items = rhumb__alloc_resize(list->items, capacity, sizeof *items);
        if (items == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u extents", capacity);
        list->items = items;
        list->capacity = capacity;
    }
    RHUMB_ASSERT_DEBUG(list->count > 0 || list->bytes == 0);
    list->items[list->count++] = (rhumb__extent_item){list->bytes, file_offset, bytes};
    list->bytes += bytes;
    return RHUMB_OK;
}

const rhumb__extent_item *rhumb__extent_list_find(const rhumb__extent_list *list, uint64_t section_offset) {
    RHUMB_ASSERT(section_offset < list->bytes);
    uint32_t low = 0;
    uint32_t high = list->count;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (list->items[middle].section_offset <= section_offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    RHUMB_ASSERT_DEBUG(section_offset - list->items[low].section_offset < list->items[low].bytes);
    return &list->items[low];
}

rhumb_status rhumb__extent_list_append_range(rhumb__extent_list *list, const rhumb__extent_list *source,
                                             uint64_t section_offset, uint64_t bytes) {
    if (bytes == 0) return RHUMB_OK;
    RHUMB_ASSERT(section_offset + bytes <= source->bytes);
    const rhumb__extent_item *item = rhumb__extent_list_find(source, section_offset);
    while (bytes > 0) {
        const uint64_t skipped_bytes = section_offset - item->section_offset;
        const uint64_t run_bytes = rhumb__min_u64(bytes, item->bytes - skipped_bytes);
        rhumb_status status = rhumb__extent_list_append(list, item->file_offset + skipped_bytes, run_bytes);
        if (status != RHUMB_OK) return status;
        section_offset += run_bytes;
        bytes -= run_bytes;
        item++;
    }
    return RHUMB_OK;
}

rhumb__extent rhumb__extent_list_run(const rhumb__extent_list *list, uint64_t section_offset, uint64_t bytes_max) {
    const rhumb__extent_item *item = rhumb__extent_list_find(list, section_offset);
    const uint64_t skipped_bytes = section_offset - item->section_offset;
    return (rhumb__extent){item->file_offset + skipped_bytes, rhumb__min_u64(bytes_max, item->bytes - skipped_bytes)};
}

bool rhumb__extent_list_is_contiguous(const rhumb__extent_list *list, uint64_t section_offset, uint64_t bytes) {
    RHUMB_ASSERT_DEBUG(section_offset + bytes <= list->bytes);
    const rhumb__extent_item *item = rhumb__extent_list_find(list, section_offset);
    return section_offset + bytes <= item->section_offset + item->bytes;
}

rhumb_status rhumb__extent_list_read(const rhumb__extent_list *list, rhumb__io *io, uint64_t section_offset,
                                     uint64_t bytes, uint8_t *target) {
    RHUMB_ASSERT_DEBUG(section_offset + bytes <= list->bytes);
    while (bytes > 0) {
        const rhumb__extent run = rhumb__extent_list_run(list, section_offset, bytes);
        const rhumb_status status = rhumb__io_read(io, target, run.bytes, run.file_offset);
        if (status != RHUMB_OK) return status;
        target += run.bytes;
        section_offset += run.bytes;
        bytes -= run.bytes;
    }
    return RHUMB_OK;
}

void rhumb__extent_list_clear(rhumb__extent_list *list) {
    rhumb__free(list->items);
    *list = (rhumb__extent_list){0};
}
