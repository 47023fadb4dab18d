/* publish_plan.c - step 1 of a publication: where everything is going to be.
 *
 * Append-only sections keep their extents and get more at the end. Mutable sections are looked at granule by granule:
 * one with a dirty chunk, or with rows that are new, moves to new blocks, the others stay where they are. When what
 * lies far behind is to be pulled down, what would stay in either kind of section is moved, but only further to the
 * front.
 *
 * Locking: the store's publishing lock is held; each chunk's lock is taken for a look at its dirty mark. A chunk that
 * becomes dirty after that look waits for the next version.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/publish/publisher.h"

#include <string.h>

#define GRANULE_COUNT_MAX 2048u

/* What is pulled down moves in pieces of at most this, so that it fits into more than one free run. */
#define PULL_DOWN_PIECE_BYTES (UINT64_C(64) << 20)

/* Takes blocks for a piece of the section. A large piece lies so that large pages can map it: its offset in the file
 * and in the section agree modulo their size, as its address and its offset in the section do. */
static rhumb_status take_blocks(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t section_offset, uint64_t bytes,
                                uint64_t *offset_out) {
    const uint64_t alignment = bytes >= RHUMB__LARGE_PAGE_BYTES ? RHUMB__LARGE_PAGE_BYTES : 1;
    rhumb_status status =
        rhumb__file_space_take(&p->store->space, bytes, alignment, section_offset & (alignment - 1), offset_out);
    if (status != RHUMB_OK) return status;
    status = rhumb__extent_list_append(&plan->taken, *offset_out, bytes);
    if (status != RHUMB_OK) rhumb__file_space_give(&p->store->space, *offset_out, bytes);
    return status;
}

