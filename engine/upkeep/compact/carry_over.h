/* carry_over.h - carrying out on a new graph what has changed the old one since the version that it was made from.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_CARRY_OVER_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_CARRY_OVER_H

#include "engine/search/scratch.h"

typedef struct rhumb__carry_over {
    rhumb__writer *writer;
    rhumb__graph *old;         /* the writer's, which goes on changing */
    rhumb__graph *graph;       /* the new one, which nobody else knows */
    rhumb__scratch_pool *pool; /* of the new one */
    uint64_t lsn;              /* the new graph has everything up to this operation */
    uint64_t carried_count;
    uint64_t delay_max_ns; /* by which writers were slowed down at most */
} rhumb__carry_over;

/* Carries over what has been noted, and links it, until at most `left_max` operations are left that came meanwhile.
 * Slows writers down while they are faster. RHUMB_E_CANCELLED, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__carry_over_most(rhumb__carry_over *over, uint64_t left_max) RHUMB_NODISCARD;

/* Carries over the rest while the gate is closed. New nodes are placed and not linked: searches measure them one by one
 * until the thread in the background has linked them, as after a crash. RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__carry_over_rest(rhumb__carry_over *over) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_CARRY_OVER_H */
