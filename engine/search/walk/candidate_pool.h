/* candidate_pool.h - the nearest candidates that a search has met: one sorted array instead of the paper's two heaps.
 *
 * INVARIANT: entries ascend by distance, and there are at most `capacity`. An entry carries a mark once it is expanded,
 * that is, once its neighbours have been visited; all entries before `next` carry it. The search is over when all do.
 * Belongs to one thread at a time.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_POOL_H
#define RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

#define RHUMB__CANDIDATE_EXPANDED (UINT32_C(1) << 31)

typedef struct rhumb__candidate {
    float distance;     /* raw */
    uint32_t slot_mark; /* the slot, and RHUMB__CANDIDATE_EXPANDED */
} rhumb__candidate;

typedef struct rhumb__candidate_pool {
    rhumb__candidate *entries; /* room for capacity + 1 */
    uint32_t count;
    uint32_t capacity; /* candidates that are kept */
    uint32_t next;     /* every entry before this one is expanded */
} rhumb__candidate_pool;

static inline uint32_t rhumb__candidate_slot(rhumb__candidate candidate) {
    return candidate.slot_mark & ~RHUMB__CANDIDATE_EXPANDED;
}

static inline void rhumb__candidate_pool_clear(rhumb__candidate_pool *pool, uint32_t capacity) {
    pool->count = 0;
    pool->capacity = capacity;
    pool->next = 0;
}

/* Whether a candidate at this distance would be kept. */
static inline bool rhumb__candidate_pool_accepts(const rhumb__candidate_pool *pool, float distance) {
    return pool->count < pool->capacity || distance < pool->entries[pool->count - 1].distance;
}

/* Adds a candidate, expanded if its slot is marked so, after those of equal distance; drops the farthest when there is
 * one too many. */
static inline void rhumb__candidate_pool_add(rhumb__candidate_pool *pool, uint32_t slot_mark, float distance) {
    if (!rhumb__candidate_pool_accepts(pool, distance)) return;
    uint32_t low = 0;
    uint32_t high = pool->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (pool->entries[middle].distance <= distance) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    memmove(&pool->entries[low + 1], &pool->entries[low], (pool->count - low) * sizeof pool->entries[0]);
    pool->entries[low] = (rhumb__candidate){distance, slot_mark};
    if (pool->count < pool->capacity) pool->count++;
    if (low < pool->next) pool->next = low;
    RHUMB_ASSERT_DEBUG(pool->count <= pool->capacity && pool->next <= pool->count);
}

/* Takes the nearest candidate that is not expanded, and marks it. Returns false when all are. */
static inline bool rhumb__candidate_pool_take(rhumb__candidate_pool *pool, uint32_t *slot_out) {
    while (pool->next < pool->count) {
        rhumb__candidate *entry = &pool->entries[pool->next++];
        if ((entry->slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0) continue;
        *slot_out = entry->slot_mark;
        entry->slot_mark |= RHUMB__CANDIDATE_EXPANDED;
        return true;
    }
    return false;
}

/* Returns the candidate that the next take will return unless a nearer one is added; false when all are expanded. */
static inline bool rhumb__candidate_pool_peek(const rhumb__candidate_pool *pool, uint32_t *slot_out) {
    for (uint32_t i = pool->next; i < pool->count; i++) {
        if ((pool->entries[i].slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0) continue;
        *slot_out = pool->entries[i].slot_mark;
        return true;
    }
    return false;
}

/* Removes the nearest candidate, expanded or not, and returns it; there is one. */
static inline rhumb__candidate rhumb__candidate_pool_shift(rhumb__candidate_pool *pool) {
    RHUMB_ASSERT_DEBUG(pool->count > 0);
    const rhumb__candidate nearest = pool->entries[0];
    pool->count--;
    if (pool->next > 0) pool->next--;
    memmove(&pool->entries[0], &pool->entries[1], pool->count * sizeof pool->entries[0]);
    return nearest;
}

/* Sorts candidates by distance, equal ones by slot. */
void rhumb__sort_candidates(rhumb__candidate *candidates, uint32_t count);

#endif /* RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_POOL_H */