static rhumb_status note_moved(rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    rhumb__range_list *moved = &plan->moved;
    if (moved->count == moved->capacity) {
        const uint32_t capacity = moved->capacity == 0 ? 8 : moved->capacity * 2;
        rhumb__range *items = rhumb__alloc_resize(moved->items, capacity, sizeof *items);
        if (items == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u pieces", capacity);
        moved->items = items;
        moved->capacity = capacity;
    }
    moved->items[moved->count++] = (rhumb__range){begin, end};
    return RHUMB_OK;
}

static bool lies_behind(const rhumb__publisher *p, const rhumb__extent *piece) {
    return p->publication->pull_down && piece->file_offset + piece->bytes > p->pull_down_bytes;
}

/* Takes blocks further in front than `piece`, if there are any; otherwise *offset_out stays as it is. */
static bool take_lower(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t section_offset,
                       const rhumb__extent *piece, uint64_t *offset_out) {
    const uint64_t alignment = piece->bytes >= RHUMB__LARGE_PAGE_BYTES ? RHUMB__LARGE_PAGE_BYTES : 1;
    rhumb__file_space *space = &p->store->space;
    uint64_t offset = 0;
    if (rhumb__file_space_take(space, piece->bytes, alignment, section_offset & (alignment - 1), &offset) != RHUMB_OK) {
        return false;
    }
    if (offset < piece->file_offset && rhumb__extent_list_append(&plan->taken, offset, piece->bytes) == RHUMB_OK) {
        *offset_out = offset;
        return true;
    }
    rhumb__file_space_give(space, offset, piece->bytes);
    return false;
}

/* [begin, end) as it lies, but for what is to be pulled down: that goes piece by piece to blocks further in front, as
 * far as there are any, and otherwise stays too. A piece consists of whole units of `unit_bytes`, each of which must
 * lie in one piece in the file; `begin` is a multiple of it, `end` may lie within the last one. */
static rhumb_status keep_or_pull_down(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t begin, uint64_t end,
                                      uint64_t unit_bytes) {
    const uint64_t limit_bytes = rhumb__max_u64(PULL_DOWN_PIECE_BYTES / unit_bytes, 1) * unit_bytes;
    rhumb_status status = RHUMB_OK;
    while (begin < end) {
        rhumb__extent piece =
            rhumb__extent_list_piece(&plan->section->extents, begin, rhumb__min_u64(end - begin, limit_bytes));
        if (begin + piece.bytes < end) piece.bytes -= piece.bytes % unit_bytes;
        RHUMB_ASSERT(piece.bytes > 0);
        uint64_t offset = piece.file_offset;
        if (lies_behind(p, &piece) && take_lower(p, plan, begin, &piece, &offset)) {
            RHUMB_TRY(note_moved(plan, begin, begin + piece.bytes));
        }
        RHUMB_TRY(rhumb__extent_list_append(&plan->extents, offset, piece.bytes));
        begin += piece.bytes;
    }
done:
    return status;
}

/* New extents at the end for what the old ones cannot hold. They grow with the section, by at least a 64th of it, which
 * bounds their number, and in place when the blocks behind the last one are free. */
static rhumb_status plan_append(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t have_bytes = section->extents.bytes;
    const uint64_t need_bytes = rhumb__round_up(plan->row_count * section->row_stride_bytes, RHUMB__BLOCK_BYTES);
    rhumb_status status = keep_or_pull_down(p, plan, 0, have_bytes, RHUMB__BLOCK_BYTES);
    if (status != RHUMB_OK || need_bytes <= have_bytes) return status;
    const uint64_t share_bytes =
        rhumb__max_u64(rhumb__floor_power_of_two(have_bytes / 64), (uint64_t)RHUMB__BLOCK_BYTES);
    const uint64_t bytes = rhumb__max_u64(need_bytes - have_bytes, rhumb__round_down(share_bytes, RHUMB__BLOCK_BYTES));
    uint64_t offset = 0;
    if (have_bytes > 0) {
        const rhumb__extent_item *last = &plan->extents.items[plan->extents.count - 1];
        offset = last->file_offset + last->bytes;
    }
    const bool in_place =
        have_bytes > 0 && (bytes < RHUMB__LARGE_PAGE_BYTES || (offset - have_bytes) % RHUMB__LARGE_PAGE_BYTES == 0);
    if (in_place && rhumb__file_space_take_at(&p->store->space, offset, bytes)) {
        status = rhumb__extent_list_append(&plan->taken, offset, bytes);
        if (status != RHUMB_OK) rhumb__file_space_give(&p->store->space, offset, bytes);
    } else {
        status = take_blocks(p, plan, have_bytes, bytes, &offset);
    }
    if (status == RHUMB_OK) status = rhumb__extent_list_append(&plan->extents, offset, bytes);
    return status;
}

static bool granule_is_dirty(const rhumb__section *section, uint64_t begin, uint64_t end) {
    bool dirty = false;
    for (uint64_t offset = begin; offset < end && !dirty; offset += section->chunk_bytes) {
        rhumb__chunk_state *chunk = &section->chunks[offset / section->chunk_bytes];
        rhumb__section_lock_chunk(section, chunk);
        dirty = chunk->dirty;
        rhumb__mutex_unlock(&chunk->lock);
    }
    return dirty;
}

/* Sorts the granules into those that may stay where they are and those that have to be written, and finds room for each
 * run of the latter. */
static rhumb_status plan_mutable(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    const uint64_t end_bytes = plan->checksum_count * chunk_bytes;
    plan->granule_bytes = chunk_bytes;
    while (end_bytes / plan->granule_bytes > GRANULE_COUNT_MAX) plan->granule_bytes *= 2;
    /* Checksums cover published rows, so a chunk that gets more of them gets a new one, even if nobody touched it. */
    const bool grows = plan->row_count > section->published_row_count;
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    uint64_t begin = 0;
    while (begin < end_bytes) {
        /* Extend [begin, end) over all granules that share the fate of the first. */
        bool moves = false;
        uint64_t end = begin;
        while (end < end_bytes) {
            const uint64_t granule_end = rhumb__min_u64(end + plan->granule_bytes, end_bytes);
            const bool granule_moves = granule_end > section->extents.bytes || (grows && granule_end > old_bytes) ||
                                       !rhumb__extent_list_is_contiguous(&section->extents, end, granule_end - end) ||
                                       granule_is_dirty(section, end, granule_end);
            if (end == begin) moves = granule_moves;
            if (granule_moves != moves) break;
            end = granule_end;
        }
        rhumb_status status;
        if (moves) {
            uint64_t offset = 0;
            status = take_blocks(p, plan, begin, end - begin, &offset);
            if (status == RHUMB_OK) status = rhumb__extent_list_append(&plan->extents, offset, end - begin);
            if (status == RHUMB_OK) status = note_moved(plan, begin, end);
        } else {
            status = keep_or_pull_down(p, plan, begin, end, plan->granule_bytes);
        }
        if (status != RHUMB_OK) return status;
        begin = end;
    }
    return RHUMB_OK;
}

static rhumb_status plan_section(rhumb__publisher *p, uint32_t index) {
    rhumb__section_plan *plan = &p->plans[index];
    rhumb__section *section = p->sections[index];
    plan->section = section;
    if (rhumb__publish_skips(p, section)) return RHUMB_OK;
    plan->row_count = section->next_row_count;
    RHUMB_ASSERT(plan->row_count >= section->published_row_count);
    RHUMB_ASSERT(plan->row_count <= atomic_load_explicit(&section->row_capacity, memory_order_relaxed));
    plan->checksum_count = rhumb__divide_up(plan->row_count * section->row_stride_bytes, section->chunk_bytes);
    if (plan->checksum_count == 0) return RHUMB_OK;
    plan->checksums = rhumb__alloc_zeroed(plan->checksum_count, sizeof *plan->checksums);
    if (plan->checksums == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu checksums", (unsigned long long)plan->checksum_count);
    }
    if (section->checksum_count > 0) {
        memcpy(plan->checksums, section->checksums, section->checksum_count * sizeof *plan->checksums);
    }
    return section->spec.kind == RHUMB__SECTION_APPEND ? plan_append(p, plan) : plan_mutable(p, plan);
}

/* Makes the file system set the blocks aside. */
static rhumb_status allocate_taken(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__extent_list *taken = &p->plans[i].taken;
        for (uint32_t k = 0; k < taken->count; k++) {
            RHUMB_TRY(rhumb__io_allocate(p->store->io, taken->items[k].file_offset, taken->items[k].bytes));
        }
    }
done:
    return status;
}

/* Where the file would end if everything lay close together, with something for the gaps that large pages leave. */
static uint64_t close_end(const rhumb__publisher *p) {
    uint64_t bytes = RHUMB__BLOCK_BYTES;
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__section *section = p->sections[i];
        const uint64_t section_bytes = section->next_row_count * section->row_stride_bytes;
        bytes += rhumb__round_up(section_bytes, section->chunk_bytes) + RHUMB__BLOCK_BYTES;
        if (section_bytes >= RHUMB__LARGE_PAGE_BYTES) bytes += RHUMB__LARGE_PAGE_BYTES;
    }
    return bytes;
}

rhumb_status rhumb__publish_plan(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    p->pull_down_bytes = close_end(p);
    for (uint32_t i = 0; i < p->section_count; i++) RHUMB_TRY(plan_section(p, i));
    status = allocate_taken(p);
done:
    return status;
}
