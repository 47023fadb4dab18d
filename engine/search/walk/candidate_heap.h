/* candidate_heap.h - candidates of which the nearest can be taken: a binary heap that grows.
 *
 * INVARIANT: an entry is not farther than those at 2i + 1 and 2i + 2. Belongs to one thread at a time.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_HEAP_H
#define RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_HEAP_H

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "engine/search/walk/candidate_pool.h"

typedef struct rhumb__candidate_heap {
    rhumb__candidate *entries;
    uint64_t count;
    uint64_t capacity;
} rhumb__candidate_heap;

/* Makes room for `added_count` more. RHUMB_E_NOMEM. */
static inline rhumb_status rhumb__candidate_heap_reserve(rhumb__candidate_heap *heap, uint64_t added_count) {
    if (added_count <= heap->capacity - heap->count) return RHUMB_OK;
    const uint64_t capacity = heap->capacity + heap->capacity / 2 + added_count;
    rhumb__candidate *entries = rhumb__alloc_resize(heap->entries, capacity, sizeof *entries);
    if (entries == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu candidates", (unsigned long long)capacity);
    }
    heap->entries = entries;
    heap->capacity = capacity;
    return RHUMB_OK;
}

/* Adds a candidate, for which there is room. */
static inline void rhumb__candidate_heap_add(rhumb__candidate_heap *heap, uint32_t slot, float distance) {
    RHUMB_ASSERT_DEBUG(heap->count < heap->capacity);
    uint64_t i = heap->count++;
    while (i > 0) {
        const uint64_t parent = (i - 1) / 2;
        if (heap->entries[parent].distance <= distance) break;
        heap->entries[i] = heap->entries[parent];
        i = parent;
    }
    heap->entries[i] = (rhumb__candidate){distance, slot};
}

/* Takes the nearest candidate; there is one. */
static inline rhumb__candidate rhumb__candidate_heap_take(rhumb__candidate_heap *heap) {
    RHUMB_ASSERT_DEBUG(heap->count > 0);
    const rhumb__candidate nearest = heap->entries[0];
    const rhumb__candidate last = heap->entries[--heap->count];
    uint64_t i = 0;
    for (;;) {
        uint64_t child = 2 * i + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && heap->entries[child + 1].distance < heap->entries[child].distance) child++;
        if (last.distance <= heap->entries[child].distance) break;
        heap->entries[i] = heap->entries[child];
        i = child;
    }
    heap->entries[i] = last;
    return nearest;
}

static inline void rhumb__candidate_heap_free(rhumb__candidate_heap *heap) {
    rhumb__free(heap->entries);
    *heap = (rhumb__candidate_heap){NULL, 0, 0};
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_HEAP_H */
