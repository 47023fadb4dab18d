/* filter.h - which keys may be answers: every kind of filter in the form in which the engine uses it.
 *
 * A filter is about keys, not about slots: slots are the engine's own numbers, and change when an index is compacted.
 * The arrays are the caller's and stay unchanged while a search uses them. Nothing here takes a lock or allocates; the
 * callback runs on the thread that searches, which holds no lock then.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_FILTER_H
#define RHUMB_ENGINE_SEARCH_WALK_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rhumb__filter_kind {
    RHUMB__FILTER_KEYS = 1,    /* keys in ascending order */
    RHUMB__FILTER_BITMAP = 2,  /* one bit per key from key_base on */
    RHUMB__FILTER_CALLBACK = 3 /* a function */
} rhumb__filter_kind;

/* How a filtered search is carried out, see filter_plan.h. */
typedef enum rhumb__filter_plan {
    RHUMB__FILTER_PLAN_AUTO = 0,
    RHUMB__FILTER_PLAN_EXACT = 1,  /* measure every matching vector */
    RHUMB__FILTER_PLAN_BRIDGE = 2, /* walk over matching nodes, through failing ones two hops away */
    RHUMB__FILTER_PLAN_WALK = 3    /* walk over all nodes, and keep the matching ones */
} rhumb__filter_plan;

typedef struct rhumb__filter {
    rhumb__filter_kind kind;
    rhumb__filter_plan plan; /* what the caller has chosen, or RHUMB__FILTER_PLAN_AUTO */
    bool negate;             /* invert the filter: keys that would match do not, and vice versa */
    const uint64_t *keys;
    uint64_t key_count;
    const uint8_t *bits; /* bit i is bit i % 8 of byte i / 8 */
    uint64_t bit_count;  /* keys from key_base + bit_count on have no bit: it is taken as 0 */
    uint64_t key_base;
    bool (*matches)(void *context, uint64_t key);
    void *context;
} rhumb__filter;

/* Whether `key` is in the array: a binary search without branches that depend on the keys, so that none is
 * mispredicted.
 */
static inline bool rhumb__filter_has_key(const rhumb__filter *filter, uint64_t key) {
    const uint64_t *base = filter->keys;
    uint64_t count = filter->key_count;
    if (count == 0) return false;
    while (count > 1) {
        const uint64_t half = count / 2;
        base = base[half] <= key ? base + half : base;
        count -= half;
    }
    return *base == key;
}

static inline bool rhumb__filter_has_bit(const rhumb__filter *filter, uint64_t key) {
    const uint64_t bit = key - filter->key_base; /* keys below the base wrap round to numbers beyond any bitmap */
    return key >= filter->key_base && bit < filter->bit_count && (filter->bits[bit / 8] >> (bit % 8) & 1) != 0;
}

/* Whether a key may be an answer; without a filter every key may. */
static inline bool rhumb__filter_matches(const rhumb__filter *filter, uint64_t key) {
    bool found;
    if (filter == NULL) return true;
    switch (filter->kind) {
    case RHUMB__FILTER_KEYS: found = rhumb__filter_has_key(filter, key); break;
    case RHUMB__FILTER_BITMAP: found = rhumb__filter_has_bit(filter, key); break;
    default: found = filter->matches(filter->context, key); break;
    }
    return found != filter->negate;
}

/* Whether the matching keys can be listed without reading the index. */
static inline bool rhumb__filter_is_list(const rhumb__filter *filter) {
    return filter != NULL && !filter->negate && filter->kind != RHUMB__FILTER_CALLBACK;
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_FILTER_H */
