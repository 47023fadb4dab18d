/* rhumb_search.h - searching: a part of the manual of its own. Include rhumb.h; it includes this file.
 *
 *   The nearest vectors to one query or to many, all within a radius, or one after the other; each of them among all
 * keys, or among those that a filter lets through.
 */
#ifndef RHUMB_SEARCH_H
#define RHUMB_SEARCH_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rhumb_filter;

typedef struct rhumb_search_options {
    size_t size;
    uint32_t ef_search;    /* breadth of the search; below k it is taken as k. Default 0: the index's own. */
    uint32_t thread_count; /* for batches; default 0: one per processor of this process */
    const struct rhumb_filter *filter; /* which keys may be answers, of every query; default NULL: all */
    /* For batches: a filter for each query, in an array of query_count pointers, of which NULL ones mean no filter.
     * Default NULL: `filter` counts for all. Both at once are RHUMB_E_INVALID. */
    const struct rhumb_filter *const *filters;
} rhumb_search_options;

RHUMB_API void rhumb_search_options_init(rhumb_search_options *options, size_t size);

/* The k nearest vectors, approximately, nearest first; equal distances in any order. `keys` and `distances` have k
 * places each; `distances` may be NULL. *found_count (may be NULL) is how many were found: fewer than k when the index
 * holds fewer. Places behind it are filled with UINT64_MAX and infinity. An empty index finds 0. k = 0 is
 * RHUMB_E_INVALID. Distances are exact, in the metric's own unit. */
RHUMB_API rhumb_status rhumb_index_search(rhumb_index *index, const void *query, size_t k,
                                          const rhumb_search_options *options, uint64_t *keys, float *distances,
                                          size_t *found_count) RHUMB_NODISCARD;

/* `query_count` searches on several threads. `keys` and `distances` are matrices of query_count rows of k;
 * `found_counts` (may be NULL) has query_count places. A query that is not finite fails the whole batch. */
RHUMB_API rhumb_status rhumb_index_search_batch(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                                const rhumb_search_options *options, uint64_t *keys, float *distances,
                                                size_t *found_counts) RHUMB_NODISCARD;

/* The same, by measuring every vector: the truth that recall is counted against. Equal distances are ordered by the
 * order of insertion. ef_search is not used. */
RHUMB_API rhumb_status rhumb_index_search_exact(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                                const rhumb_search_options *options, uint64_t *keys, float *distances,
                                                size_t *found_counts) RHUMB_NODISCARD;

/* "More like this": the k nearest to the vector that is stored under `key`, without that key itself. Otherwise as
 * rhumb_index_search; a filter need not let `key` through. RHUMB_E_NOTFOUND: no such key. */
RHUMB_API rhumb_status rhumb_index_search_like(rhumb_index *index, uint64_t key, size_t k,
                                               const rhumb_search_options *options, uint64_t *keys, float *distances,
                                               size_t *found_count) RHUMB_NODISCARD;

/* All vectors within a radius, approximately: those whose distance to the query is at most `radius`, in the metric's
 * own unit. `keys` and `distances` have max_count places each (`distances` may be NULL); *found_count is how many are
 * within the radius. If it equals max_count there may be more, and those found are the nearest. Nearest first; places
 * behind are filled with UINT64_MAX and infinity. options->ef_search is the breadth of the search for the nearest ones,
 * from which it goes on to all that can be reached within the radius, so it matters little when many are. A filter
 * works here as everywhere. Memory: some 30 bytes per vector within the radius, kept for later searches.
 * RHUMB_E_INVALID: radius is NaN, max_count is 0. */
RHUMB_API rhumb_status rhumb_index_search_radius(rhumb_index *index, const void *query, float radius, size_t max_count,
                                                 const rhumb_search_options *options, uint64_t *keys, float *distances,
                                                 size_t *found_count) RHUMB_NODISCARD;

/* ---- the nearest, one after the other ---------------------------------------------------------------------------- */

/* Lists vectors by their distance, as many as are asked for:
 *
 *       rhumb_iterator *iterator = NULL;
 *       if (rhumb_iterator_open(index, query, NULL, &iterator) != RHUMB_OK) ...
 *       while (rhumb_iterator_next(iterator, 100, keys, distances, &count) == RHUMB_OK && count > 0) ...
 *       rhumb_iterator_close(iterator);
 *
 * Belongs to one thread at a time. Any number may be open. */
typedef struct rhumb_iterator rhumb_iterator;

/* Begins to list vectors by their distance to `query`, without a limit. The query is copied, and so is options->filter,
 * but not the arrays in it: they must stay unchanged until the iterator is closed. options->ef_search is how many
 * vectors it looks ahead: the first k keys are about as good as those of a search with k more of breadth. The work is
 * done by rhumb_iterator_next. */
