/* reachability.h - how many live nodes no path on level 0 leads to from the entry point: searches do not find them.
 * HNSW loses the last link to a node now and then when lists are pruned.
 */
#ifndef RHUMB_ENGINE_GRAPH_REACHABILITY_H
#define RHUMB_ENGINE_GRAPH_REACHABILITY_H

#include "engine/graph/graph.h"

/* Counts them among the slots below `slot_limit` that have a node and do not wait to be linked. Beside inserts the
 * number can be off by a few: a link that moves while the walk goes on may be missed. Inserts below slot_limit must
 * have finished. With `reached_out`, a bitmap of the slots that were reached is the caller's (rhumb__free). Memory: two
 * bits per slot. RHUMB_E_NOMEM. */
rhumb_status rhumb__reachability_count(rhumb__graph *graph, uint64_t slot_limit, uint64_t **reached_out,
                                       uint64_t *count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_GRAPH_REACHABILITY_H */
