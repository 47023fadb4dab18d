/* row_walk.h - walking over level 0 by fused rows (graph/fused_row.h): one place in memory for each step.
 *
 * A candidate waits with an estimate of one or two bits a component, made from the row of the node through which it was
 * met. When its turn comes, its own code is in the row that is read anyway, and says more precisely how far it is. So
 * there are two pools: candidates by the first estimates, and what has been expanded by the second.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H
#define RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H

#include "engine/graph/fused.h"
#include "engine/search/walk/walk.h"

/* Whether the scratch, which measures codes, can walk by rows. */
static inline bool rhumb__row_walk_pays(const rhumb__graph *graph, const rhumb__scratch *scratch) {
    return scratch->measured.coded && rhumb__fused_count(graph) > 0;
}

/* Fills scratch->answers, with a capacity of `ef`, with the nearest nodes of level 0 that can be reached from `start`,
 * by the estimates of their codes. Otherwise as rhumb__walk_level. RHUMB_E_NOMEM. */
rhumb_status rhumb__row_walk(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start,
                             uint32_t ef) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H */