RHUMB_API rhumb_status rhumb_iterator_open(rhumb_index *index, const void *query, const rhumb_search_options *options,
                                           rhumb_iterator **iterator_out) RHUMB_NODISCARD;

/* The next max_count keys, with their distances (may be NULL). *found_count is how many: fewer than max_count only at
 * the end, 0 when there are no more, and after a failure what was found before it. No key comes twice. Their order is
 * approximate: a vector that is found late comes late, even if it is nearer than some before it. An iterator that is
 * never stopped lists every key that matches, and then the last ones are found by looking at the whole index.
 *   Between calls an iterator keeps nothing from happening. A key that is deleted before its turn does not come; one
 * that is inserted may come or not; one that is replaced comes once, with one of its vectors. When a refresh or a
 * compaction has put another version under the handle, the listing goes on there: it begins anew, without the keys that
 * are out. Memory grows with what was listed. With a filter it walks over all vectors, or measures all that match when
 * they are few. RHUMB_E_NOMEM: another call may succeed. */
RHUMB_API rhumb_status rhumb_iterator_next(rhumb_iterator *iterator, size_t max_count, uint64_t *keys, float *distances,
                                           size_t *found_count) RHUMB_NODISCARD;

/* Releases the iterator; before its index is closed. NULL is fine. */
RHUMB_API void rhumb_iterator_close(rhumb_iterator *iterator);

/* ---- filters: which keys may be answers -------------------------------------------------------------------------- */

/* A filter is a question about keys: an array of them, a bitmap, or a function, each of them also negated. It works
 * inside the search: k answers that match are found when there are as many, and fewer only if fewer match; the search
 * then returns all of them. A key that does not match is never returned. How a search goes about it depends on what
 * share of the index matches, which a sample tells: every matching vector is measured when they are few; with more, the
 * graph is walked over, from one matching vector to the next (docs/architecture.md). ef_search says how broad that walk
 * is, as without a filter.
 *   Bitmaps are over keys, not over slots: slots are rhumb's own numbers, which change when an index is compacted. Keys
 * 0, 1, 2... (those of a batch without keys) make a bitmap as small as one over slots would be. */

typedef enum rhumb_filter_kind {
    RHUMB_FILTER_KEYS = 1,    /* `keys`: the keys that match */
    RHUMB_FILTER_BITMAP = 2,  /* `bitmap`: one bit per key */
    RHUMB_FILTER_CALLBACK = 3 /* `matches`: a function */
} rhumb_filter_kind;

/* How to search; for measurements and tests. */
typedef enum rhumb_filter_plan {
    RHUMB_FILTER_PLAN_AUTO = 0,   /* what is thought to be fastest */
    RHUMB_FILTER_PLAN_EXACT = 1,  /* measure every matching vector */
    RHUMB_FILTER_PLAN_BRIDGE = 2, /* walk over matching vectors, through others two hops far */
    RHUMB_FILTER_PLAN_WALK = 3    /* walk over all vectors, and keep the matching ones */
} rhumb_filter_plan;

/* Whether `key` matches. Runs on the threads that search: on several at once in a batch. A search asks about a key once
 * or twice, in no order, and about keys that are not answers too; the answer must not change meanwhile. It may call
 * functions of this library, except those that close or refresh the handle, compact the index or make a checkpoint. */
typedef bool (*rhumb_filter_fn)(void *context, uint64_t key);

/* What it points to belongs to the caller, and must not change while a search uses it. Any number of searches may use
 * one filter at once. */
typedef struct rhumb_filter {
    size_t size;
    rhumb_filter_kind kind; /* no default: must be set */
    bool negate;            /* what would not match does, and the other way round. Default false */
    /* In ascending order, each once; keys that the index does not have do no harm. RHUMB_E_INVALID if they do not
     * ascend; of long arrays a part is checked, and the rest only when it is used. */
    const uint64_t *keys;
    size_t key_count;
    const void *bitmap;        /* the bit of key bitmap_key_base + i is bit i % 8 (1: matches) of byte i / 8 */
    uint64_t bitmap_bit_count; /* bits that may be read; keys outside the bitmap have the bit 0 */
    uint64_t bitmap_key_base;
    rhumb_filter_fn matches;
    void *context;          /* for `matches` */
    rhumb_filter_plan plan; /* default RHUMB_FILTER_PLAN_AUTO */
} rhumb_filter;

RHUMB_API void rhumb_filter_init(rhumb_filter *filter, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_SEARCH_H */
