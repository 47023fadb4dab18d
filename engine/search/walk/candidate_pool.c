/* candidate_pool.c - large pools, and sorting candidates; see candidate_pool.h.
 *
 * A recent candidate was added after all entries, so of two that are equally far the entry is the nearer one. That is
 * the whole difference between the two arrays: everything is taken from the one whose candidate is nearer, and dropped
 * from the one whose candidate is farther. Keeps no state, and allocates nothing.
 */
#include "engine/search/walk/candidate_pool.h"

#include <math.h>
#include <stdlib.h>

#include "base/bits.h"

/* A list that is pruned has a few dozen candidates, for which the calls of a library sort cost more than its better
 * algorithm saves; and candidates that have been measured again are nearly in order. So candidates are inserted, until
 * that has moved so many for each on average. */
#define MOVES_PER_CANDIDATE 48u

static int compare_candidates(const void *a, const void *b) {
    const rhumb__candidate *left = a;
    const rhumb__candidate *right = b;
    if (left->distance != right->distance) return left->distance < right->distance ? -1 : 1;
    return (left->slot_mark > right->slot_mark) - (left->slot_mark < right->slot_mark);
}

void rhumb__sort_candidates(rhumb__candidate *candidates, uint32_t count) {
    uint64_t left_count = (uint64_t)count * MOVES_PER_CANDIDATE;
    for (uint32_t i = 1; i < count && left_count > 0; i++) {
        const rhumb__candidate moving = candidates[i];
        uint32_t place = i;
        for (; place > 0 && compare_candidates(&moving, &candidates[place - 1]) < 0; place--) {
            candidates[place] = candidates[place - 1];
        }
        candidates[place] = moving;
        left_count -= rhumb__min_u64(left_count, i - place);
    }
    if (left_count == 0) qsort(candidates, count, sizeof *candidates, compare_candidates);
}

/* ---- large pools ---- */

/* Merging costs as much per addition as moving half of the recent ones when there are about as many as the square root
 * of the capacity; they are cheaper to move, being in the cache. */
#define RECENT_COUNT_MIN 128u
#define RECENT_COUNT_MAX 4096u

static uint32_t recent_capacity_of(uint32_t capacity) {
    const double wanted = 2 * sqrt((double)capacity);
    if (wanted <= RECENT_COUNT_MIN) return RECENT_COUNT_MIN;
    return wanted >= RECENT_COUNT_MAX ? RECENT_COUNT_MAX : (uint32_t)wanted;
}

uint64_t rhumb__candidate_pool_room(uint32_t capacity) {
    return capacity <= RHUMB__SMALL_POOL_MAX ? (uint64_t)capacity + 1
                                             : (uint64_t)capacity + recent_capacity_of(capacity);
}

void rhumb__large_pool_clear(rhumb__candidate_pool *pool) {
    RHUMB_ASSERT_DEBUG(pool->count == 0 && pool->capacity > RHUMB__SMALL_POOL_MAX);
    pool->recent = pool->entries + pool->capacity;
    pool->recent_capacity = recent_capacity_of(pool->capacity);
    pool->recent_count = 0;
    pool->recent_next = 0;
    pool->first = 0;
}

/* The index after the last entry. */
static inline uint32_t entries_end(const rhumb__candidate_pool *pool) {
    return pool->first + pool->count - pool->recent_count;
}

/* Whether the farthest candidate is a recent one; there is a candidate. */
static inline bool farthest_is_recent(const rhumb__candidate_pool *pool) {
    const uint32_t end = entries_end(pool);
    if (pool->recent_count == 0) return false;
    return end == pool->first || pool->recent[pool->recent_count - 1].distance >= pool->entries[end - 1].distance;
}

rhumb__candidate rhumb__large_pool_farthest(const rhumb__candidate_pool *pool) {
    return farthest_is_recent(pool) ? pool->recent[pool->recent_count - 1] : pool->entries[entries_end(pool) - 1];
}

bool rhumb__large_pool_accepts(const rhumb__candidate_pool *pool, float distance) {
    return pool->count < pool->capacity || distance < rhumb__large_pool_farthest(pool).distance;
}

static void drop_farthest(rhumb__candidate_pool *pool) {
    if (farthest_is_recent(pool)) {
        pool->recent_count--;
        pool->count--;
        if (pool->recent_next > pool->recent_count) pool->recent_next = pool->recent_count;
    } else {
        pool->count--;
        if (pool->next > entries_end(pool)) pool->next = entries_end(pool);
    }
}

