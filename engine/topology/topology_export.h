/* topology_export.h - writing the graph of an index into a topology file.
 */
#ifndef RHUMB_ENGINE_TOPOLOGY_TOPOLOGY_EXPORT_H
#define RHUMB_ENGINE_TOPOLOGY_TOPOLOGY_EXPORT_H

#include "engine/graph/graph.h"
#include "engine/topology/topology.h"

typedef struct rhumb__topology_export_spec {
    const char *path;
    uint32_t creator_version;
    uint32_t thread_count; /* 0: one per processor */
    bool all_levels;       /* merge the neighbours of all levels; otherwise those of level 0 */
    bool with_distances;
    bool (*progress)(void *context, uint64_t done_count, uint64_t total_count); /* may be NULL */
    void *progress_context;
} rhumb__topology_export_spec;

/* Writes the file; `header_out` gets its header. `graph` is a reader that nobody switches meanwhile: what it shows does
 * not change, and it has its vectors. Until the file is whole and durable it has "-exporting" behind its name; on
 * failure it is removed. Memory: 20 bytes per slot while keys are sorted, then 4 per slot and 12 per point.
 * RHUMB_E_EXISTS, RHUMB_E_CANCELLED, RHUMB_E_CORRUPT, RHUMB_E_NOMEM, RHUMB_E_NOSPACE, RHUMB_E_IO, RHUMB_E_FATAL. */
rhumb_status rhumb__topology_export(rhumb__graph *graph, const rhumb__topology_export_spec *spec,
                                    rhumb__topology_header *header_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_TOPOLOGY_TOPOLOGY_EXPORT_H */
