/* candidate_pool.h - the nearest candidates that a search has met: one sorted array instead of the paper's two heaps.
 *
 * INVARIANT: entries ascend by distance, and there are at most `capacity`. An entry carries a mark once it is expanded,
 * that is, once its neighbours have been visited; all entries before `next` carry it. The search is over when all do.
 *
 * To insert into a sorted array is to move half of it, which is the fastest way for hundreds of candidates and a slow
 * one for tens of thousands. A *large* pool (of a capacity above RHUMB__SMALL_POOL_MAX) adds to a second sorted array
 * of some hundreds, the recent ones, and merges it into the first whenever it is full: that moves about the square root
 * of the capacity per addition. Both kinds keep the same candidates in the same order. Before `entries` are
 * read, rhumb__candidate_pool_settle has to be called.
 *
 * Belongs to one thread at a time.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_POOL_H
#define RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_POOL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/assert.h"

#define RHUMB__CANDIDATE_EXPANDED (UINT32_C(1) << 31)

/* The largest capacity of a pool that is one array. */
#define RHUMB__SMALL_POOL_MAX 1024u

typedef struct rhumb__candidate {
    float distance;     /* raw */
    uint32_t slot_mark; /* the slot, and RHUMB__CANDIDATE_EXPANDED */
} rhumb__candidate;

typedef struct rhumb__candidate_pool {
    rhumb__candidate *entries; /* room for rhumb__candidate_pool_room(capacity) */
    uint32_t count;            /* candidates in all */
    uint32_t capacity;         /* candidates that are kept; may be lowered while the pool is empty */
    uint32_t next;             /* every entry before this one is expanded */

    /* Of a large pool. The others are entries[first, first + count - recent_count). */
    rhumb__candidate *recent; /* the second array; NULL: the pool is not large */
    uint32_t recent_count;
    uint32_t recent_capacity;
    uint32_t recent_next;
    uint32_t first; /* entries before this one have been shifted out */
} rhumb__candidate_pool;

static inline uint32_t rhumb__candidate_slot(rhumb__candidate candidate) {
    return candidate.slot_mark & ~RHUMB__CANDIDATE_EXPANDED;
}

/* The entries that a pool of such a capacity needs memory for; never fewer for a larger one. */
uint64_t rhumb__candidate_pool_room(uint32_t capacity);

/* What the functions below do with a large pool. */
void rhumb__large_pool_clear(rhumb__candidate_pool *pool);
bool rhumb__large_pool_accepts(const rhumb__candidate_pool *pool, float distance);
void rhumb__large_pool_add(rhumb__candidate_pool *pool, uint32_t slot_mark, float distance);
bool rhumb__large_pool_take(rhumb__candidate_pool *pool, uint32_t *slot_out);
bool rhumb__large_pool_peek(const rhumb__candidate_pool *pool, uint32_t *slot_out);
rhumb__candidate rhumb__large_pool_shift(rhumb__candidate_pool *pool);
rhumb__candidate rhumb__large_pool_farthest(const rhumb__candidate_pool *pool);
void rhumb__large_pool_settle(rhumb__candidate_pool *pool);

static inline bool rhumb__candidate_pool_is_large(const rhumb__candidate_pool *pool) {
    return __builtin_expect(pool->recent != NULL, 0);
}

/* Empties a pool that has memory for the capacity. */
static inline void rhumb__candidate_pool_clear(rhumb__candidate_pool *pool, uint32_t capacity) {
    pool->count = 0;
    pool->capacity = capacity;
    pool->next = 0;
    pool->recent = NULL;
    if (capacity > RHUMB__SMALL_POOL_MAX) rhumb__large_pool_clear(pool);
}

/* Whether a candidate at this distance would be kept; of a pool that is not large. */
static inline bool rhumb__small_pool_accepts(const rhumb__candidate_pool *pool, float distance) {
    RHUMB_ASSERT_DEBUG(!rhumb__candidate_pool_is_large(pool));
    return pool->count < pool->capacity || distance < pool->entries[pool->count - 1].distance;
}

