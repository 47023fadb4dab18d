/* batch_write.h - inserts, upserts and deletes that take effect in one moment, or not at all.
 */
#ifndef RHUMB_ENGINE_BUILD_BATCH_WRITE_H
#define RHUMB_ENGINE_BUILD_BATCH_WRITE_H

#include "engine/build/batch_run.h"

typedef struct rhumb__write {
    rhumb__log_type type; /* INSERT, UPSERT or DELETE */
    uint64_t key;
    const void *vector; /* as the caller gives it; not of a delete */
} rhumb__write;

typedef struct rhumb__batch_write_spec {
    rhumb__write (*write)(const void *source, uint64_t i);
    const void *source;
    uint64_t count;
    uint32_t thread_count; /* 0: one per processor */
    bool partial;          /* every item by itself; a failure keeps those before it */
    rhumb__batch_progress progress;
    void *progress_context;
} rhumb__batch_write_spec;

typedef struct rhumb__batch_write_result {
    uint64_t inserted_count; /* by inserts, and by upserts of keys that were not there */
    uint64_t replaced_count;
    uint64_t deleted_count;
    uint64_t missing_count; /* deletes of keys that were not there */
} rhumb__batch_write_result;

/* Carries out all items, and makes them as durable as the log's mode promises. *result is set in every case.
 * RHUMB_E_INVALID: a key occurs twice; RHUMB_E_EXISTS: that of an insert exists; RHUMB_E_CANCELLED; the failures of
 * rhumb__query_set_vector, rhumb__graph_insert and rhumb__graph_delete. */
rhumb_status rhumb__batch_write(rhumb__writer *writer, rhumb__scratch_pool *pool, const rhumb__batch_write_spec *spec,
                                rhumb__batch_write_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BATCH_WRITE_H */
