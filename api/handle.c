/* handle.c - the handle: its parts, and what every call on one begins with; see handle.h.
 *
 * Owns the scratch pool and the refresh lock of each handle. A call works on the graph that it found when it began: a
 * refresh or a compaction exchanges the pool's graph, and the old one is closed when the last call that uses it has
 * returned; the large one of a reader by a thread, of which there is one at a time.
 *
 * Locking: none here; the pool is lock-free, and refresh_lock is taken by those who exchange the graph. Failures leave
 * nothing allocated.
 */
#include "api/handle.h"

#include "base/alloc.h"
#include "base/fork.h"
#include "base/status.h"
#include "base/thread.h"
#include "engine/durability/background.h"
#include "engine/graph/hold.h"
#include "engine/graph/live_key.h"
#include "engine/open.h"
#include "engine/upkeep/compact/compactor.h"
#include "storage/residency.h"
#include "storage/warm_up.h"

/* Unmapping less than this takes no longer than starting a thread. */
#define CLOSED_BY_THREAD_BYTES_MIN (UINT64_C(16) << 20)

rhumb_status rhumb__handle_new(bool read_only, rhumb_index **index_out) {
    rhumb_index *index = rhumb__alloc_zeroed(1, sizeof *index);
    if (index == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a handle");
    if (rhumb__mutex_init(&index->refresh_lock, RHUMB__RANK_REFRESH) != 0) {
        rhumb__free(index);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }
    index->read_only = read_only;
    index->generation = rhumb__fork_generation();
    *index_out = index;
    return RHUMB_OK;
}

void rhumb__handle_attach(rhumb_index *index, rhumb__graph *graph) {
    rhumb__scratch_pool_init(&index->scratch_pool, graph);
    index->writer = graph->writer;
    if (index->writer != NULL) rhumb__compactor_bind(index->writer, &index->scratch_pool, &index->refresh_lock);
}

void rhumb__handle_warm_up(const rhumb_index *index, rhumb__graph *graph) {
    if (index->warm_up != RHUMB_WARM_UP_NONE) {
        rhumb__warm_up_start(graph->store, index->warm_up == RHUMB_WARM_UP_NOW);
    }
}

static void *closer_main(void *graph) {
    rhumb__engine_close(graph);
    return NULL;
}

void rhumb__handle_await_closer(rhumb_index *index) {
    if (index->has_closer) (void)pthread_join(index->closer, NULL);
    index->has_closer = false;
}

void rhumb__handle_close_replaced(rhumb_index *index, rhumb__graph *old) {
    rhumb__mutex_assert_held(&index->refresh_lock);
    rhumb__handle_await_closer(index);
    if (rhumb__residency_mapped_bytes(old->store) >= CLOSED_BY_THREAD_BYTES_MIN && !rhumb__graph_is_held(old)) {
        rhumb__store_give_up(old->store);
        index->has_closer = rhumb__thread_start(&index->closer, closer_main, old) == 0;
    }
    if (!index->has_closer) rhumb__engine_close(old);
}

void rhumb__handle_free(rhumb_index *index) {
    if (index == NULL) return;
    rhumb__scratch_pool_destroy(&index->scratch_pool);
    rhumb__mutex_destroy(&index->refresh_lock);
    rhumb__free(index);
}

rhumb_status rhumb__handle_check(const rhumb_index *index, bool for_writing) {
    if (index == NULL) return rhumb__fail(RHUMB_E_INVALID, "index is NULL");
    const rhumb_status status = rhumb__fork_check(index->generation);
    if (status == RHUMB_OK && for_writing && index->read_only) {
        return rhumb__fail(RHUMB_E_READONLY, "the index was opened read-only");
    }
    return status;
}

bool rhumb__handle_is_forked(const rhumb_index *index) { return index->generation != rhumb__fork_generation(); }

rhumb__graph *rhumb__handle_glance(const rhumb_index *index, rhumb__glance *glance_out) {
    /* The handle's own content does not change. */
    rhumb_index *handle = (rhumb_index *)index;
    *glance_out = (rhumb__glance){.pool = &handle->scratch_pool};
    rhumb__graph *graph = NULL;
    rhumb_error before;
    rhumb__error_save(&before);
    if (rhumb__handle_enter(handle, &glance_out->scratch, &graph) == RHUMB_OK) return graph;
    rhumb__error_restore(&before);
    return rhumb__scratch_pool_borrow(glance_out->pool);
}

void rhumb__handle_glance_end(const rhumb__glance *glance) {
    if (glance->scratch != NULL) {
        rhumb__scratch_give(glance->scratch);
    } else {
        rhumb__scratch_pool_return(glance->pool);
    }
}

rhumb_status rhumb__handle_find(rhumb__graph *graph, uint64_t key, uint32_t *slot_out) {
    *slot_out = rhumb__graph_await_live(graph, key);
    if (*slot_out != RHUMB__SLOT_NONE) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOTFOUND, "key %llu is not in the index", (unsigned long long)key);
}

rhumb_status rhumb__handle_reopen(rhumb__graph *graph, rhumb__graph **fresh_out) {
    rhumb_status status;
    rhumb__graph *fresh = NULL;
    RHUMB_TRY(rhumb__graph_open_as(graph->store->path, graph->graph_only ? RHUMB__STORE_PARTIAL : RHUMB__STORE_READ,
                                   &graph->params.custom, &fresh));
    if (!rhumb__store_is_same(graph->store, fresh->store)) {
        status = rhumb__fail_at(RHUMB_E_NOTFOUND, graph->store->path, RHUMB_OFFSET_NONE,
                                "another index is at this path now");
        goto done;
    }
    *fresh_out = fresh;
    fresh = NULL;
done:
    rhumb__engine_close(fresh);
    return status;
}

rhumb_status rhumb__handle_check_writable(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    const rhumb__writer *writer = index->writer;
    status = rhumb__io_check_mappings(writer->store->io);
    if (status != RHUMB_OK) return status;
    if (rhumb__log_failed(writer->log)) return rhumb__log_check(writer->log);
    if (!atomic_load_explicit(&writer->store->failed, memory_order_relaxed)) {
        rhumb__background_await_room(index->writer);
        return RHUMB_OK;
    }
    return rhumb__fail_at(RHUMB_E_FATAL, writer->store->path, RHUMB_OFFSET_NONE,
                          "an earlier failure to make a checkpoint durable forbids further writing");
}
