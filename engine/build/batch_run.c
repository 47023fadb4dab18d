/* batch_run.c - see batch_run.h.
 *
 * The threads take the next item from a shared counter, so no thread waits for a slower one; a thread keeps its scratch
 * memory for the whole call, unless a compaction exchanges the graph. Owns nothing else. Takes the gate for each item.
 */
#include "engine/build/batch_run.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/status.h"

#define PROGRESS_INTERVAL_NS 100000000u

/* Between two items the graph may have been exchanged. */
static rhumb_status follow_graph(rhumb__batch_work *work, rhumb__scratch **scratch) {
    if (*scratch != NULL && rhumb__scratch_graph(*scratch) == atomic_load(&work->pool->graph)) return RHUMB_OK;
    if (*scratch != NULL) rhumb__scratch_give(*scratch);
    *scratch = NULL;
    return rhumb__scratch_take(work->pool, scratch);
}

static rhumb_status run_item(rhumb__batch_work *work, rhumb__scratch **scratch, uint64_t i) {
    rhumb__writer_enter(work->writer);
    rhumb_status status = follow_graph(work, scratch);
    if (status == RHUMB_OK) status = work->item(work->context, *scratch, i);
    rhumb__writer_leave(work->writer);
    if (status == RHUMB_OK) {
        atomic_fetch_add_explicit(&work->done_count, 1, memory_order_relaxed);
        return RHUMB_OK;
    }
    if (rhumb__row_is_wrong(status)) {
        const uint64_t key = work->key(work->context, i);
        rhumb__error_prefix("row %llu (key %llu): ", (unsigned long long)i, (unsigned long long)key);
    }
    rhumb__row_failure_note(&work->failure, i);
    return status;
}

static rhumb_status batch_worker(void *context, uint32_t worker_index) {
    rhumb__batch_work *work = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = RHUMB_OK;
    uint64_t reported_ns = rhumb__clock_now_ns();
    while (!atomic_load_explicit(&work->stopped, memory_order_relaxed)) {
        const uint64_t i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (i >= work->count) break;
        RHUMB_TRY(run_item(work, &scratch, i));
        /* Only the calling thread reports, so the callback never runs on two threads at a time. */
        if (worker_index != 0 || work->progress == NULL || rhumb__clock_now_ns() - reported_ns < PROGRESS_INTERVAL_NS)
            continue;
        reported_ns = rhumb__clock_now_ns();
        const uint64_t done_count = atomic_load_explicit(&work->done_count, memory_order_relaxed);
        if (!work->progress(work->progress_context, done_count, work->count)) {
            status = rhumb__fail(RHUMB_E_CANCELLED, "stopped by the caller after %llu of %llu vectors",
                                 (unsigned long long)done_count, (unsigned long long)work->count);
            goto done;
        }
    }
done:
    if (status != RHUMB_OK) atomic_store(&work->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

rhumb_status rhumb__batch_run(rhumb__batch_work *work) {
    uint32_t thread_count = work->thread_count;
    if (work->count < thread_count) thread_count = (uint32_t)rhumb__max_u64(work->count, 1);
    rhumb_status status = rhumb__parallel_run(thread_count, batch_worker, work);
    if (status != RHUMB_OK) status = rhumb__row_failure_take(&work->failure, status);
    return status == RHUMB_OK ? rhumb__batch_report_end(work) : status;
}

rhumb_status rhumb__batch_report_end(rhumb__batch_work *work) {
    if (work->progress == NULL || work->progress(work->progress_context, work->count, work->count)) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_CANCELLED, "stopped by the caller at the end");
}

rhumb_status rhumb__batch_wait(rhumb__writer *writer, uint64_t lsn, rhumb_status status) {
    rhumb_error cause;
    if (status == RHUMB_OK) return rhumb__log_wait(writer->log, lsn);
    rhumb__error_save(&cause);
    if (rhumb__log_wait(writer->log, lsn) != RHUMB_OK) status = rhumb__error_last()->status;
    if (status == cause.status) rhumb__error_restore(&cause);
    return status;
}
