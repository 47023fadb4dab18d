/* run.h - what the steps of building in bulk share: threads, progress, and the end of both.
 *
 * A step goes through a range of numbers, some at a time, on all threads. Only worker 0, which is the calling thread,
 * asks whether to stop; it reports no progress, which counts the vectors that are in the index. Takes no lock.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_RUN_H
#define RHUMB_ENGINE_BUILD_BULK_RUN_H

#include <stdatomic.h>

#include "base/bits.h"
#include "base/progress.h"

typedef struct rhumb__bulk_run {
    uint32_t thread_count; /* 0: one per processor */
    rhumb__progress progress;
    _Atomic bool stopped; /* a thread has failed */
} rhumb__bulk_run;

/* One step. */
typedef struct rhumb__bulk_loop {
    rhumb__bulk_run *run;
    uint64_t limit;
    uint64_t step;
    _Atomic uint64_t next;
} rhumb__bulk_loop;

/* Takes the next numbers. Returns false when there are none, when another thread has failed, or when the caller wants
 * to stop: then *status is RHUMB_E_CANCELLED. */
static inline bool rhumb__bulk_take(rhumb__bulk_loop *loop, uint32_t worker_index, uint64_t *begin_out,
                                    uint64_t *end_out, rhumb_status *status) {
    rhumb__bulk_run *run = loop->run;
    if (*status != RHUMB_OK || atomic_load_explicit(&run->stopped, memory_order_relaxed)) return false;
    const uint64_t begin = atomic_fetch_add_explicit(&loop->next, loop->step, memory_order_relaxed);
    if (begin >= loop->limit) return false;
    if (worker_index == 0) {
        *status = rhumb__progress_advance(&run->progress, 0);
        if (*status != RHUMB_OK) return false;
    }
    *begin_out = begin;
    *end_out = rhumb__min_u64(begin + loop->step, loop->limit);
    return true;
}

/* Notes how a thread has ended, so that the others end too. Returns it. */
static inline rhumb_status rhumb__bulk_end(rhumb__bulk_loop *loop, rhumb_status status) {
    if (status != RHUMB_OK) atomic_store(&loop->run->stopped, true);
    return status;
}

#endif /* RHUMB_ENGINE_BUILD_BULK_RUN_H */
