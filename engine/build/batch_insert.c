/* batch_insert.c - see batch_insert.h.
 *
 * The threads take the next vector from a shared counter, so no thread waits for a slower one; a thread keeps its
 * scratch for the whole call, unless a compaction exchanges the graph. The log is waited for once, when all vectors are
 * in, for the last of them.
 *
 * A batch that is all or nothing is an open batch (open_batch.h), which keeps the slots of its nodes. Its records carry
 * the number of its begin record, and without a commit record the next recovery passes over them. If it fails, the nodes
 * that it has inserted are deleted, as far as their keys still lead to them: another operation may have replaced one. If
 * the log has failed, they are deleted without it; the handle publishes nothing any more.
 */
#include "engine/build/batch_insert.h"
#include "engine/build/writer.h"

#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/row_failure.h"
#include "base/status.h"
#include "engine/build/insert.h"
#include "engine/build/open_batch.h"
#include "engine/build/remove.h"
#include "engine/search/walk/query.h"

#define PROGRESS_INTERVAL_NS 100000000u
#define TAKE_BACK_PAUSE_NS 100000
#define TAKE_BACK_COUNT 256u

typedef struct insert_job {
    rhumb__writer *writer;
    rhumb__scratch_pool *pool;
    const rhumb__batch_insert_spec *spec;
    rhumb__open_batch *batch; /* NULL: the batch is partial, so nothing is taken back */
    _Atomic uint64_t next;
    _Atomic uint64_t inserted_count;
    _Atomic uint64_t lsn; /* the highest of all records */
    _Atomic bool stopped;
    rhumb__row_failure failure;
} insert_job;

static uint64_t key_of(const rhumb__batch_insert_spec *spec, uint64_t i) {
    return spec->keys == NULL ? spec->first_key + i : spec->keys[i];
}

/* Between two vectors the graph may have been exchanged, when the batch keeps what it has. */
static rhumb_status follow_graph(insert_job *job, rhumb__scratch **scratch) {
    if (*scratch != NULL && rhumb__scratch_graph(*scratch) == atomic_load(&job->pool->graph)) return RHUMB_OK;
    if (*scratch != NULL) rhumb__scratch_give(*scratch);
    *scratch = NULL;
    return rhumb__scratch_take(job->pool, scratch);
}

static rhumb_status insert_one(insert_job *job, rhumb__scratch **scratch, uint64_t i) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(i < job->spec->count);
    rhumb__insertion in = {.key = key_of(job->spec, i), .batch = job->batch};
    rhumb__writer_enter(job->writer);
    RHUMB_TRY(follow_graph(job, scratch));
    rhumb__graph *graph = rhumb__scratch_graph(*scratch);
    const uint8_t *vector = (const uint8_t *)job->spec->vectors + i * graph->space.caller_bytes;
    RHUMB_TRY(rhumb__query_set_vector(*scratch, vector));
    RHUMB_TRY(rhumb__graph_insert(graph, *scratch, &in));
    uint64_t highest = atomic_load_explicit(&job->lsn, memory_order_relaxed);
    while (highest < in.lsn && !atomic_compare_exchange_weak_explicit(&job->lsn, &highest, in.lsn, memory_order_relaxed,
                                                                      memory_order_relaxed)) {
    }
    atomic_fetch_add_explicit(&job->inserted_count, 1, memory_order_relaxed);
done:
    rhumb__writer_leave(job->writer);
    if (status == RHUMB_OK) return status;
    if (rhumb__row_is_wrong(status)) {
        rhumb__error_prefix("row %llu (key %llu): ", (unsigned long long)i, (unsigned long long)in.key);
    }
    rhumb__row_failure_note(&job->failure, i);
    return status;
}

