/* patches.c - see patches.h.
 *
 * The area is a sequence of patches, each a header and the bytes that it replaces, in the order in which they were
 * made. Any bytes may be in it: the checksum is compared first, and each header is checked before its bytes are used.
 * Memory is taken for what the file has, at most RHUMB__PATCH_AREA_BYTES_MAX. Holds no state and no lock; on failure
 * the caller clears what has been allocated.
 *
 * The patches are sorted by section and chunk, so that those of a chunk are found without looking at the others.
 */
#include "storage/frame/patches.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

static const rhumb__patch_target *find_target(const rhumb__patch_target *targets, uint32_t target_count, uint32_t id) {
    for (uint32_t i = 0; i < target_count; i++) {
        if (targets[i].section_id == id) return &targets[i];
    }
    return NULL;
}

/* Whether the patch consists of units of one chunk of `target` and begins before the end of the rows. */
static bool fits(const rhumb__patch_header *header, const rhumb__patch_target *target) {
    const uint64_t unit_bytes = target->chunk_bytes / RHUMB__PATCH_UNIT_COUNT;
    if (header->bytes == 0 || header->bytes % unit_bytes != 0 || header->section_offset % unit_bytes != 0) return false;
    if (header->section_offset >= target->published_bytes || header->bytes > target->chunk_bytes) return false;
    /* The last unit may have room for rows after the published ones. */
    const uint64_t last_byte = header->section_offset + header->bytes - unit_bytes;
    return last_byte < target->published_bytes &&
           header->section_offset / target->chunk_bytes == last_byte / target->chunk_bytes;
}

static int compare_patches(const void *a, const void *b) {
    const rhumb__patch *left = a;
    const rhumb__patch *right = b;
    if (left->section_id != right->section_id) return left->section_id < right->section_id ? -1 : 1;
    if (left->chunk != right->chunk) return left->chunk < right->chunk ? -1 : 1;
    return (left->data > right->data) - (left->data < right->data);
}

static rhumb_status add_item(rhumb__patches *patches, uint32_t *capacity, const rhumb__patch *item) {
    if (patches->count == *capacity) {
        const uint32_t wanted = *capacity == 0 ? 64 : *capacity * 2;
        rhumb__patch *items = rhumb__alloc_resize(patches->items, wanted, sizeof *items);
        if (items == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u patches", wanted);
        patches->items = items;
        *capacity = wanted;
    }
    patches->items[patches->count++] = *item;
    return RHUMB_OK;
}

rhumb_status rhumb__patches_parse(const rhumb__io *io, uint64_t area_offset, const rhumb__patch_target *targets,
                                  uint32_t target_count, rhumb__patches *patches) {
    rhumb_status status = RHUMB_OK;
    uint32_t capacity = 0;
    for (uint64_t at = 0; at < patches->area_bytes;) {
        rhumb__patch_header header = {0};
        const uint64_t rest_bytes = patches->area_bytes - at;
        if (rest_bytes >= sizeof header) memcpy(&header, patches->area + at, sizeof header);
        const rhumb__patch_target *target = find_target(targets, target_count, header.section_id);
        if (rest_bytes < sizeof header || target == NULL || !fits(&header, target) ||
            header.bytes > rest_bytes - sizeof header) {
            status = rhumb__fail_at(
                RHUMB_E_CORRUPT, io->path, area_offset + at,
                "patch: %u bytes at byte %llu of section %u, in the last %llu of %llu bytes of patches, are not whole "
                "units of one chunk of a mutable section",
                header.bytes, (unsigned long long)header.section_offset, header.section_id,
                (unsigned long long)rest_bytes, (unsigned long long)patches->area_bytes);
            goto done;
        }
        const rhumb__patch item = {.section_id = header.section_id,
                                   .bytes = header.bytes,
                                   .section_offset = header.section_offset,
                                   .chunk = header.section_offset / target->chunk_bytes,
                                   .data = patches->area + at + sizeof header};
        RHUMB_TRY(add_item(patches, &capacity, &item));
        at += sizeof header + header.bytes;
    }
done:
    if (patches->count > 0) qsort(patches->items, patches->count, sizeof *patches->items, compare_patches);
    return status;
}

rhumb_status rhumb__patches_check(const rhumb__io *io, uint64_t area_offset, uint32_t crc,
                                  const rhumb__patches *patches) {
    const uint32_t found = rhumb__crc32c(0, patches->area, patches->area_bytes);
    if (found == crc) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, io->path, area_offset,
                          "checksum of the patches: expected 0x%08x, found 0x%08x", crc, found);
}

