/* tie_walk.h - ties the nodes of a graph whose lists are there already (graph/ties.h). Only the thread of the caller
 * may use the graph in the meantime.
 */
#ifndef RHUMB_ENGINE_BUILD_TIE_WALK_H
#define RHUMB_ENGINE_BUILD_TIE_WALK_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

/* Makes `root` the root, and ties every node that the lists of level 0 lead to from there. Where the list of a node
 * lacks its anchor it gets the link, in place of its farthest neighbour if it is full. No node is tied before, copies
 * hang already. *tied_count_out is the number of nodes that are tied then. Memory: 6 bytes per slot.
 * `progress` is asked now and then whether to stop. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__tie_walk(rhumb__graph *graph, rhumb__scratch_pool *pool, uint32_t root, rhumb__progress *progress,
                             uint64_t *tied_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_TIE_WALK_H */
