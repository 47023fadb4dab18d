/* choose.h - from candidates to neighbour lists.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_CHOOSE_H
#define RHUMB_ENGINE_BUILD_BULK_CHOOSE_H

#include "engine/build/bulk/leaf.h"

/* The lists of one level: `capacity` nodes for each, the rest RHUMB__SLOT_NONE. */
typedef struct rhumb__bulk_lists {
    uint32_t capacity;
    uint32_t *slots;
} rhumb__bulk_lists;

typedef struct rhumb__choose_spec {
    const rhumb__bulk_nodes *nodes;
    const rhumb__reservoirs *reservoirs;
    uint32_t chosen_count; /* that a node chooses itself, at most */
    bool keep_pruned;
    float nearness; /* see select_rows.h */
    double share;   /* of the whole that this is; see run.h */
} rhumb__choose_spec;

/* Fills lists->slots, which the caller frees, also after a failure. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__choose(const rhumb__choose_spec *spec, rhumb__bulk_run *run,
                           rhumb__bulk_lists *lists) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BULK_CHOOSE_H */