/* Whether a candidate at this distance would be kept. */
static inline bool rhumb__candidate_pool_accepts(const rhumb__candidate_pool *pool, float distance) {
    if (rhumb__candidate_pool_is_large(pool)) return rhumb__large_pool_accepts(pool, distance);
    return rhumb__small_pool_accepts(pool, distance);
}

/* Candidates that are compared one after another; among more, the place is first narrowed down by halves. */
#define RHUMB__CANDIDATE_SPAN 64u

/* Returns how many of sorted entries are not farther than a distance. Whether an entry is cannot be predicted, so there
 * are no branches that depend on it: most candidates are added to a few dozen others, where comparing all of them
 * takes less time than one branch that was predicted wrongly. */
static inline uint32_t rhumb__candidates_within(const rhumb__candidate *entries, uint32_t count, float distance) {
    uint32_t begin = 0;
    while (count > RHUMB__CANDIDATE_SPAN) {
        const uint32_t half = count / 2;
        begin += half & (0u - (uint32_t)(entries[begin + half - 1].distance <= distance));
        count -= half;
    }
    const rhumb__candidate *span = entries + begin;
    uint32_t i = 0;
#if defined(__SSE2__)
    const __m128 limit = _mm_set1_ps(distance);
    __m128i total = _mm_setzero_si128();
    for (; i + 4 <= count; i += 4) {
        const __m128 low = _mm_loadu_ps(&span[i].distance);
        const __m128 high = _mm_loadu_ps(&span[i + 2].distance);
        const __m128 distances = _mm_shuffle_ps(low, high, _MM_SHUFFLE(2, 0, 2, 0));
        total = _mm_sub_epi32(total, _mm_castps_si128(_mm_cmple_ps(distances, limit)));
    }
    total = _mm_add_epi32(total, _mm_shuffle_epi32(total, _MM_SHUFFLE(1, 0, 3, 2)));
    total = _mm_add_epi32(total, _mm_shuffle_epi32(total, _MM_SHUFFLE(2, 3, 0, 1)));
    begin += (uint32_t)_mm_cvtsi128_si32(total);
#endif
    for (; i < count; i++) begin += (uint32_t)(span[i].distance <= distance);
    return begin;
}

/* Moves `count` entries up by one. */
static inline void rhumb__candidates_move_up(rhumb__candidate *entries, uint32_t count) {
    uint64_t pieces[4];
    static_assert(sizeof(rhumb__candidate) == sizeof pieces[0], "an entry is moved as a piece");
    for (; count >= 4; count -= 4) {
        memcpy(pieces, entries + count - 4, sizeof pieces);
        memcpy(entries + count - 3, pieces, sizeof pieces);
    }
    for (; count > 0; count--) entries[count] = entries[count - 1];
}

/* rhumb__candidate_pool_add for a pool that is not large; for loops that have asked. */
static inline void rhumb__small_pool_add(rhumb__candidate_pool *pool, uint32_t slot_mark, float distance) {
    if (!rhumb__small_pool_accepts(pool, distance)) return;
    const uint32_t low = rhumb__candidates_within(pool->entries, pool->count, distance);
    rhumb__candidates_move_up(&pool->entries[low], pool->count - low);
    pool->entries[low] = (rhumb__candidate){distance, slot_mark};
    if (pool->count < pool->capacity) pool->count++;
    if (low < pool->next) pool->next = low;
    RHUMB_ASSERT_DEBUG(pool->count <= pool->capacity && pool->next <= pool->count);
}

/* Adds a candidate, expanded if its slot is marked so, after those of equal distance; drops the farthest when there is
 * one too many. */
static inline void rhumb__candidate_pool_add(rhumb__candidate_pool *pool, uint32_t slot_mark, float distance) {
    if (!rhumb__candidate_pool_is_large(pool)) {
        rhumb__small_pool_add(pool, slot_mark, distance);
    } else if (rhumb__large_pool_accepts(pool, distance)) {
        rhumb__large_pool_add(pool, slot_mark, distance);
    }
}

