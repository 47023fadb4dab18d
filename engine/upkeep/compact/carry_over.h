/* carry_over.h - repeats on a new graph the operations that have changed the old one since the version from which the
 * new one was built.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_CARRY_OVER_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_CARRY_OVER_H

#include "engine/search/walk/scratch.h"

typedef struct rhumb__carry_over {
    rhumb__writer *writer;
    rhumb__graph *old;         /* the writer's, which keeps changing */
    rhumb__graph *graph;       /* the new one, which no other thread knows */
    rhumb__scratch_pool *pool; /* of the new one */
    uint64_t lsn;              /* the new graph has everything up to this operation */
    uint64_t carried_count;
    uint64_t delay_max_ns; /* the longest time by which an operation was delayed */
} rhumb__carry_over;

/* Carries over what has been recorded, and links it, until at most `left_max` operations are left. Slows writers down
 * while they are faster. RHUMB_E_CANCELLED, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__carry_over_most(rhumb__carry_over *over, uint64_t left_max) RHUMB_NODISCARD;

/* Carries over the rest while the gate is closed. New nodes are placed but not linked: searches measure them one by one
 * until the background thread has linked them, as after a crash. RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__carry_over_rest(rhumb__carry_over *over) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_CARRY_OVER_H */
