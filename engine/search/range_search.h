/* range_search.h - all nodes within a radius of a query.
 */
#ifndef RHUMB_ENGINE_SEARCH_RANGE_SEARCH_H
#define RHUMB_ENGINE_SEARCH_RANGE_SEARCH_H

#include "engine/search/scratch.h"

typedef struct rhumb__range_search {
    float radius;                /* in the metric's own unit; what is exactly so far is within */
    uint64_t limit;              /* at most so many are found, then the nearest */
    uint32_t ef;                 /* breadth of the search for the nearest, with which it begins */
    const rhumb__filter *filter; /* or NULL */
    uint64_t *keys;              /* limit places */
    float *distances;            /* the same, or NULL */
} rhumb__range_search;

/* The query is in scratch->query. Answers are sorted by distance; places behind them are filled with UINT64_MAX and
 * infinity. RHUMB_E_NOMEM, and what a filter may return. */
rhumb_status rhumb__range_search_run(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__range_search *search,
                                     uint64_t *found_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_RANGE_SEARCH_H */
