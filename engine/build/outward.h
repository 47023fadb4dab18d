/* outward.h - what the metric itself finds near a node that is being linked, where another distance chooses links.
 *
 * Under ip (distances/link_kernels.h) a vector that is far longer than all others is the answer to half of all queries,
 * and by the linking distance nearly the last candidate of every other node. So a node also gets a link to the nearest
 * node by the metric, and takes the nearest few into the candidates for its own links: long vectors find each other.
 */
#ifndef RHUMB_ENGINE_BUILD_OUTWARD_H
#define RHUMB_ENGINE_BUILD_OUTWARD_H

#include "engine/search/walk/scratch.h"

/* How far the metric is followed: as little as finds the nearest mostly, since it is a search in addition. */
#define RHUMB__OUTWARD_EF 24u

typedef struct rhumb__outward {
    uint32_t slots[RHUMB__OUTWARD_EF]; /* the nearest first */
    uint32_t count;
} rhumb__outward;

/* Finds the nearest nodes by the metric, if nodes are linked by another distance; otherwise none. Uses the pool and the
 * visited set of the scratch, and leaves the scratch measuring by the distance that links. */
void rhumb__outward_find(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t own_slot, rhumb__outward *outward);

#endif /* RHUMB_ENGINE_BUILD_OUTWARD_H */
