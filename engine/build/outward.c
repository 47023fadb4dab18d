/* outward.c - see outward.h. Works in the scratch of its caller. Takes no lock. */
#include "engine/build/outward.h"

#include "base/bits.h"
#include "engine/search/walk/walk.h"

void rhumb__outward_find(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t own_slot, rhumb__outward *outward) {
    outward->count = 0;
    if (graph->space.link.distance_many == graph->space.distance_many) return;
    const rhumb__kernels link_kernels = scratch->kernels;
    const uint32_t ef = (uint32_t)rhumb__min_u64(RHUMB__OUTWARD_EF, graph->params.ef_construction);
    uint32_t top;
    scratch->kernels = (rhumb__kernels){graph->space.distance, graph->space.distance_many};
    rhumb__visited_clear(&scratch->visited);
    if (own_slot < scratch->slot_limit) (void)rhumb__visited_add(&scratch->visited, own_slot);
    const rhumb__nearest start = rhumb__walk_descend(graph, scratch, 0, &top);
    if (start.slot != RHUMB__SLOT_NONE) {
        rhumb__walk_level(graph, scratch, start, 0, ef);
        for (; outward->count < scratch->pool.count; outward->count++) {
            outward->slots[outward->count] = rhumb__candidate_slot(scratch->pool.entries[outward->count]);
        }
    }
    scratch->kernels = link_kernels;
}
