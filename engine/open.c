/* open.c - see open.h.
 *
 * Defines the order of start and stop: the compactor starts last and stops first, because it uses everything else. A
 * failure closes, or abandons, what has been opened. Locks: none; no other thread knows the graph yet, or any more.
 */
#include "engine/open.h"

#include "base/status.h"
#include "engine/upkeep/compact/compactor.h"

rhumb_status rhumb__engine_create(const char *path, const rhumb__params *params, const rhumb__graph_options *options,
                                  uint32_t creator_version, rhumb__graph **graph_out) {
    rhumb__graph *graph = NULL;
    const rhumb__graph_creation creation = {
        .path = path, .working_suffix = "-creating", .creator_version = creator_version};
    rhumb_status status = rhumb__graph_create(&creation, params, options, &graph);
    if (status != RHUMB_OK) return status;
    status = rhumb__compactor_new(graph->writer);
    if (status == RHUMB_OK) {
        *graph_out = graph;
    } else {
        rhumb__engine_abandon(graph);
    }
    return status;
}

rhumb_status rhumb__engine_open(const char *path, const rhumb__graph_options *options,
                                const rhumb__custom_metric *custom, rhumb__graph **graph_out) {
    rhumb__graph *graph = NULL;
    rhumb_status status = rhumb__graph_open(path, options, custom, &graph);
    if (status != RHUMB_OK) return status;
    if (graph->writer != NULL) status = rhumb__compactor_new(graph->writer);
    if (status == RHUMB_OK) {
        *graph_out = graph;
    } else {
        rhumb__engine_close(graph);
    }
    return status;
}

void rhumb__engine_close(rhumb__graph *graph) {
    if (graph == NULL) return;
    if (graph->writer != NULL) rhumb__compactor_free(graph->writer);
    rhumb__graph_close(graph);
}

void rhumb__engine_abandon(rhumb__graph *graph) {
    if (graph == NULL) return;
    if (graph->writer != NULL) rhumb__compactor_free(graph->writer);
    rhumb__graph_abandon(graph);
}
