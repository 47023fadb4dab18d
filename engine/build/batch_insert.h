/* batch_insert.h - many inserts in one call, spread over threads.
 */
#ifndef RHUMB_ENGINE_BUILD_BATCH_INSERT_H
#define RHUMB_ENGINE_BUILD_BATCH_INSERT_H

#include "engine/build/batch_run.h"

typedef struct rhumb__batch_insert_spec {
    const uint64_t *keys; /* NULL: consecutive numbers from first_key on */
    uint64_t first_key;
    const void *vectors; /* one after the other, in the space's own length */
    uint64_t count;
    uint32_t thread_count; /* 0: one per processor */
    bool partial;          /* on failure, keep what was inserted before it; otherwise the batch is all or nothing */
    rhumb__batch_progress progress;
    void *progress_context;
} rhumb__batch_insert_spec;

/* Inserts the vectors, and makes them as durable as the log's mode promises. The first failure stops all threads.
 * *inserted_count_out is set in every case. RHUMB_E_CANCELLED: progress returned false; the failures of
 * rhumb__query_set_vector and rhumb__graph_insert. */
rhumb_status rhumb__batch_insert(rhumb__writer *writer, rhumb__scratch_pool *pool, const rhumb__batch_insert_spec *spec,
                                 uint64_t *inserted_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BATCH_INSERT_H */
