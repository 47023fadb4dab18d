/* select.h - choosing a node's neighbours among candidates: the paper's heuristic (algorithm 4).
 */
#ifndef RHUMB_ENGINE_BUILD_SELECT_H
#define RHUMB_ENGINE_BUILD_SELECT_H

#include "engine/search/scratch.h"

/* From `count` candidates of a node, sorted by their distance to it, chooses at most `limit` into `selected`: a
 * candidate is taken unless one taken before is nearer to it than the node is, so links lead in different directions.
 * With keep_pruned the places left over are filled with the nearest of those passed over. Returns how many. Slots are
 * below scratch->slot_limit. */
uint32_t rhumb__select(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__candidate *candidates,
                       uint32_t count, uint32_t limit, uint32_t *selected);

#endif /* RHUMB_ENGINE_BUILD_SELECT_H */
