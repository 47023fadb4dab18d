/* batch_search.h - many searches in one call, spread over threads.
 */
#ifndef RHUMB_ENGINE_SEARCH_BATCH_SEARCH_H
#define RHUMB_ENGINE_SEARCH_BATCH_SEARCH_H

#include "engine/search/scratch.h"

typedef struct rhumb__batch_search {
    const void *queries;
    uint64_t query_count;
    uint32_t k;
    uint32_t ef;           /* 0: the index's own */
    uint32_t thread_count; /* 0: one per processor */
    bool exact;
    const rhumb__filter *filter; /* for all queries, or NULL */
    /* The filter of one query, written to `filter`, or NULL if it has none. Called on the thread that searches. NULL:
     * `filter` above counts. */
    const rhumb__filter *(*filter_of)(const void *context, uint64_t query, rhumb__filter *filter);
    const void *filter_context;
    uint64_t *keys;       /* query_count rows of k */
    float *distances;     /* the same, or NULL */
    size_t *found_counts; /* query_count, or NULL */
} rhumb__batch_search;

/* Runs the searches. Results are padded with UINT64_MAX and infinity. */
rhumb_status rhumb__batch_search_run(rhumb__scratch_pool *pool, const rhumb__batch_search *search) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_BATCH_SEARCH_H */
