/* rescore.c - see rescore.h. Works in the scratch of its caller and keeps no state. Takes no lock.
 */
#include "engine/search/walk/rescore.h"

#include "base/bits.h"
#include "distances/code/error.h"
#include "engine/graph/codes.h"
#include "engine/search/walk/measure.h"

/* Candidates that are measured beyond those wanted, whatever their estimates: with 8 bits a fifth, at least these; with
 * 4 bits as many as are wanted. */
#define SPARE_MIN 2u
#define SPARE_SHARE 5u

/* Further candidates are measured while they could be nearer by so many standard deviations; a few at a time; and at
 * most so many for each that is wanted. */
#define DEVIATIONS 3.0
#define MORE_COUNT 4u
#define MEASURED_PER_WANTED 4u

static uint32_t first_count(const rhumb__graph *graph, uint32_t wanted_count) {
    if (graph->coder.bits < 8) return (uint32_t)rhumb__min_u64(2 * (uint64_t)wanted_count, UINT32_MAX);
    const uint32_t share = wanted_count / SPARE_SHARE;
    return wanted_count + (share < SPARE_MIN ? SPARE_MIN : share);
}

static void measure(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate *candidates, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        candidates[i].slot_mark = rhumb__candidate_slot(candidates[i]);
        const uint8_t *row = rhumb__graph_vector(graph, candidates[i].slot_mark);
        __builtin_prefetch(row, 0, 3);
        __builtin_prefetch(row + RHUMB__CACHE_LINE_BYTES, 0, 3);
    }
    rhumb__measure_candidates_exactly(graph, scratch, candidates, count);
}

float rhumb__rescore_least(const rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t slot, float estimate) {
    RHUMB_ASSERT_DEBUG(scratch->measured.coded);
    return rhumb__code_least(&graph->coder, scratch->code_query, rhumb__graph_code(graph, slot), estimate, DEVIATIONS);
}

/* Whether a candidate could be nearer than `distance`. */
static bool could_be_nearer(const rhumb__graph *graph, const rhumb__scratch *scratch, rhumb__candidate candidate,
                            float distance) {
    const uint32_t slot = rhumb__candidate_slot(candidate);
    return rhumb__rescore_least(graph, scratch, slot, candidate.distance) <= distance;
}

uint32_t rhumb__rescore(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate_pool *pool,
                        uint32_t wanted_count) {
    rhumb__candidate *entries = pool->entries;
    RHUMB_ASSERT_DEBUG(scratch->measured.coded && wanted_count > 0);
    uint32_t count = (uint32_t)rhumb__min_u64(first_count(graph, wanted_count), pool->count);
    const uint64_t count_max =
        rhumb__min_u64(pool->count, rhumb__max_u64((uint64_t)wanted_count * MEASURED_PER_WANTED, count));
    measure(graph, scratch, entries, count);
    rhumb__sort_candidates(entries, count);
    while (count < count_max && could_be_nearer(graph, scratch, entries[count], entries[wanted_count - 1].distance)) {
        const uint32_t more_count = (uint32_t)rhumb__min_u64(MORE_COUNT, count_max - count);
        measure(graph, scratch, entries + count, more_count);
        count += more_count;
        rhumb__sort_candidates(entries, count);
    }
    return count;
}

void rhumb__rescore_all(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate_pool *pool) {
    RHUMB_ASSERT_DEBUG(scratch->measured.coded);
    measure(graph, scratch, pool->entries, pool->count);
    rhumb__sort_candidates(pool->entries, pool->count);
}
