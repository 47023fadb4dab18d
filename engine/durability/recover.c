/* recover.c - see recover.h.
 *
 * An operation of the log is checked like everything else in a file: its length, its components, and that the key of an
 * insert does not exist. The key of a delete may be missing: its node may come from a batch that was never committed
 * and is left out.
 *
 * Invariant: nodes below unlinked_begin, and nodes from unlinked_end on, have been linked. Linking a node twice does no
 * harm, so a block that failed is linked again as a whole.
 *
 * Locks: reading the log takes none, because no other thread knows the graph; a block is linked under the caller's
 * lock.
 */
#include "engine/durability/recover.h"
#include "engine/build/writer.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_message.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/insert.h"
#include "engine/build/remove.h"

#define LINK_BLOCK_SLOTS 256u

/* ---- replaying the log ---- */

typedef struct replay {
    rhumb__graph *graph;
    uint8_t *row;    /* a prepared row */
    uint8_t *vector; /* components, aligned */
} replay;

static rhumb_status fail_record(const replay *r, const rhumb__log_record *record, const char *what) {
    return rhumb__fail_at(RHUMB_E_CORRUPT, r->graph->store->path, RHUMB_OFFSET_NONE,
                          "the log's operation %llu does not fit the index: %s", (unsigned long long)record->lsn, what);
}

static rhumb_status replay_vector(replay *r, const rhumb__log_record *record, uint64_t key) {
    rhumb__graph *graph = r->graph;
    if (record->payload_bytes != sizeof key + graph->space.vector_bytes) {
        return fail_record(r, record, "its vector has the wrong length");
    }
    memcpy(r->vector, record->payload + sizeof key, graph->space.vector_bytes);
    rhumb_status status = rhumb__space_restore(&graph->space, r->vector, r->row);
    if (status == RHUMB_OK) status = rhumb__graph_place(graph, key, r->row, record->type == RHUMB__LOG_UPSERT);
    if (status == RHUMB_E_NOT_FINITE) return fail_record(r, record, "its vector is not finite");
    if (status == RHUMB_E_DOMAIN) return fail_record(r, record, "the metric is not defined for its vector");
    if (status == RHUMB_E_INVALID) return fail_record(r, record, "its sequence is too long");
    if (status == RHUMB_E_EXISTS) return fail_record(r, record, "its key exists already");
    return status;
}

static rhumb_status replay_record(void *context, const rhumb__log_record *record) {
    replay *r = context;
    uint64_t key = 0;
    if (record->payload_bytes < sizeof key) return fail_record(r, record, "it has no key");
    memcpy(&key, record->payload, sizeof key);
    if (record->type != RHUMB__LOG_DELETE) return replay_vector(r, record, key);
    if (record->payload_bytes != sizeof key) return fail_record(r, record, "a delete is longer than its key");
    rhumb__graph_delete_replayed(r->graph, key);
    return RHUMB_OK;
}

rhumb_status rhumb__recover(rhumb__graph *graph) {
    rhumb_status status = RHUMB_OK;
    replay r = {.graph = graph};
    const uint64_t checkpoint_slot_count = graph->counts.slot_count;
    if (rhumb__log_replay_count(graph->writer->log) > 0) {
        r.row = rhumb__alloc_aligned(graph->space.row_bytes, 1, 64);
        r.vector = rhumb__alloc_aligned(graph->space.vector_bytes, 1, 64);
        if (r.row == NULL || r.vector == NULL) {
            status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a vector");
            goto done;
        }
        RHUMB_TRY(rhumb__log_replay(graph->writer->log, replay_record, &r));
        rhumb__log_message(RHUMB_LOG_INFO, graph->store->path,
                           "recovery: %llu operations read from the log, %llu vectors to be linked",
                           (unsigned long long)rhumb__log_replay_count(graph->writer->log),
                           (unsigned long long)(graph->counts.slot_count - checkpoint_slot_count));
    }
    RHUMB_ASSERT_DEBUG(graph->counts.slot_count >= checkpoint_slot_count);
    RHUMB_ASSERT_DEBUG(atomic_load(&graph->finished_count) == graph->counts.slot_count);
    atomic_store(&graph->unlinked_begin, checkpoint_slot_count);
    graph->unlinked_end = graph->counts.slot_count;
done:
    rhumb__free(r.row);
    rhumb__free(r.vector);
    return status;
}

/* ---- linking ---- */

typedef struct link_job {
    rhumb__graph *graph;
    rhumb__scratch_pool *pool;
    _Atomic uint64_t next;
    uint64_t end;
} link_job;

static rhumb_status link_worker(void *context, uint32_t worker_index) {
    (void)worker_index;
    link_job *job = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(job->pool, &scratch);
    if (status != RHUMB_OK) return status;
    for (;;) {
        const uint64_t slot = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (slot >= job->end) break;
        RHUMB_TRY(rhumb__graph_link_placed(job->graph, scratch, (uint32_t)slot));
    }
done:
    rhumb__scratch_give(scratch);
    return status;
}

rhumb_status rhumb__recover_link_block(rhumb__scratch_pool *pool, rhumb__mutex *lock, bool *left_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(lock);
    rhumb__graph *graph = atomic_load(&pool->graph); /* exchanged under the lock only */
    const uint64_t begin = atomic_load_explicit(&graph->unlinked_begin, memory_order_relaxed);
    const uint64_t end = rhumb__min_u64(begin + LINK_BLOCK_SLOTS, graph->unlinked_end);
    RHUMB_ASSERT_DEBUG(graph->unlinked_end <= atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    if (begin < end) {
        const long processor_count = sysconf(_SC_NPROCESSORS_ONLN);
        link_job job = {.graph = graph, .pool = pool, .next = begin, .end = end};
        status = rhumb__parallel_run(processor_count < 4 ? 1 : (uint32_t)processor_count / 2, link_worker, &job);
        /* Release pairs with the acquire in searches: one that does not measure these slots one by one finds their
         * links. */
        if (status == RHUMB_OK) atomic_store_explicit(&graph->unlinked_begin, end, memory_order_release);
    }
    *left_out = status == RHUMB_OK && end < graph->unlinked_end;
    rhumb__mutex_unlock(lock);
    return status;
}

uint64_t rhumb__recover_unlinked_count(const rhumb__graph *graph) {
    const uint64_t begin = atomic_load_explicit(&graph->unlinked_begin, memory_order_acquire);
    return begin < graph->unlinked_end ? graph->unlinked_end - begin : 0;
}
