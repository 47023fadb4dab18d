/* key_set.h - a set of keys that only grows: a hash table with open addressing. Belongs to one thread at a time.
 *
 * An entry holds key + 1; UINT64_MAX, for which that is 0, has a flag of its own.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_KEY_SET_H
#define RHUMB_ENGINE_SEARCH_WALK_KEY_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"

#define RHUMB__KEY_SET_ENTRIES_MIN 64u

typedef struct rhumb__key_set {
    uint64_t *entries; /* `capacity` of them, a power of two; 0: free */
    uint64_t capacity;
    uint64_t count;
    bool has_last; /* UINT64_MAX */
} rhumb__key_set;

static inline void rhumb__key_set_clear(rhumb__key_set *set) {
    if (set->count > 0) memset(set->entries, 0, set->capacity * sizeof set->entries[0]);
    set->count = 0;
    set->has_last = false;
}

/* Returns the entry where a key is or would be; one is free. */
static inline uint64_t rhumb__key_set_entry(const rhumb__key_set *set, uint64_t key) {
    RHUMB_ASSERT_DEBUG(set->count < set->capacity);
    uint64_t i = rhumb__mix64(key) & (set->capacity - 1);
    while (set->entries[i] != 0 && set->entries[i] != key + 1) i = (i + 1) & (set->capacity - 1);
    return i;
}

/* Makes room for one more key. RHUMB_E_NOMEM. */
static inline rhumb_status rhumb__key_set_reserve(rhumb__key_set *set) {
    if (set->count < set->capacity / 2) return RHUMB_OK;
    rhumb__key_set larger = {NULL, rhumb__max_u64(set->capacity * 2, RHUMB__KEY_SET_ENTRIES_MIN), set->count,
                             set->has_last};
    larger.entries = rhumb__alloc_zeroed(larger.capacity, sizeof larger.entries[0]);
    if (larger.entries == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a set of %llu keys", (unsigned long long)set->count);
    }
    for (uint64_t i = 0; i < set->capacity; i++) {
        if (set->entries[i] == 0) continue;
        larger.entries[rhumb__key_set_entry(&larger, set->entries[i] - 1)] = set->entries[i];
    }
    rhumb__free(set->entries);
    *set = larger;
    return RHUMB_OK;
}

/* Adds a key, for which there is room; returns whether it was in the set already. */
static inline bool rhumb__key_set_add(rhumb__key_set *set, uint64_t key) {
    if (key == UINT64_MAX) {
        const bool had_last = set->has_last;
        set->has_last = true;
        return had_last;
    }
    const uint64_t entry = rhumb__key_set_entry(set, key);
    if (set->entries[entry] != 0) return true;
    set->entries[entry] = key + 1;
    set->count++;
    return false;
}

static inline void rhumb__key_set_free(rhumb__key_set *set) {
    rhumb__free(set->entries);
    *set = (rhumb__key_set){NULL, 0, 0, false};
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_KEY_SET_H */
