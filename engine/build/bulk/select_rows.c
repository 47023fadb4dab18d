/* select_rows.c - see select_rows.h. Works in the memory of its caller and keeps no state. */
#include "engine/build/bulk/select_rows.h"

#include "base/assert.h"
#include "engine/graph/params.h"
#include "engine/search/walk/measure.h"

/* Taken neighbours measured in one call. Most candidates are rejected because of one of the nearest few taken, so
 * measuring all of them at once would be wasted. */
#define MEASURE_COUNT 4u

#define PREFETCH_BYTES_MAX 512u

/* The row of a candidate. */
static const void *row_of(const rhumb__select_from *from, rhumb__candidate candidate) {
    const uint32_t slot = rhumb__candidate_slot(candidate);
    return from->rows + (from->items == NULL ? slot : from->items[slot]) * from->row_stride_bytes;
}

bool rhumb__select_is_shadowed(const rhumb__select_from *from, const void *candidate_row, float distance,
                               uint32_t taken_count) {
    float distances[MEASURE_COUNT];
    for (uint32_t i = 0; i < taken_count; i += MEASURE_COUNT) {
        const uint32_t count = taken_count - i < MEASURE_COUNT ? taken_count - i : MEASURE_COUNT;
        from->space->link.distance_many(from->space, candidate_row, from->kept_rows + i, count, distances);
        for (uint32_t k = 0; k < count; k++) {
            if (distances[k] * from->nearness < distance) return true;
        }
    }
    return false;
}

/* Takes the candidates that no other taken one shadows. */
static uint32_t take_unshadowed(const rhumb__select_from *from, rhumb__candidates candidates, uint32_t capacity,
                                uint32_t *selected) {
    uint32_t taken_count = 0;
    for (uint32_t i = 0; i < candidates.count && taken_count < capacity; i++) {
        const void *row = row_of(from, candidates.entries[i]);
        if (i + 1 < candidates.count) {
            const uint8_t *next = row_of(from, candidates.entries[i + 1]);
            for (uint32_t offset = 0; offset < from->space->row_bytes && offset < PREFETCH_BYTES_MAX;
                 offset += RHUMB__CACHE_LINE_BYTES) {
                __builtin_prefetch(next + offset, 0, 3);
            }
        }
        if (rhumb__select_is_shadowed(from, row, candidates.entries[i].distance, taken_count)) continue;
        from->kept_rows[taken_count] = row;
        selected[taken_count++] = rhumb__candidate_slot(candidates.entries[i]);
    }
    return taken_count;
}

uint32_t rhumb__select_rows(const rhumb__select_from *from, rhumb__candidates candidates, uint32_t capacity,
                            uint32_t *selected) {
    RHUMB_ASSERT(capacity <= RHUMB__M0_MAX);
    uint32_t taken_count = take_unshadowed(from, candidates, capacity, selected);
    if (!from->keep_pruned) return taken_count;
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
