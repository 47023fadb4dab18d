/* lifetime.h - creating, opening and closing a graph together with its file, its log and its background thread.
 *
 * Compaction and repair work on such graphs. Handles of users come from engine/open.h, which adds the compactor.
 */
#ifndef RHUMB_ENGINE_DURABILITY_LIFETIME_H
#define RHUMB_ENGINE_DURABILITY_LIFETIME_H

#include "engine/build/writer.h"
#include "engine/graph/graph.h"

/* Creates the file with an empty graph, published as the first version. RHUMB_E_INVALID, RHUMB_E_EXISTS, RHUMB_E_NOMEM,
 * what creating and publishing return. */
rhumb_status rhumb__graph_create(const char *path, const rhumb__params *params, const rhumb__graph_options *options,
                                 uint32_t creator_version, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Opens the newest version: for reading when `options` is NULL, otherwise for writing, with the operations that only
 * the log holds. Its cost depends on the number of extents and on the length of the log, not on the number of slots.
 * `custom` is the custom metric that the caller supplies, or NULL. RHUMB_E_METRIC: the index needs another one. What
 * rhumb__store_open, attaching and recovery return. */
rhumb_status rhumb__graph_open(const char *path, const rhumb__graph_options *options,
                               const rhumb__custom_metric *custom, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Opens the newest version for reading, without its vectors, which are not mapped and may be damaged or missing from
 * the file. Keys, levels, lists and tombstones can be read; distances cannot be measured. */
rhumb_status rhumb__graph_open_without_vectors(const char *path, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Stops the graph's threads and releases everything. Writes what the log has in memory, makes no checkpoint, and
 * removes the log's file if it is empty. NULL is fine. */
void rhumb__graph_close(rhumb__graph *graph);

/* Closes a graph whose creation has failed, which no other thread knows, and removes its file. Keeps the thread's error
 * record. NULL is fine. */
void rhumb__graph_abandon(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_DURABILITY_LIFETIME_H */
