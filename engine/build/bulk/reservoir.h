/* reservoir.h - the nearest candidates of many nodes, a bounded number of each.
 *
 * A reservoir has the nearest of all candidates that it was ever given, each once, in the order of distance and number.
 * So what it has in the end does not depend on the order in which it was given them. Any number of threads may give.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_RESERVOIR_H
#define RHUMB_ENGINE_BUILD_BULK_RESERVOIR_H

#include <stdatomic.h>
#include <string.h>

#include "engine/search/walk/candidate_pool.h"
#include "include/rhumb_types.h"

#define RHUMB__RESERVOIR_CAPACITY_MAX 256u

typedef struct rhumb__reservoirs {
    uint32_t capacity; /* of each */
    rhumb__candidate *entries;
    uint16_t *counts;
    _Atomic uint32_t *limits; /* the bits of the distance beyond which a candidate is refused */
    atomic_flag *locks;
} rhumb__reservoirs;

/* The order of candidates: by distance, and equal ones by number. */
static inline bool rhumb__candidate_precedes(rhumb__candidate a, rhumb__candidate b) {
    return a.distance < b.distance || (a.distance == b.distance && a.slot_mark < b.slot_mark);
}

/* To be freed also after a failure. RHUMB_E_NOMEM. */
rhumb_status rhumb__reservoirs_make(uint64_t count, uint32_t capacity, rhumb__reservoirs *reservoirs) RHUMB_NODISCARD;

void rhumb__reservoirs_free(rhumb__reservoirs *reservoirs);

/* Gives candidates, in their order, to the reservoir of a node. */
void rhumb__reservoirs_give(rhumb__reservoirs *reservoirs, uint32_t node, const rhumb__candidate *candidates,
                            uint32_t count);

/* The distance beyond which a candidate is refused: infinity while there is room. */
static inline float rhumb__reservoirs_limit(const rhumb__reservoirs *reservoirs, uint32_t node) {
    const uint32_t bits = atomic_load_explicit(&reservoirs->limits[node], memory_order_relaxed);
    float limit;
    memcpy(&limit, &bits, sizeof limit);
    return limit;
}

#endif /* RHUMB_ENGINE_BUILD_BULK_RESERVOIR_H */
