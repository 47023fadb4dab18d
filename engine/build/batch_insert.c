/* batch_insert.c - see batch_insert.h.
 *
 * The log is waited for once, when all vectors are in, for the last of them.
 *
 * A batch that is all or nothing is an open batch (open_batch.h), which keeps the slots of its nodes. Its records carry
 * the number of its begin record, and without a commit record the next recovery passes over them. If it fails, the
 * nodes that it has inserted are deleted, as far as their keys still lead to them: another operation may have replaced
 * one. If the log has failed, they are deleted without it; the handle publishes nothing any more.
 */
#include "engine/build/batch_insert.h"
#include "engine/build/writer.h"

#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_message.h"
#include "base/status.h"
#include "engine/build/bulk_insert.h"
#include "engine/build/insert.h"
#include "engine/build/open_batch.h"
#include "engine/build/remove.h"
#include "engine/build/weave.h"
#include "engine/search/walk/query.h"

#define TAKE_BACK_PAUSE_NS 100000
#define TAKE_BACK_COUNT 256u

typedef struct insert_job {
    rhumb__batch_work work;
    const rhumb__batch_insert_spec *spec;
    const rhumb__bulk_plan *plan; /* NULL: vectors are inserted one by one, as in any partial batch */
    rhumb__open_batch *batch;     /* NULL: the batch is partial, so nothing is taken back */
    _Atomic uint64_t lsn;         /* the highest of all records */
} insert_job;

static uint64_t key_of(const void *context, uint64_t i) {
    const rhumb__batch_insert_spec *spec = ((const insert_job *)context)->spec;
    return spec->keys == NULL ? spec->first_key + i : spec->keys[i];
}

static rhumb_status insert_one(void *context, rhumb__scratch *scratch, uint64_t i) {
    rhumb_status status;
    insert_job *job = context;
    RHUMB_ASSERT_DEBUG(i < job->spec->count);
    rhumb__insertion in = {.key = key_of(job, i), .batch = job->batch};
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const uint8_t *vector = (const uint8_t *)job->spec->vectors + i * graph->space.caller_bytes;
    RHUMB_TRY(rhumb__query_set_vector(scratch, vector));
    RHUMB_TRY(rhumb__graph_insert(graph, scratch, &in));
    rhumb__batch_note_lsn(&job->lsn, in.lsn);
done:
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

/* Inserts all vectors: at once by the plan, if there is one and the graph is still empty. */
static rhumb_status insert_all(insert_job *job) {
    const rhumb__bulk_insert_spec spec = {
        .batch = job->spec, .plan = job->plan, .open_batch = job->batch, .pool = job->work.pool};
    rhumb__bulk_insert_result result = {0};
    if (job->plan != NULL) {
        const rhumb_status status = rhumb__bulk_insert(job->work.writer, &spec, &result);
        rhumb__batch_note_lsn(&job->lsn, result.lsn);
        atomic_store(&job->work.done_count, result.inserted_count);
        if (status != RHUMB_OK || result.applied)
            return status == RHUMB_OK ? rhumb__batch_report_end(&job->work) : status;
    }
    return rhumb__batch_run(&job->work);
}

static rhumb_status insert_whole(insert_job *job) {
    rhumb_status status;
    rhumb__open_batch batch;
    uint64_t commit_lsn = 0;
    rhumb__writer *writer = job->work.writer;
    rhumb__writer_enter(writer);
    rhumb__graph *graph = atomic_load(&writer->graph); /* not exchanged while the batch is open */
    status = rhumb__open_batch_begin(graph, job->spec->count, &batch);
    rhumb__writer_leave(writer);
    RHUMB_TRY(status);
    job->batch = &batch;
    status = insert_all(job);
    if (status == RHUMB_OK) {
        rhumb__writer_enter(writer);
        status = rhumb__open_batch_commit(graph, &batch, &commit_lsn);
        rhumb__writer_leave(writer);
    }
    if (status == RHUMB_OK) {
        atomic_store(&job->lsn, commit_lsn);
    } else {
        take_back(writer, graph, &batch);
        atomic_store(&job->work.done_count, 0);
    }
done:
    rhumb__free(batch.slots);
    return status;
}

/* Makes fused rows, if the index is to have some and most nodes have none. They are derived: without memory for them,
 * the batch is inserted all the same. */
static void weave(const insert_job *job) {
    rhumb__scratch *scratch = NULL; /* keeps the graph */
    if (rhumb__scratch_take(job->work.pool, &scratch) != RHUMB_OK) return;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    if (rhumb__weave_pays_after_batch(graph) &&
        rhumb__weave_new(graph, UINT64_MAX, job->spec->thread_count) != RHUMB_OK) {
        rhumb__log_message(RHUMB_LOG_WARNING, job->work.writer->store->path, "no fused rows after a batch: %s",
                           rhumb__error_last()->message);
    }
    rhumb__scratch_give(scratch);
}

/* Plans the whole batch if that pays. A partial one keeps what is inserted before it is stopped, and until the end of a
 * plan nothing is, so it is inserted one by one. What is wrong with a vector is left to that too, which says it; and so
 * is a plan that memory does not suffice for. RHUMB_E_CANCELLED. */
static rhumb_status make_plan(insert_job *job, rhumb__bulk_plan *plan) {
    rhumb__writer *writer = job->work.writer;
    const rhumb__batch_insert_spec *spec = job->spec;
    if (spec->partial || !rhumb__bulk_insert_pays(writer, spec)) return RHUMB_OK;
    rhumb__writer_enter(writer);
    const rhumb__graph *graph = atomic_load(&writer->graph);
    const rhumb__params params = graph->params;
    const rhumb__space space = graph->space;
    rhumb__writer_leave(writer);
    rhumb__bulk_run run = {
        .thread_count = spec->thread_count,
        .progress = {.report = spec->progress, .context = spec->progress_context, .total_count = spec->count}};
    const rhumb__bulk_source source = {
        .space = &space, .vectors = spec->vectors, .count = spec->count, .salt = params.seed};
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__bulk_plan_make(&params, &source, &run, plan);
    if (status == RHUMB_OK) job->plan = plan;
    if (status == RHUMB_OK || status == RHUMB_E_CANCELLED) return status;
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

rhumb_status rhumb__batch_insert(rhumb__writer *writer, rhumb__scratch_pool *pool, const rhumb__batch_insert_spec *spec,
                                 uint64_t *inserted_count_out) {
    insert_job job = {.work = {.writer = writer,
                               .pool = pool,
                               .count = spec->count,
                               .thread_count = spec->thread_count,
                               .progress = spec->progress,
                               .progress_context = spec->progress_context,
                               .item = insert_one,
                               .key = key_of,
                               .context = &job,
                               .failure = RHUMB__ROW_FAILURE_NONE},
                      .spec = spec};
    rhumb__bulk_plan plan = {0};
    rhumb_status status = make_plan(&job, &plan);
    if (status == RHUMB_OK) status = spec->partial ? insert_all(&job) : insert_whole(&job);
    rhumb__bulk_plan_free(&plan);
    *inserted_count_out = atomic_load(&job.work.done_count);
    if (status == RHUMB_OK) weave(&job);
    const uint64_t lsn = atomic_load(&job.lsn);
    return *inserted_count_out == 0 || lsn == 0 ? status : rhumb__batch_wait(writer, lsn, status);
}
