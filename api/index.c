/* index.c - the life of a handle: create, open, checkpoint, refresh, close. Checks arguments; the work is the engine's.
 *
 * A handle is a pool of scratch memory and the graph in it. A refresh replaces the graph; calls that began before go on
 * with the old one, which is closed when the last of them has returned.
 */
#include "api/handle.h"
#include "base/alloc.h"
#include "base/status.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/open.h"
#include "engine/upkeep/compact/compactor.h"

#define SYNC_INTERVAL_MS 100u

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
    if (rhumb__mutex_init(&index->refresh_lock, RHUMB__RANK_REFRESH) != 0) {
        rhumb__free(index);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }
    index->read_only = read_only;
    *index_out = index;
    return RHUMB_OK;
}

/* From here on a compaction may exchange the graph of a handle that writes. */
static void handle_begin(rhumb_index *index, rhumb__graph *graph) {
    rhumb__scratch_pool_init(&index->scratch_pool, graph);
    index->writer = graph->writer;
    if (index->writer != NULL) rhumb__compactor_bind(index->writer, &index->scratch_pool, &index->refresh_lock);
}

static void handle_free(rhumb_index *index) {
    if (index == NULL) return;
    rhumb__scratch_pool_destroy(&index->scratch_pool);
    rhumb__mutex_destroy(&index->refresh_lock);
    rhumb__free(index);
}

static rhumb_status check_arguments(const char *path, rhumb_index **index_out) {
    const rhumb_status status = rhumb__path_check(path, "path");
    if (status == RHUMB_OK && index_out == NULL) return rhumb__fail(RHUMB_E_INVALID, "index_out is NULL");
    return status;
}

static rhumb_status take_open_options(const rhumb_open_options *options, rhumb_open_options *resolved) {
    rhumb_open_options_init(resolved, sizeof *resolved);
    rhumb_status status = rhumb__options_take(resolved, sizeof *resolved, options, "rhumb_open_options");
    if (status != RHUMB_OK) return status;
    if ((unsigned)resolved->durability > RHUMB_DURABILITY_NONE) {
        return rhumb__fail(RHUMB_E_INVALID, "durability: %u is none of the modes", (unsigned)resolved->durability);
    }
    if (!(resolved->compact_dead_share >= 0 && resolved->compact_dead_share <= 1)) {
        return rhumb__fail(RHUMB_E_INVALID, "compact_dead_share: expected 0 to 1, found %g",
                           resolved->compact_dead_share);
    }
    if (resolved->sync_interval_ms == 0) resolved->sync_interval_ms = SYNC_INTERVAL_MS;
    return RHUMB_OK;
}

static rhumb_status take_custom(const rhumb_open_options *options, rhumb__custom_metric *custom_out) {
    return rhumb__custom_take(options->custom_name, options->custom_distance, options->custom_context, custom_out);
}

static rhumb__graph_options to_graph_options(const rhumb_open_options *options) {
    return (rhumb__graph_options){
        .durability = options->durability,
        .sync_interval_ms = options->sync_interval_ms,
        .checkpoint_log_bytes = options->checkpoint_log_bytes,
        .checkpoint_bytes_per_second = options->checkpoint_bytes_per_second,
        .discard_log = options->discard_log,
        .compact_dead_share = options->compact_dead_share,
        .compact_bytes_per_second = options->compact_bytes_per_second,
    };
}

