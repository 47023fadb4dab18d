/* select.c - choosing the neighbours of a node among candidates; see link.h. Works in the scratch of its caller and
 * keeps no state.
 */
#include "base/assert.h"
#include "engine/build/link.h"
#include "engine/search/walk/measure.h"

#ifndef NDEBUG
/* Whether the candidates are as rhumb__candidates wants them. A distance that is not a number is in no order. */
static bool are_sorted_and_present(const rhumb__graph *graph, rhumb__candidates candidates) {
    const uint64_t slot_limit = atomic_load(&graph->slot_limit);
    for (uint32_t i = 0; i < candidates.count; i++) {
        if (rhumb__candidate_slot(candidates.entries[i]) >= slot_limit) return false;
        if (i > 0 && candidates.entries[i - 1].distance > candidates.entries[i].distance) return false;
    }
    return true;
}
#endif

uint32_t rhumb__select(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidates candidates,
                       uint32_t capacity, uint32_t *selected) {
    RHUMB_ASSERT_DEBUG(are_sorted_and_present(graph, candidates));
    const rhumb__section *vectors = &graph->sections[RHUMB__SECTION_VECTORS];
    const rhumb__select_from from = {.space = &graph->space,
                                     .rows = vectors->base,
                                     .row_stride_bytes = vectors->row_stride_bytes,
                                     .nearness = 1.0f,
                                     .keep_pruned = graph->params.keep_pruned,
                                     .kept_rows = scratch->kept_rows};
    return rhumb__select_rows(&from, candidates, capacity, selected);
}
