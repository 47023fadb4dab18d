/* index.c - the life of a handle: create, open, close. Checks arguments; the work is done by the engine.
 *
 * A handle is allocated before the engine touches a file, so that a failure to allocate it leaves no file behind. On
 * failure the handle is released here, and the engine has released everything else.
 */
#include "api/handle.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/open.h"
#include "engine/upkeep/compact/compactor.h"
#include "storage/hot_pages.h"

static rhumb_status check_arguments(const char *path, rhumb_index **index_out) {
    const rhumb_status status = rhumb__path_check(path, "path");
    if (status == RHUMB_OK && index_out == NULL) return rhumb__fail(RHUMB_E_INVALID, "index_out is NULL");
    return status;
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
    rhumb__params params;
    rhumb_open_options open_options;
    RHUMB_TRY(check_arguments(path, index_out));
    RHUMB_TRY(rhumb__creation_take(options, &params, &open_options));
    RHUMB_TRY(rhumb__handle_new(false, &index));
    const rhumb__graph_options graph_options = to_graph_options(&open_options);
    RHUMB_TRY(rhumb__engine_create(path, &params, &graph_options, rhumb_version(), &graph));
    rhumb__handle_attach(index, graph);
    *index_out = index;
    index = NULL;
done:
    rhumb__handle_free(index);
    return status;
}

rhumb_status rhumb_index_open(const char *path, const rhumb_open_options *options, rhumb_index **index_out) {
    rhumb_status status;
    rhumb_index *index = NULL;
    rhumb__graph *graph = NULL;
    rhumb_open_options resolved;
    rhumb__custom_metric custom;
    RHUMB_TRY(check_arguments(path, index_out));
    RHUMB_TRY(rhumb__open_options_take(options, &resolved));
    RHUMB_TRY(rhumb__open_custom_take(&resolved, &custom));
    RHUMB_TRY(rhumb__handle_new(resolved.read_only || resolved.graph_only || resolved.immutable, &index));
    const rhumb__graph_options graph_options = to_graph_options(&resolved);
    const int reading =
        (resolved.graph_only ? RHUMB__STORE_PARTIAL : 0) | (resolved.immutable ? RHUMB__STORE_UNLOCKED : 0);
    RHUMB_TRY(index->read_only ? rhumb__graph_open_as(path, (rhumb__store_mode)reading, &custom, &graph)
                               : rhumb__engine_open(path, &graph_options, &custom, &graph));
    RHUMB_TRY(rhumb__io_check_mappings(graph->store->io));
    index->warm_up = resolved.warm_up;
    rhumb__handle_warm_up(index, graph);
    rhumb__handle_attach(index, graph);
    graph = NULL;
    *index_out = index;
    index = NULL;
done:
    rhumb__engine_close(graph);
    rhumb__handle_free(index);
    return status;
}

rhumb_status rhumb_index_close(rhumb_index *index) {
    if (index == NULL) return RHUMB_OK;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) {
        /* The file is the parent's, the threads are not here, and what was mapped has not been inherited. */
        rhumb__handle_free(index);
        return status;
    }
    rhumb__handle_await_closer(index);
    if (index->writer != NULL) {
        rhumb__background_hurry(index->writer);
        rhumb__compactor_stop(index->writer);
        status = rhumb__checkpoint_last(index->writer);
        rhumb__hot_pages_keep(index->writer->store);
    }
    rhumb__engine_close(atomic_load(&index->scratch_pool.graph));
    rhumb__handle_free(index);
    return status;
}