static rhumb_status insert_worker(void *context, uint32_t worker_index) {
    insert_job *job = context;
    const rhumb__batch_insert_spec *spec = job->spec;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = RHUMB_OK;
    uint64_t reported_ns = rhumb__clock_now_ns();
    while (!atomic_load_explicit(&job->stopped, memory_order_relaxed)) {
        const uint64_t i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (i >= spec->count) break;
        RHUMB_TRY(insert_one(job, &scratch, i));
        /* Only the calling thread reports, so the callback never runs on two threads at a time. */
        if (worker_index != 0 || spec->progress == NULL || rhumb__clock_now_ns() - reported_ns < PROGRESS_INTERVAL_NS)
            continue;
        reported_ns = rhumb__clock_now_ns();
        const uint64_t done_count = atomic_load_explicit(&job->inserted_count, memory_order_relaxed);
        if (!spec->progress(spec->progress_context, done_count, spec->count)) {
            status = rhumb__fail(RHUMB_E_CANCELLED, "stopped by the caller after %llu of %llu vectors",
                                 (unsigned long long)done_count, (unsigned long long)spec->count);
            goto done;
        }
    }
done:
    if (status != RHUMB_OK) atomic_store(&job->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

static rhumb_status batch_run(insert_job *job) {
    const rhumb__batch_insert_spec *spec = job->spec;
    uint32_t thread_count = spec->thread_count;
    if (spec->count < thread_count) thread_count = (uint32_t)rhumb__max_u64(spec->count, 1);
    rhumb_status status = rhumb__parallel_run(thread_count, insert_worker, job);
    if (status != RHUMB_OK) status = rhumb__row_failure_take(&job->failure, status);
    if (status == RHUMB_OK && spec->progress != NULL &&
        !spec->progress(spec->progress_context, spec->count, spec->count)) {
        status = rhumb__fail(RHUMB_E_CANCELLED, "stopped by the caller at the end");
    }
    return status;
}

static void take_back_one(rhumb__graph *graph, uint32_t slot, uint64_t batch) {
    rhumb_status status = rhumb__graph_take_back(graph, slot, batch);
    while (status == RHUMB_E_NOMEM) {
        /* Deleting needs memory while a checkpoint copies the key table, which ends; and for the log's buffer, if that
         * is full. */
        const struct timespec pause = {0, TAKE_BACK_PAUSE_NS};
        if (rhumb__log_sync(graph->writer->log) != RHUMB_E_FATAL) nanosleep(&pause, NULL);
        status = rhumb__graph_take_back(graph, slot, batch);
    }
    if (status != RHUMB_OK) rhumb__graph_take_back_unlogged(graph, slot);
}

/* Deletes what the batch has inserted, and ends it. A few at a time, so that an exchange of the graph, which happens
 * only when no batch is open, need not wait inside the gate. */
static void take_back(rhumb__writer *writer, rhumb__graph *graph, rhumb__open_batch *batch) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    for (uint64_t i = 0; i < batch->slot_count;) {
        const uint64_t end = rhumb__min_u64(i + TAKE_BACK_COUNT, batch->slot_count);
        rhumb__writer_enter(writer);
        for (; i < end; i++) take_back_one(graph, batch->slots[i], batch->begin_lsn);
        rhumb__writer_leave(writer);
    }
    rhumb__writer_enter(writer);
    rhumb__open_batch_end(graph, batch);
    rhumb__writer_leave(writer);
    rhumb__error_restore(&cause);
}

static rhumb_status insert_whole(insert_job *job) {
    rhumb_status status;
    rhumb__open_batch batch;
    uint64_t commit_lsn = 0;
    rhumb__writer *writer = job->writer;
    rhumb__writer_enter(writer);
    rhumb__graph *graph = atomic_load(&writer->graph); /* not exchanged while the batch is open */
    status = rhumb__open_batch_begin(graph, job->spec->count, &batch);
    rhumb__writer_leave(writer);
    RHUMB_TRY(status);
    job->batch = &batch;
    status = batch_run(job);
    if (status == RHUMB_OK) {
        rhumb__writer_enter(writer);
        status = rhumb__open_batch_commit(graph, &batch, &commit_lsn);
        rhumb__writer_leave(writer);
    }
    if (status == RHUMB_OK) {
        atomic_store(&job->lsn, commit_lsn);
    } else {
        take_back(writer, graph, &batch);
        atomic_store(&job->inserted_count, 0);
    }
done:
    rhumb__free(batch.slots);
    return status;
}

rhumb_status rhumb__batch_insert(rhumb__writer *writer, rhumb__scratch_pool *pool, const rhumb__batch_insert_spec *spec,
                                 uint64_t *inserted_count_out) {
    insert_job job = {.writer = writer, .pool = pool, .spec = spec, .failure = RHUMB__ROW_FAILURE_NONE};
    rhumb_status status = spec->partial ? batch_run(&job) : insert_whole(&job);
    *inserted_count_out = atomic_load(&job.inserted_count);
    /* Also after a failure that leaves something in. */
    const uint64_t lsn = atomic_load(&job.lsn);
    if (*inserted_count_out == 0 || lsn == 0) return status;
    if (status == RHUMB_OK) return rhumb__log_wait(writer->log, lsn);
    rhumb_error cause;
    rhumb__error_save(&cause);
    if (rhumb__log_wait(writer->log, lsn) != RHUMB_OK) status = rhumb__error_last()->status;
    if (status == cause.status) rhumb__error_restore(&cause);
    return status;
}
