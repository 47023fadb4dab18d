/* selective_walk.h - a walk in a graph of which only some nodes may be answers: those that are alive and pass the
 * filter, if there is one.
 */
#ifndef RHUMB_ENGINE_SEARCH_SELECTIVE_WALK_H
#define RHUMB_ENGINE_SEARCH_SELECTIVE_WALK_H

#include "engine/search/search.h"

/* Walks as estimate->plan says. If *finished_out is true, the nearest nodes are in scratch->answers whose groups have
 * members that may be answers, goal->ef of them, or all that the walk could reach; otherwise the walk ended early,
 * because an exact search is cheaper or finds more. RHUMB_E_NOMEM. */
rhumb_status rhumb__selective_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                   const rhumb__filter_estimate *estimate, bool *finished_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_SELECTIVE_WALK_H */
