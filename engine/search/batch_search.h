/* batch_search.h - many searches in one call, spread over threads.
 */
#ifndef RHUMB_ENGINE_SEARCH_BATCH_SEARCH_H
#define RHUMB_ENGINE_SEARCH_BATCH_SEARCH_H

#include <stddef.h>

#include "engine/search/search.h"

typedef struct rhumb__batch_search {
    rhumb__request request; /* of every query, apart from the query itself and, with filter_of, the filter */
    const void *queries;    /* one after the other, in the space's own length */
    uint64_t query_count;
    uint32_t thread_count; /* 0: one per processor */
    /* Returns the filter of one query, which it writes to `filter`, or NULL if the query has none. Called on the thread
     * that searches. NULL: the request's filter is valid for all. */
    const rhumb__filter *(*filter_of)(const void *context, uint64_t query, rhumb__filter *filter);
    const void *filter_context;
    uint32_t k;
    uint64_t *keys;       /* query_count rows of k */
    float *distances;     /* the same, or NULL */
    size_t *found_counts; /* query_count, or NULL */
    /* Called by the calling thread, about ten times a second and at the end of a success; false stops. May be NULL. */
    bool (*progress)(void *context, uint64_t done_count, uint64_t total_count);
    void *progress_context;
} rhumb__batch_search;

/* Runs the searches; the first failure ends all. A query that is wrong is found before anything is written to the
 * caller's arrays, and named. The failures of rhumb__search_run; RHUMB_E_CANCELLED: progress returned false. */
rhumb_status rhumb__batch_search_run(rhumb__scratch_pool *pool, const rhumb__batch_search *search) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_BATCH_SEARCH_H */
