/* join.h - making one graph of several that lie in succession in one array of slots.
 *
 * Two parts are joined at a time, and then what these have become, until one part is left. On each level, from the
 * highest down, the nodes of the smaller part search the larger one, which makes candidates for both; then every node
 * that has candidates chooses among these and the neighbours that it had, by their vectors. A search begins where that
 * of a neighbour has ended, and need not be wide: so it costs a fraction of what the search of an insert costs. The
 * joined graph does not depend on the number of threads.
 *
 * MEMORY, for each slot: 8 bytes for each of its candidates (rhumb__join_breadth), and about 30 more.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MERGE_JOIN_H
#define RHUMB_ENGINE_UPKEEP_MERGE_JOIN_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

typedef struct rhumb__join_spec {
    rhumb__graph *graph; /* no other thread knows it. Its nodes are not tied, and copies do not hang yet */
    rhumb__scratch_pool *pool;
    uint32_t thread_count;     /* 0: one per processor */
    uint32_t *begins;          /* of each part its first slot, and the end of the last. Overwritten */
    uint32_t part_count;       /* at least 1 */
    const uint32_t *lower;     /* by slot: see regroup.h, for these parts */
    rhumb__progress *progress; /* is at progress_end when all is joined */
    uint64_t progress_end;
} rhumb__join_spec;

/* Joins the parts. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__join(const rhumb__join_spec *spec) RHUMB_NODISCARD;

/* How many candidates a node gets of the other part, at most: somewhat more than M; fewer for so many slots that all
 * candidates would take half of the memory that this process may use. */
uint32_t rhumb__join_breadth(const rhumb__params *params, uint64_t slot_count);

#endif /* RHUMB_ENGINE_UPKEEP_MERGE_JOIN_H */
