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

/* The nodes of one level, and their lists of nodes. */
typedef struct rhumb__bulk_level {
    uint32_t *items; /* by node; they ascend */
    uint64_t count;
    rhumb__bulk_lists lists;
} rhumb__bulk_level;

typedef struct rhumb__choose_spec {
    const rhumb__bulk_nodes *nodes;
    const rhumb__reservoirs *reservoirs;
    const rhumb__bulk_level *above; /* the level above, with its lists; NULL: there is none */
    uint32_t chosen_count;          /* candidates that a node chooses itself, at most */
    uint32_t far_count;             /* links of the level above that a node has here too, at most */
    bool keep_pruned;
    float nearness; /* see select_rows.h */
    double share;   /* of the whole that this is; see run.h */
} rhumb__choose_spec;

/* Fills lists->slots, which the caller frees, also after a failure. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__choose(const rhumb__choose_spec *spec, rhumb__bulk_run *run,
                           rhumb__bulk_lists *lists) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BULK_CHOOSE_H */
