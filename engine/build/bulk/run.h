/* run.h - what the steps of building in bulk share: threads, progress, and the end of both.
 *
 * A step goes through a range of numbers, some at a time, on all threads. Only worker 0, which is the calling thread,
 * reports progress and asks whether to stop. Progress is the share of the whole that is done, as a count of vectors:
 * each step knows what share it has. Takes no lock.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_RUN_H
#define RHUMB_ENGINE_BUILD_BULK_RUN_H

#include <stdatomic.h>

#include "base/bits.h"
#include "base/progress.h"

typedef struct rhumb__bulk_run {
    uint32_t thread_count; /* 0: one per processor */
    rhumb__progress progress;
    double done_share;    /* of the whole, when the step in hand began */
    double step_share;    /* of the step in hand */
    _Atomic bool stopped; /* a thread has failed */
} rhumb__bulk_run;

/* Begins a step that is such a share of the whole; all steps are at most 1. By the calling thread, between steps. */
static inline void rhumb__bulk_begin(rhumb__bulk_run *run, double share) {
    run->done_share += run->step_share;
    run->step_share = share;
}

/* One step. */
typedef struct rhumb__bulk_loop {
    rhumb__bulk_run *run;
    uint64_t limit;
    uint64_t step;
    _Atomic uint64_t next;
} rhumb__bulk_loop;

/* Reports that `done` of `limit` numbers of a step are taken. Never the end of the whole. RHUMB_E_CANCELLED. */
static inline rhumb_status rhumb__bulk_report(rhumb__bulk_run *run, uint64_t done, uint64_t limit) {
    const double share = run->done_share + run->step_share * (double)done / (double)limit;
    const uint64_t total_count = run->progress.total_count;
    const uint64_t done_count = (uint64_t)(share * (double)total_count);
    return rhumb__progress_report(&run->progress, rhumb__min_u64(done_count, total_count == 0 ? 0 : total_count - 1));
}

/* Takes the next numbers. Returns false when there are none, when another thread has failed, or when the caller wants
 * to stop: then *status is RHUMB_E_CANCELLED. */
static inline bool rhumb__bulk_take(rhumb__bulk_loop *loop, uint32_t worker_index, uint64_t *begin_out,
                                    uint64_t *end_out, rhumb_status *status) {
    rhumb__bulk_run *run = loop->run;
    if (*status != RHUMB_OK || atomic_load_explicit(&run->stopped, memory_order_relaxed)) return false;
    const uint64_t begin = atomic_fetch_add_explicit(&loop->next, loop->step, memory_order_relaxed);
    if (begin >= loop->limit) return false;
    if (worker_index == 0) {
        *status = rhumb__bulk_report(run, begin, loop->limit);
        if (*status != RHUMB_OK) return false;
    }
    *begin_out = begin;
    *end_out = rhumb__min_u64(begin + loop->step, loop->limit);
    return true;
}

/* Asks within a long part of a step whether to go on. RHUMB_E_CANCELLED; when another thread has failed, RHUMB_OK, and
 * *stops. */
static inline rhumb_status rhumb__bulk_check(rhumb__bulk_run *run, uint32_t worker_index, bool *stops) {
    *stops = atomic_load_explicit(&run->stopped, memory_order_relaxed);
    return worker_index == 0 && !*stops ? rhumb__progress_report(&run->progress, run->progress.done_count) : RHUMB_OK;
}

/* Notes how a thread has ended, so that the others end too. Returns it. */
static inline rhumb_status rhumb__bulk_end(rhumb__bulk_loop *loop, rhumb_status status) {
    if (status != RHUMB_OK) atomic_store(&loop->run->stopped, true);
    return status;
}

#endif /* RHUMB_ENGINE_BUILD_BULK_RUN_H */