rhumb_status rhumb_index_create(const char *path, const rhumb_index_options *options, rhumb_index **index_out) {
    rhumb_status status;
    rhumb_index *index = NULL;
    rhumb__graph *graph = NULL;
    rhumb_index_options resolved;
    rhumb_open_options open_options;
    rhumb_index_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(check_arguments(path, index_out));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_index_options"));
    rhumb__params params = {
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
        .normalise = resolved.normalise,
    };
    RHUMB_TRY(take_open_options(resolved.open, &open_options));
    RHUMB_TRY(take_custom(&open_options, &params.custom));
    if (params.metric == RHUMB_METRIC_CUSTOM && params.custom.distance == NULL) {
        status = rhumb__fail(RHUMB_E_METRIC, "a custom metric needs its name and function, in options.open");
        goto done;
    }
    if (params.metric != RHUMB_METRIC_CUSTOM) params.custom = (rhumb__custom_metric){0};
    if (open_options.read_only || open_options.graph_only) {
        status = rhumb__fail(RHUMB_E_INVALID, "a new index cannot be opened read-only");
        goto done;
    }
    RHUMB_TRY(handle_new(false, &index));
    const rhumb__graph_options graph_options = to_graph_options(&open_options);
    RHUMB_TRY(rhumb__engine_create(path, &params, &graph_options, rhumb_version(), &graph));
    handle_begin(index, graph);
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
    rhumb__custom_metric custom;
    RHUMB_TRY(check_arguments(path, index_out));
    RHUMB_TRY(take_open_options(options, &resolved));
    RHUMB_TRY(take_custom(&resolved, &custom));
    RHUMB_TRY(handle_new(resolved.read_only || resolved.graph_only, &index));
    const rhumb__graph_options graph_options = to_graph_options(&resolved);
    RHUMB_TRY(resolved.graph_only
                  ? rhumb__graph_open_without_vectors(path, &graph)
                  : rhumb__engine_open(path, resolved.read_only ? NULL : &graph_options, &custom, &graph));
    handle_begin(index, graph);
    *index_out = index;
    index = NULL;
done:
    handle_free(index);
    return status;
}

rhumb_status rhumb_index_sync(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    rhumb__writer *writer = index->writer;
    return writer->options.durability == RHUMB_DURABILITY_NONE ? rhumb__checkpoint(writer)
                                                               : rhumb__log_sync(writer->log);
}

rhumb_status rhumb_index_wait_idle(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK || index->read_only) return status;
    rhumb__compactor_wait_idle(index->writer);
    return rhumb__background_wait_idle(index->writer);
}

/* A reader's graph may be replaced at any time, so it is asked for under the lock that a refresh holds. */
static uint64_t ask_lsn(const rhumb_index *index, uint64_t (*of_log)(rhumb__log *log)) {
    if (index == NULL) return 0;
    if (index->writer != NULL) return of_log(index->writer->log);
    rhumb_index *handle = (rhumb_index *)index;
    rhumb__mutex_lock(&handle->refresh_lock);
    const rhumb__graph *graph = atomic_load(&handle->scratch_pool.graph);
    const uint64_t lsn = graph->counts.lsn;
    rhumb__mutex_unlock(&handle->refresh_lock);
    return lsn;
}

uint64_t rhumb_index_lsn(const rhumb_index *index) { return ask_lsn(index, rhumb__log_lsn); }

uint64_t rhumb_index_durable_lsn(const rhumb_index *index) { return ask_lsn(index, rhumb__log_durable_lsn); }

rhumb_status rhumb_index_checkpoint(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    return rhumb__checkpoint(index->writer);
}

rhumb_status rhumb_index_close(rhumb_index *index) {
    if (index == NULL) return RHUMB_OK;
    rhumb_status status = RHUMB_OK;
    if (index->writer != NULL) {
        rhumb__compactor_stop(index->writer);
        status = rhumb__checkpoint_last(index->writer);
    }
    rhumb__engine_close(atomic_load(&index->scratch_pool.graph));
    handle_free(index);
    return status;
}

rhumb_status rhumb__handle_reopen(rhumb__graph *graph, rhumb__graph **fresh_out) {
    rhumb_status status;
    rhumb__graph *fresh = NULL;
    RHUMB_TRY(graph->graph_only ? rhumb__graph_open_without_vectors(graph->store->path, &fresh)
                                : rhumb__engine_open(graph->store->path, NULL, &graph->params.custom, &fresh));
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

rhumb_status rhumb_index_refresh(rhumb_index *index, bool *changed) {
    rhumb__graph *fresh = NULL;
    bool newer = false;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (index->read_only) {
        rhumb__mutex_lock(&index->refresh_lock);
        rhumb__graph *graph = atomic_load(&index->scratch_pool.graph);
        RHUMB_TRY(rhumb__store_has_newer(graph->store, &newer));
        if (newer) {
            RHUMB_TRY(rhumb__handle_reopen(graph, &fresh));
            rhumb__engine_close(rhumb__scratch_pool_switch(&index->scratch_pool, fresh));
        }
    }
    if (changed != NULL) *changed = newer;
done:
    if (index->read_only) rhumb__mutex_unlock(&index->refresh_lock);
    return status;
}
