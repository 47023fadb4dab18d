/* reachability.h - counts the live nodes that no path on level 0 reaches from the entry point: searches do not find
 * them. The ties of graph/ties.h keep a path to every node, so there are none, unless the file is damaged.
 */
#ifndef RHUMB_ENGINE_GRAPH_REACHABILITY_H
#define RHUMB_ENGINE_GRAPH_REACHABILITY_H

#include "base/progress.h"
#include "engine/graph/graph.h"

/* Counts them among the slots below `slot_limit` that have a node and are not waiting to be linked. Inserts below
 * slot_limit must have finished. While other inserts run, the number can be off by a few: the walk may miss a link that
 * moves. `progress` (may be NULL) is advanced by one for each node. Memory: two bits per slot. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED. */
rhumb_status rhumb__reachability_count(rhumb__graph *graph, uint64_t slot_limit, rhumb__progress *progress,
                                       uint64_t *count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_GRAPH_REACHABILITY_H */
