/* mend_list.c - see mend_list.h. Works in the scratch of its caller. Takes no lock. */
#include "engine/upkeep/mend_list.h"

#include "base/bits.h"
#include "engine/build/link.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/walk/measure.h"

uint32_t rhumb__mend_list(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__mend_spec *spec,
                          uint32_t *slots, uint32_t kept_count) {
    uint32_t selected[RHUMB__M0_MAX];
    rhumb__candidate *candidates = spec->candidates;
    RHUMB_ASSERT_DEBUG(spec->capacity <= RHUMB__M0_MAX && spec->candidate_count <= RHUMB__MEND_CANDIDATES_MAX);
    rhumb__measure_candidates(graph, scratch, spec->slot, candidates, spec->candidate_count);
    rhumb__sort_candidates(candidates, spec->candidate_count);
    const uint32_t selected_count =
        rhumb__select(graph, scratch, (rhumb__candidates){candidates, spec->candidate_count}, spec->capacity, selected);
    /* Neighbours that stay do so: most of a list are nodes that linked back, which the selection would not keep. */
    if (kept_count > spec->capacity) kept_count = 0;
    for (uint32_t i = 0; i < selected_count && kept_count < spec->capacity; i++) {
        if (!rhumb__slots_contain(slots, kept_count, selected[i])) slots[kept_count++] = selected[i];
    }
    /* No list gets shorter: the nearest of the candidates that the selection rejected fill it up. */
    const uint32_t wanted_count = (uint32_t)rhumb__min_u64(spec->before_count, spec->capacity);
    for (uint32_t i = 0; i < spec->candidate_count && kept_count < wanted_count; i++) {
        const uint32_t candidate = candidates[i].slot_mark;
        if (!rhumb__slots_contain(slots, kept_count, candidate)) slots[kept_count++] = candidate;
    }
    return kept_count;
}
