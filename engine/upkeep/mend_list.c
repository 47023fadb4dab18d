/* mend_list.c - see mend_list.h. Works in the scratch of its caller. Takes no lock. */
#include "engine/upkeep/mend_list.h"

#include "base/bits.h"
#include "base/status.h"
#include "engine/build/link.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/walk/measure.h"
#include "engine/search/walk/query.h"

/* Candidates that are measured by their vectors, for each place of the list: those that are nearest by their codes.
 * With 8, recall after a compaction was what it is when all are measured (words, a quarter deleted); with 2, which is
 * as many as a node has when an index is built in bulk, 0.003 to 0.007 less at equal ef. Of an index that memory cannot
 * hold each vector is a read. */
#define MEASURED_PER_PLACE 8u
#define READ_PER_PLACE 2u

/* Keeps the nearest candidates by their codes, where there are more than are to be measured and the graph has codes: a
 * node has many hundred neighbours of neighbours. Returns how many are left, at the beginning. */
static uint32_t shorten(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__mend_spec *spec) {
    rhumb__candidate *candidates = spec->candidates;
    const uint32_t per_place = rhumb__store_exceeds_memory(graph->store) ? READ_PER_PLACE : MEASURED_PER_PLACE;
    const uint32_t kept_count = per_place * spec->capacity;
    const uint32_t count = spec->candidate_count;
    if (count <= kept_count || !graph->coded) return count;
    rhumb_error before;
    rhumb__error_save(&before);
    if (rhumb__query_set_row(scratch, rhumb__graph_vector(graph, spec->slot)) != RHUMB_OK) {
        rhumb__error_restore(&before);
        return count;
    }
    rhumb__query_use_link_distance(scratch);
    if (!rhumb__query_use_codes(scratch)) return count;
    for (uint32_t begin = 0; begin < count; begin += RHUMB__BATCH_MAX) {
        const uint32_t batch_count = (uint32_t)rhumb__min_u64(count - begin, RHUMB__BATCH_MAX);
        for (uint32_t i = 0; i < batch_count; i++) scratch->batch[i] = candidates[begin + i].slot_mark;
        rhumb__measure_batch(graph, scratch, batch_count);
        for (uint32_t i = 0; i < batch_count; i++) candidates[begin + i].distance = scratch->distances[i];
    }
    rhumb__sort_candidates(candidates, count);
    return kept_count;
}

uint32_t rhumb__mend_list(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__mend_spec *spec,
                          uint32_t *slots, uint32_t kept_count) {
    uint32_t selected[RHUMB__M0_MAX];
    rhumb__candidate *candidates = spec->candidates;
    RHUMB_ASSERT_DEBUG(spec->capacity <= RHUMB__M0_MAX && spec->candidate_count <= RHUMB__MEND_CANDIDATES_MAX);
    const uint32_t candidate_count = shorten(graph, scratch, spec);
    rhumb__measure_candidates(graph, scratch, spec->slot, candidates, candidate_count);
    rhumb__sort_candidates(candidates, candidate_count);
    const uint32_t selected_count =
        rhumb__select(graph, scratch, (rhumb__candidates){candidates, candidate_count}, spec->capacity, selected);
    /* Neighbours that stay do so: most of a list are nodes that linked back, which the selection would not keep. */
    if (kept_count > spec->capacity) kept_count = 0;
    for (uint32_t i = 0; i < selected_count && kept_count < spec->capacity; i++) {
        if (!rhumb__slots_contain(slots, kept_count, selected[i])) slots[kept_count++] = selected[i];
    }
    /* No list gets shorter: the nearest of the candidates that the selection rejected fill it up. */
    const uint32_t wanted_count = (uint32_t)rhumb__min_u64(spec->before_count, spec->capacity);
    for (uint32_t i = 0; i < candidate_count && kept_count < wanted_count; i++) {
        const uint32_t candidate = candidates[i].slot_mark;
        if (!rhumb__slots_contain(slots, kept_count, candidate)) slots[kept_count++] = candidate;
    }
    return kept_count;
}
