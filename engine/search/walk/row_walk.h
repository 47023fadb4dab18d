/* row_walk.h - walking over level 0 by fused rows (row_reader.h). */
#ifndef RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H
#define RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H

#include "engine/search/walk/row_reader.h"

/* Fills scratch->answers, with a capacity of `ef`, with the nearest nodes of level 0 that can be reached from `start`,
 * by the estimates of their codes. Otherwise as rhumb__walk_level. RHUMB_E_NOMEM. */
rhumb_status rhumb__row_walk(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start,
                             uint32_t ef) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_WALK_ROW_WALK_H */
