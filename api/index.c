/* index.c - the life of a handle: create, open, checkpoint, refresh, close. Checks arguments; the work is the engine's.
 *
 * A handle is a pool of scratch memory and the graph in it. A refresh replaces the graph; calls that began before go on
 * with the old one, which is closed when the last of them has returned.
 */
#include <string.h>

#include "api/handle.h"
#include "base/alloc.h"
#include "base/status.h"
#include "engine/checkpoint.h"

rhumb_status rhumb__handle_check(const rhumb_index *index, bool for_writing) {
    if (index == NULL) return rhumb__fail(RHUMB_E_INVALID, "index is NULL");
    if (for_writing && index->read_only) {
        return rhumb__fail(RHUMB_E_READONLY, "the index was opened read-only");
    }
    return RHUMB_OK;
}

static rhumb_status handle_new(bool read_only, rhumb_index **index_out) {
    rhumb_index *index = rhumb__alloc_zeroed(1, sizeof *index);
    if (index == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a handle");
    if (pthread_mutex_init(&index->refresh_lock, NULL) != 0) {
        rhumb__free(index);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }
    index->read_only = read_only;
    *index_out = index;
    return RHUMB_OK;
}

static void handle_free(rhumb_index *index) {
    if (index == NULL) return;
    rhumb__scratch_pool_destroy(&index->scratch_pool);
    pthread_mutex_destroy(&index->refresh_lock);
    rhumb__free(index);
}

static rhumb_status check_path(const char *path, rhumb_index **index_out) {
    if (path == NULL || path[0] == '\0') return rhumb__fail(RHUMB_E_INVALID, "path is NULL or empty");
    if (index_out == NULL) return rhumb__fail(RHUMB_E_INVALID, "index_out is NULL");
    return RHUMB_OK;
}

rhumb_status rhumb_index_create(const char *path, const rhumb_index_options *options, rhumb_index **index_out) {
    rhumb_status status;
    rhumb_index *index = NULL;
    rhumb__graph *graph = NULL;
    rhumb_index_options resolved;
    rhumb_index_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(check_path(path, index_out));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_index_options"));
    const rhumb__params params = {
        .metric = resolved.metric,
        .element = resolved.element,
        .dim = resolved.dim,
        .M = resolved.M,
        .M0 = resolved.M0 == 0 ? 2 * resolved.M : resolved.M0,
        .ef_construction = resolved.ef_construction,
        .ef_search = resolved.ef_search,
        .level_max = resolved.level_max,
        .level_scale = resolved.level_scale,
        .seed = resolved.seed,
        .extend_candidates = resolved.extend_candidates,
        .keep_pruned = resolved.keep_pruned,
    };
    RHUMB_TRY(handle_new(false, &index));
    RHUMB_TRY(rhumb__graph_create(path, &params, rhumb_version(), &graph));
    rhumb__scratch_pool_init(&index->scratch_pool, graph);
    *index_out = index;
    index = NULL;
done:
    handle_free(index);
    return status;
}

rhumb_status rhumb_index_open(const char *path, const rhumb_open_options *options, rhumb_index **index_out) {
    rhumb_status status;
    rhumb_index *index = NULL;
    rhumb__graph *graph = NULL;
    rhumb_open_options resolved;
    rhumb_open_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(check_path(path, index_out));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_open_options"));
    RHUMB_TRY(handle_new(resolved.read_only, &index));
    RHUMB_TRY(rhumb__graph_open(path, !resolved.read_only, &graph));
    rhumb__scratch_pool_init(&index->scratch_pool, graph);
    *index_out = index;
    index = NULL;
done:
    handle_free(index);
    return status;
}

rhumb_status rhumb_index_checkpoint(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    return rhumb__checkpoint(atomic_load(&index->scratch_pool.graph));
}

rhumb_status rhumb_index_close(rhumb_index *index) {
    if (index == NULL) return RHUMB_OK;
    rhumb__graph *graph = atomic_load(&index->scratch_pool.graph);
    rhumb_status status = index->read_only ? RHUMB_OK : rhumb__checkpoint(graph);
    rhumb__graph_close(graph);
    handle_free(index);
    return status;
}

rhumb_status rhumb_index_refresh(rhumb_index *index, bool *changed) {
    rhumb__graph *fresh = NULL;
    bool newer = false;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (index->read_only) {
        pthread_mutex_lock(&index->refresh_lock);
        rhumb__graph *graph = atomic_load(&index->scratch_pool.graph);
        RHUMB_TRY(rhumb__store_has_newer(graph->store, &newer));
        if (newer) {
            RHUMB_TRY(rhumb__graph_open(graph->store->path, false, &fresh));
            if (memcmp(fresh->store->superblock.uuid, graph->store->superblock.uuid, 16) != 0) {
                status = rhumb__fail_at(RHUMB_E_NOTFOUND, graph->store->path, RHUMB_OFFSET_NONE,
                                        "another index is at this path now");
                goto done;
            }
            rhumb__graph_close(rhumb__scratch_pool_switch(&index->scratch_pool, fresh));
            fresh = NULL;
        }
    }
    if (changed != NULL) *changed = newer;
done:
    rhumb__graph_close(fresh);
    if (index->read_only) pthread_mutex_unlock(&index->refresh_lock);
    return status;
}