/* Takes the nearest candidate that is not expanded, and marks it. Returns false when all are. */
static inline bool rhumb__candidate_pool_take(rhumb__candidate_pool *pool, uint32_t *slot_out) {
    if (rhumb__candidate_pool_is_large(pool)) return rhumb__large_pool_take(pool, slot_out);
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
    if (rhumb__candidate_pool_is_large(pool)) return rhumb__large_pool_peek(pool, slot_out);
    for (uint32_t i = pool->next; i < pool->count; i++) {
        if ((pool->entries[i].slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0) continue;
        *slot_out = pool->entries[i].slot_mark;
        return true;
    }
    return false;
}

/* Writes the slots of the nearest candidates that are not expanded, at most `count_max` of them, nearest first; returns
 * how many. Settles a large pool. */
static inline uint32_t rhumb__candidate_pool_waiting(rhumb__candidate_pool *pool, uint32_t *slots, uint32_t count_max) {
    uint32_t count = 0;
    if (rhumb__candidate_pool_is_large(pool)) rhumb__large_pool_settle(pool);
    for (uint32_t i = pool->next; i < pool->count && count < count_max; i++) {
        if ((pool->entries[i].slot_mark & RHUMB__CANDIDATE_EXPANDED) == 0) slots[count++] = pool->entries[i].slot_mark;
    }
    return count;
}

/* Marks one that rhumb__candidate_pool_waiting has returned; no candidate has been added since. */
static inline void rhumb__candidate_pool_expand(rhumb__candidate_pool *pool, uint32_t slot) {
    uint32_t i = pool->next;
    while (pool->entries[i].slot_mark != slot) i++;
    pool->entries[i].slot_mark |= RHUMB__CANDIDATE_EXPANDED;
    while (pool->next < pool->count && (pool->entries[pool->next].slot_mark & RHUMB__CANDIDATE_EXPANDED) != 0) {
        pool->next++;
    }
}

/* Removes a candidate that has been taken, of a pool that is not large. */
static inline void rhumb__candidate_pool_drop(rhumb__candidate_pool *pool, uint32_t slot) {
    uint32_t i = pool->count;
    RHUMB_ASSERT_DEBUG(!rhumb__candidate_pool_is_large(pool));
    while (i > 0 && pool->entries[i - 1].slot_mark != (slot | RHUMB__CANDIDATE_EXPANDED)) i--;
    RHUMB_ASSERT_DEBUG(i > 0);
    if (i == 0) return;
    pool->count--;
    if (i <= pool->next) pool->next--;
    memmove(&pool->entries[i - 1], &pool->entries[i], (pool->count - (i - 1)) * sizeof pool->entries[0]);
}

/* Removes the nearest candidate, expanded or not, and returns it; there is one. */
static inline rhumb__candidate rhumb__candidate_pool_shift(rhumb__candidate_pool *pool) {
    RHUMB_ASSERT_DEBUG(pool->count > 0);
    if (rhumb__candidate_pool_is_large(pool)) return rhumb__large_pool_shift(pool);
    const rhumb__candidate nearest = pool->entries[0];
    pool->count--;
    if (pool->next > 0) pool->next--;
    memmove(&pool->entries[0], &pool->entries[1], pool->count * sizeof pool->entries[0]);
    return nearest;
}

/* Returns the farthest candidate; there is one. */
static inline rhumb__candidate rhumb__candidate_pool_farthest(const rhumb__candidate_pool *pool) {
    RHUMB_ASSERT_DEBUG(pool->count > 0);
    if (rhumb__candidate_pool_is_large(pool)) return rhumb__large_pool_farthest(pool);
    return pool->entries[pool->count - 1];
}

/* Puts all candidates into entries[0, count), where they are sorted. */
static inline void rhumb__candidate_pool_settle(rhumb__candidate_pool *pool) {
    if (rhumb__candidate_pool_is_large(pool)) rhumb__large_pool_settle(pool);
}

/* Sorts candidates by distance, equal ones by slot. */
void rhumb__sort_candidates(rhumb__candidate *candidates, uint32_t count);

#endif /* RHUMB_ENGINE_SEARCH_WALK_CANDIDATE_POOL_H */
