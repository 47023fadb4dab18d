/* row_use.h - which fused rows searches may read while some are being written again.
 *
 * Rows are read without a lock, and by instructions that read many bytes at once. So a row that is to be written again
 * is *withdrawn* first: searches that begin from then on, or look again, expand its node by its list and by codes, as
 * one that has no row. Once the searches have ended that had begun before, nothing reads the row; it is written, and
 * *admitted*. A search never sees a row of which a part is old.
 *
 * One thread at a time withdraws rows, those of one range of slots. It waits for searches as sleepable RCU does
 * (McKenney, "Sleepable read-copy update", 2006): a search counts itself in one of two counters, and the thread lets
 * new ones use the other until the first is 0. The counters are spread over stripes, so that searches on many
 * processors do not compete for a cache line.
 *
 * Which order makes it safe: a search raises its counter before it looks at what is withdrawn, and the thread stores
 * what is withdrawn before it looks at the counters, all sequentially consistent; so the thread sees the search, or the
 * search sees the withdrawal. A search lowers its counter with release, admitting is a release, and looking an acquire:
 * reads of a row come before it is written, and reads of the new one after.
 */
#ifndef RHUMB_ENGINE_GRAPH_ROW_USE_H
#define RHUMB_ENGINE_GRAPH_ROW_USE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/inline.h"

enum { RHUMB__ROW_USE_STRIPE_COUNT = 16 };

typedef struct rhumb__row_use {
    _Atomic uint64_t withdrawn; /* the first slot in the lower half, how many in the upper; 0: none */
    _Atomic uint32_t phase;     /* whose parity says which counter new searches use */
    uint8_t padding[52];        /* what follows is written by searches */
    struct {
        _Atomic uint32_t counts[2];
        uint8_t padding[56];
    } stripes[RHUMB__ROW_USE_STRIPE_COUNT];
} rhumb__row_use;

typedef _Atomic uint32_t rhumb__row_use_count;

/* Begins to read rows. `reader` is any address that few other threads use. Returns what rhumb__row_use_end needs. */
rhumb__row_use_count *rhumb__row_use_begin(rhumb__row_use *use, const void *reader);

/* Rows that have been looked at must not be read any more. */
void rhumb__row_use_end(rhumb__row_use_count *count);

/* Whether the row of a slot must not be read now. If not, it may be until rhumb__row_use_end. */
RHUMB__INLINE bool rhumb__row_is_withdrawn(const rhumb__row_use *use, uint32_t slot) {
    const uint64_t withdrawn = atomic_load_explicit(&use->withdrawn, memory_order_acquire);
    return slot - (uint32_t)withdrawn < (uint32_t)(withdrawn >> 32);
}

/* Withdraws the rows of `count` slots, none being withdrawn, and waits until no search reads them, for `wait_ns` at
 * most. Returns whether that is so; otherwise they are admitted again. */
bool rhumb__rows_withdraw(rhumb__row_use *use, uint32_t first, uint32_t count, uint64_t wait_ns);

/* Lets searches read what was withdrawn. */
void rhumb__rows_admit(rhumb__row_use *use);

#endif /* RHUMB_ENGINE_GRAPH_ROW_USE_H */
