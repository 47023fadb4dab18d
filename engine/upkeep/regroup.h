/* regroup.h - finds the groups of equal vectors (graph/ties.h) in a graph whose nodes are placed and not linked yet.
 *
 * Memory of both: 16 to 32 bytes per slot, for the length of the call. `progress` is asked now and then whether to
 * stop.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REGROUP_H
#define RHUMB_ENGINE_UPKEEP_REGROUP_H

#include "base/progress.h"
#include "engine/graph/graph.h"

/* Makes every node a copy of the one with the lowest slot that has the same vector. No other thread knows the graph.
 * RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__regroup(rhumb__graph *graph, rhumb__progress *progress) RHUMB_NODISCARD;

/* Parts of a graph, each of which has groups of its own. */
typedef struct rhumb__regroup_parts {
    const uint32_t *begins; /* of each its first slot, and the end of the last */
    uint32_t count;
    uint32_t *lower; /* out, by slot: the lowest slot of its part that has the same vector; of such a one that of the
                        last part before that has the vector; if none has, the slot itself */
} rhumb__regroup_parts;

/* Finds the equal vectors of each part and of the parts before it, and changes nothing. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED. */
rhumb_status rhumb__regroup_find(const rhumb__graph *graph, const rhumb__regroup_parts *parts,
                                 rhumb__progress *progress) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_REGROUP_H */
