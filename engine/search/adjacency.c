/* adjacency.c - see adjacency.h. Lists of several levels are merged with the set of visited slots. Takes no lock.
 */
#include "engine/search/adjacency.h"

#include "base/bits.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"
#include "engine/search/walk/measure.h"

rhumb_status rhumb__adjacency_prepare(rhumb__scratch *scratch) {
    const rhumb_status status = rhumb__scratch_prepare_search(scratch, 1);
    return status == RHUMB_OK ? rhumb__scratch_prepare_insert(scratch, RHUMB__ADJACENCY_MAX) : status;
}

static bool is_live(const rhumb__graph *graph, uint32_t slot) {
    return (rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0 && !rhumb__graph_is_dead(graph, slot);
}

uint32_t rhumb__adjacency_read(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                               uint64_t slot_limit) {
    RHUMB_ASSERT_DEBUG(slot < slot_limit && scratch->candidate_capacity >= RHUMB__ADJACENCY_MAX);
    uint32_t count = 0;
    /* The visited set has room for slots below scratch->slot_limit. */
    const uint64_t limit = rhumb__min_u64(slot_limit, scratch->slot_limit);
    const uint32_t node_level =
        (uint32_t)rhumb__min_u64(rhumb__node_level(rhumb__graph_node(graph, slot)), RHUMB__LEVEL_MAX);
    const uint32_t first = level == RHUMB__LEVELS_ALL ? 0 : level;
    const uint32_t last = level == RHUMB__LEVELS_ALL ? node_level : level;
    rhumb__visited_clear(&scratch->visited);
    for (uint32_t i = first; i <= last; i++) {
        const rhumb__list list = rhumb__graph_list(graph, slot, i);
        const uint32_t entry_count = list.slots == NULL ? 0 : rhumb__list_read(&list, scratch->list);
        for (uint32_t k = 0; k < entry_count; k++) {
            const uint32_t neighbour = scratch->list[k];
            if (neighbour >= limit || neighbour == slot || !is_live(graph, neighbour)) continue;
            if (rhumb__visited_add(&scratch->visited, neighbour)) continue;
            scratch->candidates[count++] = (rhumb__candidate){.slot_mark = neighbour};
        }
    }
    return count;
}

void rhumb__adjacency_measure(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= scratch->candidate_capacity);
    rhumb__measure_neighbours(graph, scratch, slot, scratch->candidates, count);
    rhumb__sort_candidates(scratch->candidates, count);
}
