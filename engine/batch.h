/* batch.h - many inserts or searches in one call, spread over threads.
 */
#ifndef RHUMB_ENGINE_BATCH_H
#define RHUMB_ENGINE_BATCH_H

#include "engine/scratch.h"

typedef bool (*rhumb__batch_progress)(void *context, uint64_t done_count, uint64_t total_count);

/* Inserts `count` vectors of `vector_bytes` each that lie one after the other. keys NULL: consecutive numbers from
 * first_key on. The first failure stops all threads. *inserted_count_out is set in every case. RHUMB_E_CANCELLED when
 * progress says stop. */
rhumb_status rhumb__batch_insert(rhumb__scratch_pool *pool, const uint64_t *keys, uint64_t first_key,
                                 const void *vectors, uint64_t count, uint32_t thread_count,
                                 rhumb__batch_progress progress, void *progress_context,
                                 uint64_t *inserted_count_out) RHUMB_NODISCARD;

typedef struct rhumb__batch_search {
    const void *queries;
    uint64_t query_count;
    uint32_t k;
    uint32_t ef;           /* 0: the index's own */
    uint32_t thread_count; /* 0: one per processor */
    bool exact;
    uint64_t *keys;       /* query_count rows of k */
    float *distances;     /* the same, or NULL */
    size_t *found_counts; /* query_count, or NULL */
} rhumb__batch_search;

/* Runs the searches. Results are padded with UINT64_MAX and infinity. */
rhumb_status rhumb__batch_search_run(rhumb__scratch_pool *pool, const rhumb__batch_search *search) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BATCH_H */
