/* space.c - see space.h.
 *
 * Invariants: runs are ascending, none is empty, none touches the next or `end` (the end moves down instead). All
 * offsets and lengths are multiples of the block. A free byte is in exactly one run; taking removes it, so no block is
 * ever taken twice.
 *
 * Locking: the store's publishing lock is held. How it fails: taking fails only at the largest file; a list that cannot
 * grow loses free space until the next open.
 */
#include "storage/space.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/frame/format.h"

/* The locks begin after this (format.h). */
#define FILE_BYTES_MAX (UINT64_C(1) << 61)

static void remove_run(rhumb__file_space *space, uint32_t index) {
    memmove(&space->runs[index], &space->runs[index + 1], (space->count - index - 1) * sizeof space->runs[0]);
    space->count--;
}

static bool insert_run(rhumb__file_space *space, uint32_t index, uint64_t offset, uint64_t bytes) {
    if (space->count == space->capacity) {
        const uint32_t capacity = space->capacity == 0 ? 16 : space->capacity * 2;
        rhumb__space_run *runs = rhumb__alloc_resize(space->runs, capacity, sizeof *runs);
        if (runs == NULL) return false;
        space->runs = runs;
        space->capacity = capacity;
    }
    memmove(&space->runs[index + 1], &space->runs[index], (space->count - index) * sizeof space->runs[0]);
    space->runs[index] = (rhumb__space_run){offset, bytes};
    space->count++;
    return true;
}

/* The index of the first run that ends after `offset`; space->count when there is none. */
static uint32_t first_run_after(const rhumb__file_space *space, uint64_t offset) {
    uint32_t low = 0;
    uint32_t high = space->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (space->runs[middle].offset + space->runs[middle].bytes <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The lowest offset at or after `offset` with the wanted remainder. */
static uint64_t align_up(uint64_t offset, uint64_t alignment, uint64_t residue) {
    return offset + ((residue - offset) & (alignment - 1));
}

/* Cuts [offset, offset + bytes) out of a run that contains it. A remainder that cannot be recorded for want of memory
 * is lost until the next open. */
static void cut_run(rhumb__file_space *space, uint32_t index, uint64_t offset, uint64_t bytes) {
    rhumb__space_run *run = &space->runs[index];
    const uint64_t run_end = run->offset + run->bytes;
    RHUMB_ASSERT_DEBUG(offset >= run->offset && offset + bytes <= run_end);
    const uint64_t tail_bytes = run_end - (offset + bytes);
    run->bytes = offset - run->offset;
    if (run->bytes == 0) {
        run->offset = offset + bytes;
        run->bytes = tail_bytes;
        if (tail_bytes == 0) remove_run(space, index);
    } else if (tail_bytes > 0) {
        (void)insert_run(space, index + 1, offset + bytes, tail_bytes);
    }
}

rhumb_status rhumb__file_space_take(rhumb__file_space *space, uint64_t bytes, uint64_t alignment, uint64_t residue,
                                    uint64_t *offset_out) {
    RHUMB_ASSERT_DEBUG(bytes > 0 && rhumb__is_multiple(bytes, RHUMB__BLOCK_BYTES) &&
                       rhumb__is_multiple(space->end, RHUMB__BLOCK_BYTES));
    RHUMB_ASSERT_DEBUG(rhumb__is_power_of_two(alignment) && residue < alignment);
    for (uint32_t i = 0; i < space->count; i++) {
        const rhumb__space_run run = space->runs[i];
        const uint64_t offset = align_up(run.offset, alignment, residue);
        if (offset + bytes > run.offset + run.bytes) continue;
        cut_run(space, i, offset, bytes);
        *offset_out = offset;
        return RHUMB_OK;
    }
    const uint64_t offset = align_up(space->end, alignment, residue);
    if (bytes > FILE_BYTES_MAX - offset) {
        return rhumb__fail(RHUMB_E_FULL, "the file cannot grow by %llu bytes beyond %llu", (unsigned long long)bytes,
                           (unsigned long long)space->end);
    }
    if (offset > space->end) (void)insert_run(space, space->count, space->end, offset - space->end);
    space->end = offset + bytes;
    *offset_out = offset;
    return RHUMB_OK;
}

bool rhumb__file_space_take_at(rhumb__file_space *space, uint64_t offset, uint64_t bytes) {
    RHUMB_ASSERT_DEBUG(rhumb__is_multiple(offset, RHUMB__BLOCK_BYTES) && rhumb__is_multiple(bytes, RHUMB__BLOCK_BYTES));
    if (offset == space->end && bytes <= FILE_BYTES_MAX - space->end) {
        space->end += bytes;
        return true;
    }
    const uint32_t i = first_run_after(space, offset);
    if (i == space->count || space->runs[i].offset != offset || space->runs[i].bytes < bytes) return false;
    space->runs[i].offset += bytes;
    space->runs[i].bytes -= bytes;
    if (space->runs[i].bytes == 0) remove_run(space, i);
    return true;
}

rhumb_status rhumb__file_space_claim(rhumb__file_space *space, uint64_t offset, uint64_t bytes) {
    RHUMB_ASSERT_DEBUG(rhumb__is_multiple(offset, RHUMB__BLOCK_BYTES) && rhumb__is_multiple(bytes, RHUMB__BLOCK_BYTES));
    if (offset > space->end && !insert_run(space, space->count, space->end, offset - space->end)) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u free runs", space->count + 1);
    }
    space->end = rhumb__max_u64(space->end, offset + bytes);
    return RHUMB_OK;
}

void rhumb__file_space_give(rhumb__file_space *space, uint64_t offset, uint64_t bytes) {
    if (bytes == 0) return;
    uint32_t i = first_run_after(space, offset);
    RHUMB_ASSERT_DEBUG(rhumb__is_multiple(offset, RHUMB__BLOCK_BYTES) && rhumb__is_multiple(bytes, RHUMB__BLOCK_BYTES));
    RHUMB_ASSERT_DEBUG(rhumb__file_space_is_used(space, offset, bytes));
    const bool joins_left = i > 0 && space->runs[i - 1].offset + space->runs[i - 1].bytes == offset;
    const bool joins_right = i < space->count && space->runs[i].offset == offset + bytes;
    if (joins_left && joins_right) {
        space->runs[i - 1].bytes += bytes + space->runs[i].bytes;
        remove_run(space, i);
        i--;
    } else if (joins_left) {
        space->runs[--i].bytes += bytes;
    } else if (joins_right) {
        space->runs[i].offset = offset;
        space->runs[i].bytes += bytes;
    } else if (offset + bytes == space->end) {
        space->end = offset;
        return;
    } else {
        (void)insert_run(space, i, offset, bytes);
        return;
    }
    if (space->runs[i].offset + space->runs[i].bytes == space->end) {
        space->end = space->runs[i].offset;
        remove_run(space, i);
    }
}

bool rhumb__file_space_is_used(const rhumb__file_space *space, uint64_t offset, uint64_t bytes) {
    const uint32_t i = first_run_after(space, offset);
    return offset + bytes <= space->end && (i == space->count || space->runs[i].offset >= offset + bytes);
}

uint64_t rhumb__file_space_free_bytes(const rhumb__file_space *space) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < space->count; i++) bytes += space->runs[i].bytes;
    return bytes;
}

void rhumb__file_space_clear(rhumb__file_space *space) {
    rhumb__free(space->runs);
    *space = (rhumb__file_space){0};
}
