/* rescore.c - see rescore.h. Works in the scratch of its caller and keeps no state. Takes no lock.
 */
#include "engine/search/walk/rescore.h"

#include "base/bits.h"
#include "distances/code/error.h"
#include "engine/graph/codes.h"
#include "engine/search/walk/measure.h"

/* Candidates that are measured beyond those wanted, whatever their estimates: a fifth, at least these. */
#define SPARE_MIN 2u
#define SPARE_SHARE 5u

/* Others are measured if they could be nearer by so many standard deviations; of an index that memory cannot hold each
 * is a read, and fewer are: that took a fifth of the reads and 0.001 of the recall with 4 bits. At most so many in all
 * for each that is wanted. */
#define DEVIATIONS 3.0
#define DEVIATIONS_ON_DISK 2.5
#define MEASURED_PER_WANTED 4u

static uint32_t spare_count(uint32_t wanted_count) {
    const uint32_t share = wanted_count / SPARE_SHARE;
    return share < SPARE_MIN ? SPARE_MIN : share;
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

static float least_of(const rhumb__graph *graph, const rhumb__scratch *scratch, rhumb__candidate candidate,
                      double deviations) {
    const void *code = rhumb__graph_code(graph, rhumb__candidate_slot(candidate));
    return rhumb__code_least(&graph->coder, scratch->code_query, code, candidate.distance, deviations);
}

float rhumb__rescore_least(const rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t slot, float estimate) {
    RHUMB_ASSERT_DEBUG(scratch->measured.coded);
    return least_of(graph, scratch, (rhumb__candidate){.distance = estimate, .slot_mark = slot}, DEVIATIONS);
}

/* Returns where the candidates from `begin` on end that could be nearer than `distance`, at most `end`. */
static uint32_t end_of_nearer(const rhumb__graph *graph, const rhumb__scratch *scratch,
                              const rhumb__candidate *candidates, const uint32_t span[2], float distance) {
    const bool on_disk = rhumb__read_ahead_pays(graph, RHUMB__SECTION_VECTORS);
    const double deviations = on_disk ? DEVIATIONS_ON_DISK : DEVIATIONS;
    uint32_t at = span[0];
    while (at < span[1] && least_of(graph, scratch, candidates[at], deviations) <= distance) at++;
    return at;
}

/* Measures those first that could be nearer than the last that is wanted if its estimate is right, and then those that
 * could be nearer than it is: on a disk each time is a wait. */
uint32_t rhumb__rescore(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate_pool *pool,
                        uint32_t wanted_count) {
    rhumb__candidate *entries = pool->entries;
    RHUMB_ASSERT_DEBUG(scratch->measured.coded && wanted_count > 0);
    const uint64_t first_count = (uint64_t)wanted_count + spare_count(wanted_count);
    const uint64_t count_max = rhumb__max_u64((uint64_t)wanted_count * MEASURED_PER_WANTED, first_count);
    const uint32_t limit = (uint32_t)rhumb__min_u64(pool->count, count_max);
    uint32_t count = 0;
    uint32_t end = (uint32_t)rhumb__min_u64(pool->count, first_count);
    if (end < limit) {
        const float expected = least_of(graph, scratch, entries[wanted_count - 1], 0);
        end = end_of_nearer(graph, scratch, entries, (uint32_t[]){end, limit}, expected);
    }
    while (count < end) {
        measure(graph, scratch, entries + count, end - count);
        count = end;
        rhumb__sort_candidates(entries, count);
        if (count < limit) {
            const float distance = entries[wanted_count - 1].distance;
            end = end_of_nearer(graph, scratch, entries, (uint32_t[]){count, limit}, distance);
        }
    }
    return count;
}

void rhumb__rescore_all(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate_pool *pool) {
    RHUMB_ASSERT_DEBUG(scratch->measured.coded);
    measure(graph, scratch, pool->entries, pool->count);
    rhumb__sort_candidates(pool->entries, pool->count);
}
