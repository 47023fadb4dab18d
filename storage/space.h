/* space.h - the free blocks of the file. They are not recorded in the file: at open, every block that no version refers
 * to is free.
 *
 * A plain value, guarded by the store's publishing lock.
 */
#ifndef RHUMB_STORAGE_SPACE_H
#define RHUMB_STORAGE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

typedef struct rhumb__space_run {
    uint64_t offset;
    uint64_t bytes;
} rhumb__space_run;

typedef struct rhumb__file_space {
    rhumb__space_run *runs; /* free runs below `end`, ascending, not touching each other */
    uint32_t count;
    uint32_t capacity;
    uint64_t end; /* everything from here on is free */
} rhumb__file_space;

/* Takes `bytes` (a multiple of the block) of contiguous space whose offset leaves the remainder `residue` when divided
 * by `alignment` (a power of two; 1 for any offset): in the lowest free run where that fits, or at the end of the file.
 * Lowest first keeps files short and makes the same operations give the same file. RHUMB_E_FULL when the file cannot
 * grow that far. */
rhumb_status rhumb__file_space_take(rhumb__file_space *space, uint64_t bytes, uint64_t alignment, uint64_t residue,
                                    uint64_t *offset_out) RHUMB_NODISCARD;

/* Takes `bytes` at `offset` if they are free and a free run begins there; otherwise returns false and changes
 * nothing. */
bool rhumb__file_space_take_at(rhumb__file_space *space, uint64_t offset, uint64_t bytes);

/* Marks a range as used; the gap between the current end and its beginning becomes a free run. A space is filled this
 * way at open, by ascending offsets. Ranges may overlap: two versions of the file share most of their extents.
 * RHUMB_E_NOMEM.
 */
rhumb_status rhumb__file_space_claim(rhumb__file_space *space, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;

/* Makes a range free that is used. If that cannot be recorded for want of memory, the range stays unused until the next
 * open: the file is larger than it has to be, nothing worse. */
void rhumb__file_space_give(rhumb__file_space *space, uint64_t offset, uint64_t bytes);

/* Whether no byte of the range is free. */
bool rhumb__file_space_is_used(const rhumb__file_space *space, uint64_t offset, uint64_t bytes);

/* The number of free bytes below the end. */
uint64_t rhumb__file_space_free_bytes(const rhumb__file_space *space);

void rhumb__file_space_clear(rhumb__file_space *space);

#endif /* RHUMB_STORAGE_SPACE_H */
