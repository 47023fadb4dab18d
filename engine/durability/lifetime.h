/* lifetime.h - creating, opening and closing a graph together with its file, its log and its background thread.
 *
 * Compaction and repair work on such graphs. Handles of users come from engine/open.h, which adds the compactor.
 */
#ifndef RHUMB_ENGINE_DURABILITY_LIFETIME_H
#define RHUMB_ENGINE_DURABILITY_LIFETIME_H

#include "engine/build/writer.h"
#include "engine/graph/graph.h"

/* Creates the file with an empty graph, published as the first version. */
rhumb_status rhumb__graph_create(const char *path, const rhumb__params *params, const rhumb__graph_options *options,
                                 uint32_t creator_version, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Opens the newest version: for reading when `options` is NULL, otherwise for writing, with what the log holds beyond
 * it. Its cost depends on the number of extents and on the length of the log, not on the number of slots. `custom` is
 * the custom metric that the caller supplies, or NULL. RHUMB_E_METRIC: the index has one, and that is not it. */
rhumb_status rhumb__graph_open(const char *path, const rhumb__graph_options *options,
                               const rhumb__custom_metric *custom, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Opens the newest version for reading, without its vectors: they are not mapped, and may be damaged or missing from
 * the file. Keys, levels, lists and tombstones can be read, and nothing can be measured. */
rhumb_status rhumb__graph_open_without_vectors(const char *path, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Stops the graph's threads and releases everything; writes what the log still has in memory, and nothing else. The
 * log's file goes if nothing is in it. NULL is fine. */
void rhumb__graph_close(rhumb__graph *graph);

/* Closes a graph that was created and has come to nothing, and removes its file. Nobody else knows it. Keeps the
 * thread's error record. NULL is fine. */
void rhumb__graph_abandon(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_DURABILITY_LIFETIME_H */