static rhumb_status read_area(rhumb__io *io, const rhumb__directory *directory, rhumb__patches *patches) {
    rhumb_status status;
    uint64_t file_bytes = 0;
    const uint64_t offset = directory->patch_offset;
    const uint64_t bytes = directory->patch_bytes;
    /* The file may be cut short: memory is taken only for what it has. */
    RHUMB_TRY(rhumb__io_size(io, &file_bytes));
    if (offset > file_bytes || bytes > file_bytes - offset) {
        status = rhumb__fail_at(RHUMB_E_TRUNCATED, io->path, offset,
                                "%llu bytes of patches expected here, the file has %llu in all",
                                (unsigned long long)bytes, (unsigned long long)file_bytes);
        goto done;
    }
    patches->area = rhumb__alloc_aligned(bytes, 1, 64);
    if (patches->area == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu bytes of patches", (unsigned long long)bytes);
        goto done;
    }
    patches->area_bytes = bytes;
    RHUMB_TRY(rhumb__io_read(io, patches->area, bytes, offset));
done:
    return status;
}

/* The mutable sections of a directory. */
static uint32_t list_targets(const rhumb__directory *directory, rhumb__patch_target *targets) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < directory->section_count; i++) {
        const rhumb__section_record *record = &directory->entries[i].record;
        if (record->kind != RHUMB__SECTION_MUTABLE) continue;
        targets[count++] = (rhumb__patch_target){.section_id = record->id,
                                                 .chunk_bytes = record->chunk_bytes,
                                                 .published_bytes = record->row_count * record->row_stride_bytes};
    }
    return count;
}

rhumb_status rhumb__patches_read(rhumb__io *io, const rhumb__directory *directory, rhumb__patches *patches) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_target targets[RHUMB__SECTION_COUNT_MAX];
    const uint32_t target_count = list_targets(directory, targets);
    RHUMB_ASSERT_DEBUG(patches->area == NULL && patches->count == 0);
    if (directory->patch_bytes == 0) return RHUMB_OK;
    RHUMB_TRY(read_area(io, directory, patches));
    RHUMB_TRY(rhumb__patches_check(io, directory->patch_offset, directory->patch_crc, patches));
    RHUMB_TRY(rhumb__patches_parse(io, directory->patch_offset, targets, target_count, patches));
    if (patches->count != directory->patch_count) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, directory->patch_offset,
                                "number of patches: expected %u, found %u", directory->patch_count, patches->count);
    }
done:
    return status;
}

rhumb_status rhumb__patches_salvage(rhumb__io *io, const rhumb__directory *directory, rhumb__patches *patches,
                                    bool *damaged_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_target targets[RHUMB__SECTION_COUNT_MAX];
    const uint32_t target_count = list_targets(directory, targets);
    rhumb_error before;
    rhumb__error_save(&before);
    *damaged_out = false;
    if (directory->patch_bytes == 0) return RHUMB_OK;
    RHUMB_TRY(read_area(io, directory, patches));
    *damaged_out = rhumb__patches_check(io, directory->patch_offset, directory->patch_crc, patches) != RHUMB_OK;
    status = rhumb__patches_parse(io, directory->patch_offset, targets, target_count, patches);
    *damaged_out = *damaged_out || status == RHUMB_E_CORRUPT || patches->count != directory->patch_count;
    if (status == RHUMB_E_CORRUPT) status = RHUMB_OK;
    if (status == RHUMB_OK) rhumb__error_restore(&before);
done:
    return status;
}

/* The index of the first patch of that chunk or a later one. */
static uint32_t lower_bound(const rhumb__patches *patches, uint32_t section_id, uint64_t chunk) {
    uint32_t low = 0;
    uint32_t high = patches->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const rhumb__patch *item = &patches->items[middle];
        if (item->section_id < section_id || (item->section_id == section_id && item->chunk < chunk)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t rhumb__patches_find(const rhumb__patches *patches, uint32_t section_id, const rhumb__patch **first_out) {
    uint32_t count = 0;
    const uint32_t first = lower_bound(patches, section_id, 0);
    while (first + count < patches->count && patches->items[first + count].section_id == section_id) count++;
    *first_out = patches->items + first;
    return count;
}

void rhumb__patches_apply(const rhumb__patches *patches, uint32_t section_id, uint64_t chunk, uint64_t section_offset,
                          uint64_t bytes, uint8_t *target) {
    const uint64_t end = section_offset + bytes;
    for (uint32_t i = lower_bound(patches, section_id, chunk); i < patches->count; i++) {
        const rhumb__patch *item = &patches->items[i];
        if (item->section_id != section_id || item->chunk != chunk) break;
        const uint64_t item_begin = rhumb__max_u64(item->section_offset, section_offset);
        const uint64_t item_end = rhumb__min_u64(item->section_offset + item->bytes, end);
        if (item_begin >= item_end) continue;
        memcpy(target + (item_begin - section_offset), item->data + (item_begin - item->section_offset),
               item_end - item_begin);
    }
}

void rhumb__patches_clear(rhumb__patches *patches) {
    rhumb__free(patches->area);
    rhumb__free(patches->items);
    *patches = (rhumb__patches){0};
}
