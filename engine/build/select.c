/* select.c - see select.h. Works in the scratch it is given; shares nothing.
 */
#include "engine/build/select.h"

#include "base/assert.h"

/* Taken neighbours measured in one call. Most candidates are turned down by one of the nearest few taken, so measuring
 * all of them at once would be wasted. */
#define MEASURE_COUNT 4u

/* Whether some taken neighbour is nearer to the candidate than `distance`. */
static bool is_shadowed(const rhumb__graph *graph, const rhumb__scratch *scratch, const void *candidate_row,
                        float distance, uint32_t taken_count) {
    float distances[MEASURE_COUNT];
    for (uint32_t i = 0; i < taken_count; i += MEASURE_COUNT) {
        const uint32_t count = taken_count - i < MEASURE_COUNT ? taken_count - i : MEASURE_COUNT;
        graph->space.distance_many(&graph->space, candidate_row, scratch->kept_rows + i, count, distances);
        for (uint32_t k = 0; k < count; k++) {
            if (distances[k] < distance) return true;
        }
    }
    return false;
}

uint32_t rhumb__select(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__candidate *candidates,
                       uint32_t count, uint32_t limit, uint32_t *selected) {
    RHUMB_ASSERT(limit <= RHUMB__M0_MAX);
    uint32_t taken_count = 0;
    for (uint32_t i = 0; i < count && taken_count < limit; i++) {
        const uint32_t slot = rhumb__candidate_slot(candidates[i]);
        const void *row = rhumb__graph_vector(graph, slot);
        if (i + 1 < count) {
            const uint8_t *next = rhumb__graph_vector(graph, rhumb__candidate_slot(candidates[i + 1]));
            for (uint32_t offset = 0; offset < graph->space.row_bytes && offset < 512; offset += 64) {
                __builtin_prefetch(next + offset, 0, 3);
            }
        }
        if (is_shadowed(graph, scratch, row, candidates[i].distance, taken_count)) continue;
        scratch->kept_rows[taken_count] = row;
        selected[taken_count++] = slot;
    }
    if (!graph->params.keep_pruned) return taken_count;
    const uint32_t chosen_count = taken_count;
    for (uint32_t i = 0; i < count && taken_count < limit; i++) {
        const uint32_t slot = rhumb__candidate_slot(candidates[i]);
        bool taken = false;
        for (uint32_t k = 0; k < chosen_count && !taken; k++) taken = selected[k] == slot;
        if (!taken) selected[taken_count++] = slot;
    }
    return taken_count;
}
