/* access.c - inserting, deleting and looking up: argument checks, and the way from a handle to the engine.
 *
 * A call takes scratch memory, which also keeps the graph that it works on alive, and releases it before it returns. A
 * call that changes something enters the writer's gate first: while the gate is held, the graph is not exchanged. It
 * waits for the log after it has left the gate, so that threads share the sync.
 */
#include "api/handle.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/build/batch_insert.h"
#include "engine/build/insert.h"
#include "engine/build/remove.h"
#include "engine/build/writer.h"
#include "engine/graph/live_key.h"
#include "engine/search/walk/query.h"
#include "engine/upkeep/compact/compactor.h"

/* Inside the gate, so that the graph is the current one until the operation has been carried out. */
static rhumb_status add_within(rhumb_index *index, const void *vector, rhumb__insertion *insertion) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__query_set_vector(scratch, vector));
    status = rhumb__graph_insert(graph, scratch, insertion);
done:
    return rhumb__handle_leave(scratch, status);
}

static rhumb_status add_one(rhumb_index *index, uint64_t key, const void *vector, bool replace) {
    rhumb_status status = rhumb__handle_check_writable(index);
    if (status != RHUMB_OK) return status;
    if (vector == NULL) return rhumb__fail(RHUMB_E_INVALID, "vector is NULL");
    rhumb__compactor_await_room(index->writer);
    rhumb__insertion insertion = {.key = key, .replace = replace};
    rhumb__writer_enter(index->writer);
    status = add_within(index, vector, &insertion);
    rhumb__writer_leave(index->writer);
    return status == RHUMB_OK ? rhumb__log_wait(index->writer->log, insertion.lsn) : status;
}

rhumb_status rhumb_index_insert(rhumb_index *index, uint64_t key, const void *vector) {
    return add_one(index, key, vector, false);
}

rhumb_status rhumb_index_upsert(rhumb_index *index, uint64_t key, const void *vector) {
    return add_one(index, key, vector, true);
}

rhumb_status rhumb_index_delete(rhumb_index *index, uint64_t key) {
    rhumb_status status = rhumb__handle_check_writable(index);
    if (status != RHUMB_OK) return status;
    uint64_t lsn = 0;
    rhumb__writer_enter(index->writer);
    status = rhumb__graph_delete(atomic_load(&index->writer->graph), key, &lsn);
    rhumb__writer_leave(index->writer);
    if (status == RHUMB_OK) status = rhumb__io_check_mappings(index->writer->store->io);
    return status == RHUMB_OK ? rhumb__log_wait(index->writer->log, lsn) : status;
}

static uint64_t next_key(rhumb__writer *writer) {
    rhumb__writer_enter(writer);
    const uint64_t key = rhumb__graph_key_next(atomic_load(&writer->graph));
    rhumb__writer_leave(writer);
    return key;
}

rhumb_status rhumb_index_insert_batch(rhumb_index *index, const uint64_t *keys, const void *vectors, size_t count,
                                      const rhumb_batch_options *options, size_t *inserted_count) {
    rhumb_status status;
    uint64_t inserted = 0;
    rhumb_batch_options resolved;
    rhumb_batch_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__handle_check_writable(index));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_batch_options"));
    if (vectors == NULL && count > 0) {
        status = rhumb__fail(RHUMB_E_INVALID, "vectors is NULL");
        goto done;
    }
    if (count == 0) goto done;
    rhumb__compactor_await_room_for_batch(index->writer);
    const rhumb__batch_insert_spec spec = {
        .keys = keys,
        .first_key = keys == NULL ? next_key(index->writer) : 0,
        .vectors = vectors,
        .count = count,
        .thread_count = resolved.thread_count,
        .partial = resolved.partial,
        .progress = resolved.progress,
        .progress_context = resolved.progress_context,
    };
    if (count > UINT64_MAX - spec.first_key) {
        status = rhumb__fail(RHUMB_E_FULL, "no %zu keys are left above the largest key ever inserted", count);
        goto done;
    }
    status = rhumb__batch_insert(index->writer, &index->scratch_pool, &spec, &inserted);
    if (status == RHUMB_OK) status = rhumb__io_check_mappings(index->writer->store->io);
done:
    if (inserted_count != NULL) *inserted_count = inserted;
    return status;
}

rhumb_status rhumb_index_get_vector(rhumb_index *index, uint64_t key, void *vector) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    uint32_t slot = RHUMB__SLOT_NONE;
    RHUMB_TRY(rhumb__handle_check(index, false));
    if (vector == NULL) return rhumb__fail(RHUMB_E_INVALID, "vector is NULL");
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__graph_check_vectors(graph));
    RHUMB_TRY(rhumb__handle_find(graph, key, &slot));
    status = rhumb__space_give(&graph->space, rhumb__graph_vector(graph, slot), vector);
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_index_contains(rhumb_index *index, uint64_t key, bool *found) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__handle_check(index, false));
    if (found == NULL) return rhumb__fail(RHUMB_E_INVALID, "found is NULL");
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    *found = rhumb__graph_await_live(graph, key) != RHUMB__SLOT_NONE;
done:
    return rhumb__handle_leave(scratch, status);
}

uint64_t rhumb_index_count(const rhumb_index *index) {
    if (index == NULL || rhumb__handle_is_forked(index)) return 0;
    rhumb__glance glance;
    const uint64_t count = rhumb__graph_live_count(rhumb__handle_glance(index, &glance));
    rhumb__handle_glance_end(&glance);
    return count;
}
