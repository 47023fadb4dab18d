/* exact_search.h - the nearest vectors by measuring every one of them: truth, for recall to be counted against.
 */
#ifndef RHUMB_ENGINE_SEARCH_EXACT_SEARCH_H
#define RHUMB_ENGINE_SEARCH_EXACT_SEARCH_H

#include "engine/search/scratch.h"

/* Gets nodes that have been measured: `count` slots in scratch->batch, their raw distances in scratch->distances. */
typedef void (*rhumb__measured_fn)(void *context, rhumb__scratch *scratch, uint32_t count);

/* Measures all live nodes that `filter` lets through (NULL: all), in the order of slots, and hands them to `take`. The
 * visited set is not used. RHUMB_E_NOMEM. */
rhumb_status rhumb__exact_visit(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                rhumb__measured_fn take, void *context) RHUMB_NODISCARD;

/* The k nearest of them to the query in scratch->query, in scratch->pool: nearest first, equal distances by slot.
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__exact_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                 uint32_t k) RHUMB_NODISCARD;

/* A rhumb__measured_fn that adds to the candidate pool `context`. */
void rhumb__exact_take_nearest(void *context, rhumb__scratch *scratch, uint32_t count);

#endif /* RHUMB_ENGINE_SEARCH_EXACT_SEARCH_H */
