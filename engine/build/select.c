/* select.c - choosing the neighbours of a node among candidates; see link.h. Works in the scratch of its caller and
 * keeps no state.
 */
#include "base/assert.h"
#include "engine/build/link.h"
#include "engine/search/walk/measure.h"

/* Taken neighbours measured in one call. Most candidates are rejected because of one of the nearest few taken, so
 * measuring all of them at once would be wasted. */
#define MEASURE_COUNT 4u

#define PREFETCH_BYTES_MAX 512u

/* Whether some taken neighbour is nearer to the candidate than `distance`. */
static bool is_shadowed(const rhumb__graph *graph, const rhumb__scratch *scratch, const void *candidate_row,
                        float distance, uint32_t taken_count) {
    float distances[MEASURE_COUNT];
    for (uint32_t i = 0; i < taken_count; i += MEASURE_COUNT) {
        const uint32_t count = taken_count - i < MEASURE_COUNT ? taken_count - i : MEASURE_COUNT;
        rhumb__measure_vectors(graph, candidate_row, scratch->kept_rows + i, count, distances);
        for (uint32_t k = 0; k < count; k++) {
            if (distances[k] < distance) return true;
        }
    }
    return false;
}

/* Takes the candidates that no other taken one shadows. */
static uint32_t take_unshadowed(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidates candidates,
                                uint32_t capacity, uint32_t *selected) {
    uint32_t taken_count = 0;
    for (uint32_t i = 0; i < candidates.count && taken_count < capacity; i++) {
        const uint32_t slot = rhumb__candidate_slot(candidates.entries[i]);
        const void *row = rhumb__graph_vector(graph, slot);
        if (i + 1 < candidates.count) {
            const uint8_t *next = rhumb__graph_vector(graph, rhumb__candidate_slot(candidates.entries[i + 1]));
            for (uint32_t offset = 0; offset < graph->space.row_bytes && offset < PREFETCH_BYTES_MAX;
                 offset += RHUMB__CACHE_LINE_BYTES) {
                __builtin_prefetch(next + offset, 0, 3);
            }
        }
        if (is_shadowed(graph, scratch, row, candidates.entries[i].distance, taken_count)) continue;
        scratch->kept_rows[taken_count] = row;
        selected[taken_count++] = slot;
    }
    return taken_count;
}

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
    RHUMB_ASSERT(capacity <= RHUMB__M0_MAX);
    RHUMB_ASSERT_DEBUG(are_sorted_and_present(graph, candidates));
    uint32_t taken_count = take_unshadowed(graph, scratch, candidates, capacity, selected);
    if (!graph->params.keep_pruned) return taken_count;
    const uint32_t chosen_count = taken_count;
    for (uint32_t i = 0; i < candidates.count && taken_count < capacity; i++) {
        const uint32_t slot = rhumb__candidate_slot(candidates.entries[i]);
        bool taken = false;
        for (uint32_t k = 0; k < chosen_count && !taken; k++) taken = selected[k] == slot;
        if (!taken) selected[taken_count++] = slot;
    }
    RHUMB_ASSERT_DEBUG(taken_count <= capacity && taken_count <= candidates.count);
    return taken_count;
}
