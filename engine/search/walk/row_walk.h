/* row_walk.h - walking over level 0 by fused rows (row_reader.h). */
#ifndef RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H
#define RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H

#include "engine/search/walk/row_reader.h"

/* Fills scratch->answers, with a capacity of goal->ef, with the nearest nodes of level 0 that pass and can be reached
 * from `start`, by the estimates of their codes. *ended_out is whether the walk came to its end; otherwise more nodes
 * did not pass than may. Otherwise as rhumb__walk_level. RHUMB_E_NOMEM. */
rhumb_status rhumb__row_walk(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start,
                             const rhumb__walk_goal *goal, bool *ended_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H */
