/* bulk_insert.h - filling an empty graph with a batch at once: its vectors, and the links of a plan (bulk/plan.h).
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_INSERT_H
#define RHUMB_ENGINE_BUILD_BULK_INSERT_H

#include "engine/build/batch_insert.h"
#include "engine/build/bulk/plan.h"

typedef struct rhumb__bulk_insert_spec {
    const rhumb__batch_insert_spec *batch;
    const rhumb__bulk_plan *plan;
    rhumb__open_batch *open_batch;
    rhumb__scratch_pool *pool;
} rhumb__bulk_insert_spec;

typedef struct rhumb__bulk_insert_result {
    bool applied; /* false: the graph was not empty, and nothing was done */
    uint64_t inserted_count;
    uint64_t lsn; /* of the last record */
} rhumb__bulk_insert_result;

/* Whether the batch is to be filled in at once: when the graph is empty, its vectors are many and of a kind that plans
 * can be made for, and its keys are sound. */
bool rhumb__bulk_insert_pays(rhumb__writer *writer, const rhumb__batch_insert_spec *batch);

/* Places all vectors and writes all lists, while no other operation changes the graph. Calls no progress function.
 * After a failure the nodes that are in are linked all the same. RHUMB_E_NOMEM, RHUMB_E_FULL, and the failures of
 * rhumb__log_reserve. */
rhumb_status rhumb__bulk_insert(rhumb__writer *writer, const rhumb__bulk_insert_spec *spec,
                                rhumb__bulk_insert_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BULK_INSERT_H */
