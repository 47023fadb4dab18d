/* key_set.h - a set of keys that only grows, by open addressing. Belongs to one thread at a time.
 *
 * Places hold key + 1; the key of all ones, for which that is 0, has a flag of its own.
 */
#ifndef RHUMB_ENGINE_SEARCH_KEY_SET_H
#define RHUMB_ENGINE_SEARCH_KEY_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"

#define RHUMB__KEY_SET_PLACES_MIN 64u

typedef struct rhumb__key_set {
    uint64_t *places; /* place_count of them, a power of two; 0: free */
    uint64_t place_count;
    uint64_t count;
    bool has_last; /* UINT64_MAX */
} rhumb__key_set;

static inline void rhumb__key_set_clear(rhumb__key_set *set) {
    if (set->count > 0) memset(set->places, 0, set->place_count * sizeof set->places[0]);
    set->count = 0;
    set->has_last = false;
}

/* The place where a key is or would be; there is a free one. */
static inline uint64_t rhumb__key_set_place(const rhumb__key_set *set, uint64_t key) {
    uint64_t i = rhumb__mix64(key) & (set->place_count - 1);
    while (set->places[i] != 0 && set->places[i] != key + 1) i = (i + 1) & (set->place_count - 1);
    return i;
}

/* Makes room for one more. RHUMB_E_NOMEM. */
static inline rhumb_status rhumb__key_set_reserve(rhumb__key_set *set) {
    if (set->count < set->place_count / 2) return RHUMB_OK;
    rhumb__key_set larger = {NULL, rhumb__max_u64(set->place_count * 2, RHUMB__KEY_SET_PLACES_MIN), set->count,
                             set->has_last};
    larger.places = rhumb__alloc_zeroed(larger.place_count, sizeof larger.places[0]);
    if (larger.places == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a set of %llu keys", (unsigned long long)set->count);
    }
    for (uint64_t i = 0; i < set->place_count; i++) {
        if (set->places[i] == 0) continue;
        larger.places[rhumb__key_set_place(&larger, set->places[i] - 1)] = set->places[i];
    }
    rhumb__free(set->places);
    *set = larger;
    return RHUMB_OK;
}

/* Adds a key, for which there is room; returns whether it was there already. */
static inline bool rhumb__key_set_add(rhumb__key_set *set, uint64_t key) {
    if (key == UINT64_MAX) {
        const bool had_last = set->has_last;
        set->has_last = true;
        return had_last;
    }
    const uint64_t place = rhumb__key_set_place(set, key);
    if (set->places[place] != 0) return true;
    set->places[place] = key + 1;
    set->count++;
    return false;
}

static inline void rhumb__key_set_free(rhumb__key_set *set) {
    rhumb__free(set->places);
    *set = (rhumb__key_set){NULL, 0, 0, false};
}

#endif /* RHUMB_ENGINE_SEARCH_KEY_SET_H */