void rhumb__large_pool_settle(rhumb__candidate_pool *pool) {
    const uint32_t entry_count = pool->count - pool->recent_count;
    if (pool->first > 0) {
        memmove(pool->entries, pool->entries + pool->first, entry_count * sizeof pool->entries[0]);
        pool->next -= pool->first;
        pool->first = 0;
    }
    /* From the last to the first, so that no entry is overwritten before it has moved. */
    uint32_t left = entry_count;
    uint32_t place = pool->count;
    for (uint32_t i = pool->recent_count; i > 0; i--) {
        const rhumb__candidate moving = pool->recent[i - 1];
        while (left > 0 && pool->entries[left - 1].distance > moving.distance) {
            pool->entries[--place] = pool->entries[--left];
        }
        pool->entries[--place] = moving;
    }
    if (pool->recent_count > 0 && place < pool->next) pool->next = place;
    pool->recent_count = 0;
    pool->recent_next = 0;
    RHUMB_ASSERT_DEBUG(pool->count <= pool->capacity && pool->next <= pool->count);
}

void rhumb__large_pool_add(rhumb__candidate_pool *pool, uint32_t slot_mark, float distance) {
    RHUMB_ASSERT_DEBUG(rhumb__large_pool_accepts(pool, distance));
    if (pool->count == pool->capacity) drop_farthest(pool);
    if (pool->recent_count == pool->recent_capacity) rhumb__large_pool_settle(pool);
    const uint32_t low = rhumb__candidates_within(pool->recent, pool->recent_count, distance);
    memmove(&pool->recent[low + 1], &pool->recent[low], (pool->recent_count - low) * sizeof pool->recent[0]);
    pool->recent[low] = (rhumb__candidate){distance, slot_mark};
    pool->recent_count++;
    pool->count++;
    if (low < pool->recent_next) pool->recent_next = low;
}

/* Moves *next to the first of candidates[*next, end) that is not expanded, and returns it, or NULL. */
static rhumb__candidate *first_waiting(rhumb__candidate *candidates, uint32_t *next, uint32_t end) {
    while (*next < end && (candidates[*next].slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0) (*next)++;
    return *next < end ? &candidates[*next] : NULL;
}

/* The nearest candidate that is not expanded, or NULL; *next and *recent_next are moved up to it. */
static rhumb__candidate *nearest_waiting(const rhumb__candidate_pool *pool, uint32_t *next, uint32_t *recent_next) {
    rhumb__candidate *entry = first_waiting(pool->entries, next, entries_end(pool));
    rhumb__candidate *recent = first_waiting(pool->recent, recent_next, pool->recent_count);
    if (entry == NULL || recent == NULL) return entry != NULL ? entry : recent;
    return recent->distance < entry->distance ? recent : entry;
}

bool rhumb__large_pool_take(rhumb__candidate_pool *pool, uint32_t *slot_out) {
    rhumb__candidate *nearest = nearest_waiting(pool, &pool->next, &pool->recent_next);
    if (nearest == NULL) return false;
    *slot_out = nearest->slot_mark;
    nearest->slot_mark |= RHUMB__CANDIDATE_EXPANDED;
    return true;
}

bool rhumb__large_pool_peek(const rhumb__candidate_pool *pool, uint32_t *slot_out) {
    uint32_t next = pool->next;
    uint32_t recent_next = pool->recent_next;
    const rhumb__candidate *nearest = nearest_waiting(pool, &next, &recent_next);
    if (nearest != NULL) *slot_out = nearest->slot_mark;
    return nearest != NULL;
}

rhumb__candidate rhumb__large_pool_shift(rhumb__candidate_pool *pool) {
    const bool has_entry = entries_end(pool) > pool->first;
    const bool is_recent =
        pool->recent_count > 0 && (!has_entry || pool->recent[0].distance < pool->entries[pool->first].distance);
    rhumb__candidate nearest;
    if (is_recent) {
        nearest = pool->recent[0];
        pool->recent_count--;
        if (pool->recent_next > 0) pool->recent_next--;
        memmove(&pool->recent[0], &pool->recent[1], pool->recent_count * sizeof pool->recent[0]);
        pool->count--;
    } else {
        nearest = pool->entries[pool->first];
        pool->count--;
        pool->first++;
        if (pool->next < pool->first) pool->next = pool->first;
    }
    return nearest;
}
