/* recover.c - see recover.h.
 *
 * An operation of the log is checked like everything else in a file: its length, its components, and that the key of an
 * insert does not exist. The key of a delete may be missing: its node may come from a batch that was never committed
 * and is left out.
 *
 * BATCHES. A version may divide a batch: the batch was open when the version was fixed at operation L, and its commit
 * record comes later. The version leaves out all of its nodes, so its inserts up to L are carried out here, and nothing
 * else up to L is in question but what has happened to the same keys since. Of the operations up to L on one key, let o
 * be the last that counts, with all batches committed by now.
 *   - o is an insert or upsert that the version holds. Then the version has its node, the key exists, and every insert
 *     of a divided batch before it is skipped.
 *   - o is an insert of a divided batch. Then the version has no live node of the key, and o is carried out.
 *   - o is a delete. Then the version has no live node of the key, and inserts of divided batches before it are carried
 *     out; between two inserts of a key there is a delete, and so there is after the last.
 * So the deletes up to L are carried out as well, but only on nodes that were placed here: others belong to operations
 * that came later, since a delete that the version holds has left nothing of what came before. Deletes in a batch
 * without a commit take back its inserts; neither count. A batch with deletes that count is never divided, and nothing
 * lies between its records: build/batch_write.c.
 *
 * Invariant: nodes outside the range of graph/unlinked.h have been linked. Linking a node twice does no
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
#include "engine/build/place.h"
#include "engine/build/remove.h"
#include "engine/graph/unlinked.h"

#define LINK_BLOCK_SLOTS 256u

/* ---- replaying the log ---- */

typedef struct replay {
    rhumb__graph *graph;
    uint8_t *row;    /* a prepared row */
    uint8_t *vector; /* components, aligned */
    uint64_t checkpoint_lsn;
    uint64_t checkpoint_slot_count;
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
    const bool early = record->lsn <= r->checkpoint_lsn;
    if (early && rhumb__key_table_find(&graph->key_table, key) != RHUMB__SLOT_NONE) return RHUMB_OK;
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
    const bool early = record->lsn <= r->checkpoint_lsn;
    rhumb__graph_delete_replayed(r->graph, key, early ? r->checkpoint_slot_count : 0);
    return RHUMB_OK;
}

rhumb_status rhumb__recover(rhumb__graph *graph) {
    rhumb_status status = RHUMB_OK;
    const uint64_t checkpoint_slot_count = graph->counts.slot_count;
    replay r = {
        .graph = graph, .checkpoint_lsn = graph->writer->published_lsn, .checkpoint_slot_count = checkpoint_slot_count};
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
    rhumb__unlinked_set(graph, checkpoint_slot_count, graph->counts.slot_count);
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
    const uint64_t begin = rhumb__unlinked_begin(graph);
    const uint64_t end = rhumb__min_u64(begin + LINK_BLOCK_SLOTS, rhumb__unlinked_end(graph));
    RHUMB_ASSERT_DEBUG(rhumb__unlinked_end(graph) <= atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    if (begin < end) {
        const long processor_count = sysconf(_SC_NPROCESSORS_ONLN);
        link_job job = {.graph = graph, .pool = pool, .next = begin, .end = end};
        status = rhumb__parallel_run(processor_count < 4 ? 1 : (uint32_t)processor_count / 2, link_worker, &job);
        if (status == RHUMB_OK) rhumb__unlinked_advance(graph, end);
    }
    *left_out = status == RHUMB_OK && end < rhumb__unlinked_end(graph);
    rhumb__mutex_unlock(lock);
    return status;
}
