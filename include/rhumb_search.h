/* rhumb_search.h - searching. Part of the manual; include rhumb.h, which includes this file.
 *
 *   The vectors nearest to one query, to many, or to a stored vector; all vectors within a radius; vectors one after
 *   the other by distance. Each of them among all keys, or among the keys that a filter lets through. And distances of
 *   vectors that are in no index.
 *   Handles may be open for writing or read-only. A search sees every insert and delete of its own handle that returned
 *   before it began; it may or may not see those that run at the same time.
 */
#ifndef RHUMB_SEARCH_H
#define RHUMB_SEARCH_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rhumb_filter;

/* ---- the nearest ------------------------------------------------------------------------------------------------- */

/* How to search. */
typedef struct rhumb_search_options {
    size_t size;                       /* sizeof(rhumb_search_options), set by rhumb_search_options_init. */
    uint32_t ef_search;                /* Breadth of the search (ef in the HNSW paper), at most 1,000,000: larger is
                                          slower and finds more. At least k is used. Default 0: the index's own, or what
                                          `recall` needs. */
    uint32_t thread_count;             /* Threads of a batch. Default 0: one per processor of this process, and four
                                          where memory cannot hold the index, since searches wait for the disk. */
    const struct rhumb_filter *filter; /* Keys that may be returned, for all queries. Default NULL: all keys. */
    const struct rhumb_filter *const *filters; /* For batches, in place of `filter`: one pointer per query; NULL entries
                                                  mean no filter. Default NULL. */
    rhumb_progress_fn progress; /* Of a batch, also an exact one: receives the number of queries answered. Default
                                   NULL. */
    void *progress_context;     /* Passed to progress. */
    double recall; /* In place of ef_search: the share of the k nearest that is to be found, in the mean of many
                      queries, above 0 and at most 1. ef follows from what rhumb_index_recall_measure has measured, see
                      rhumb_index_recall_ef and the top of rhumb_recall.h. For searches for the k nearest alone.
                      Default 0: none. */
} rhumb_search_options;

/* Sets the defaults. `size` is sizeof(rhumb_search_options) as the caller compiled it. */
RHUMB_API void rhumb_search_options_init(rhumb_search_options *options, size_t size);

/* Finds the k nearest vectors, approximately (HNSW paper, algorithm 5).
 *
 * Results are sorted by distance, nearest first; equal distances are in any order. Distances are exact, in the metric's
 * own unit.
 *
 * Parameters:
 *   query          dim components, or a rhumb_sequence under levenshtein
 *   k              at least 1
 *   options        NULL: the defaults
 *   keys           room for k keys; entries after the last result are filled with RHUMB_KEY_NONE
 *   distances      room for k distances, or NULL; entries after the last result are filled with infinity
 *   found_count    receives the number of results; fewer than k if the index, or the filter, has fewer. May be NULL.
 *
 * Errors:
 *   RHUMB_E_INVALID        k is 0 or too large, ef_search is too large, recall is out of range or set together with
 *                          ef_search, a sequence is too long, or the filter is wrong
 *   RHUMB_E_NOT_FINITE     a component of the query is NaN or infinite
 *   RHUMB_E_DOMAIN         the metric is not defined for the query
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only; or recall is set, and was never measured
 */
RHUMB_API rhumb_status rhumb_index_search(rhumb_index *index, const void *query, size_t k,
                                          const rhumb_search_options *options, uint64_t *keys, float *distances,
                                          size_t *found_count) RHUMB_NODISCARD;

/* Runs `query_count` searches on several threads.
 *
 * A query that is invalid fails the whole batch, before any is searched for; the message names the first. Only a
 * failure of another kind (RHUMB_E_NOMEM, a stop, filter.keys whose order is found wrong during a search) may leave the
 * answers of some queries in the arrays. Progress is called by the calling thread, between two queries.
 *
 * Parameters:
 *   queries         `query_count` vectors, one after the other
 *   keys            a matrix of query_count rows of k keys
 *   distances       a matrix of query_count rows of k distances, or NULL
 *   found_counts    room for query_count counts, or NULL
 *
 * Errors:
 *   RHUMB_E_INVALID      options set both filter and filters; or as for rhumb_index_search
 *   RHUMB_E_CANCELLED    progress returned false
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_UNSUPPORTED    as for rhumb_index_search
 */
RHUMB_API rhumb_status rhumb_index_search_batch(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                                const rhumb_search_options *options, uint64_t *keys, float *distances,
                                                size_t *found_counts) RHUMB_NODISCARD;

/* Runs `query_count` searches by measuring every vector: the truth that recall is computed against.
 *
 * Equal distances are in the order in which rhumb_point_cursor lists points. options->ef_search and options->recall are
 * not used. Parameters and errors are those of rhumb_index_search_batch. */
RHUMB_API rhumb_status rhumb_index_search_exact(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                                const rhumb_search_options *options, uint64_t *keys, float *distances,
                                                size_t *found_counts) RHUMB_NODISCARD;

/* Finds the k vectors nearest to the vector stored under a key, without that key: "more like this".
 *
 * Parameters are those of rhumb_index_search. The filter need not let `key` through.
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    the key is not in the index
 *   RHUMB_E_INVALID, RHUMB_E_UNSUPPORTED    as for rhumb_index_search
 */
RHUMB_API rhumb_status rhumb_index_search_like(rhumb_index *index, uint64_t key, size_t k,
                                               const rhumb_search_options *options, uint64_t *keys, float *distances,
                                               size_t *found_count) RHUMB_NODISCARD;

/* Finds all vectors within a radius, approximately.
 *
 * The search first finds the nearest vectors, with the breadth of options->ef_search, and from there everything that
 * can be reached within the radius; so the breadth matters little when there are many. Results are sorted by distance.
 * Under ip, where the vectors within a bound are not a ball, parts of them may be missed. Needs some 30 bytes of memory
 * per vector within the radius, which the handle keeps for later searches.
 *
 * Parameters:
 *   radius         the largest distance of a result, in the metric's own unit
 *   max_count      room in `keys` and `distances`, at least 1
 *   keys           entries after the last result are filled with RHUMB_KEY_NONE
 *   distances      entries after the last result are filled with infinity; may be NULL
 *   found_count    receives the number of results. If it equals max_count there may be more, and those are the nearest.
 *
 * Errors:
 *   RHUMB_E_INVALID    radius is NaN, max_count is 0, or options->recall is set; or as for rhumb_index_search
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_UNSUPPORTED    as for rhumb_index_search
 */
RHUMB_API rhumb_status rhumb_index_search_radius(rhumb_index *index, const void *query, float radius, size_t max_count,
                                                 const rhumb_search_options *options, uint64_t *keys, float *distances,
                                                 size_t *found_count) RHUMB_NODISCARD;

/* ---- one after the other ----------------------------------------------------------------------------------------- */

/* Lists vectors by their distance to a query, as many as are asked for:
 *
 *       rhumb_iterator *iterator = NULL;
 *       if (rhumb_iterator_open(index, query, NULL, &iterator) != RHUMB_OK) ...
 *       while (rhumb_iterator_next(iterator, 100, keys, distances, &count) == RHUMB_OK && count > 0) ...
 *       rhumb_iterator_close(iterator);
 *
 * An iterator belongs to one thread at a time; any number may be open. Between calls it blocks nothing, neither a
 * refresh nor a compaction. */
typedef struct rhumb_iterator rhumb_iterator;

/* Begins to list vectors by their distance to `query`. The work is done by rhumb_iterator_next.
 *
 * Parameters:
 *   query           copied
 *   options         copied, as is options->filter, but not the arrays that the filter points to: these must stay
 *                   unchanged until the iterator is closed. options->ef_search is how many vectors the iterator looks
 *                   ahead: its first k keys are about as good as those of a search with k more of breadth.
 *   iterator_out    receives the iterator; release it with rhumb_iterator_close before the index is closed
 *
 * Errors:
 *   RHUMB_E_INVALID    options->recall is set, which needs a k; or as for rhumb_index_search
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_UNSUPPORTED    as for rhumb_index_search
 */
RHUMB_API rhumb_status rhumb_iterator_open(rhumb_index *index, const void *query, const rhumb_search_options *options,
                                           rhumb_iterator **iterator_out) RHUMB_NODISCARD;

/* Lists the next vectors.
 *
 * No key is listed twice. The order is approximate: a vector that is found late is listed late, even if it is nearer
 * than earlier ones. An iterator that runs to its end lists every key that matches, the last ones by scanning the whole
 * index. A key that is deleted before its turn is not listed; one that is inserted may or may not be; one that is
 * replaced is listed once, with one of its vectors. After a refresh or a compaction the iterator continues in the new
 * version: it starts again there and leaves out the keys that it has listed. Its memory grows with what it has listed.
 * With a filter it walks over all vectors, or measures all that match if they are few.
 *
 * Parameters:
 *   max_count      room in `keys` and `distances`
 *   distances      may be NULL
 *   found_count    receives the number of results: fewer than max_count only at the end, 0 if there are no more. Set on
 *                  failure too, to the number of results before it.
 *
 * Errors:
 *   RHUMB_E_NOMEM      another call may succeed
 *   RHUMB_E_INVALID    filter.keys do not ascend
 */
RHUMB_API rhumb_status rhumb_iterator_next(rhumb_iterator *iterator, size_t max_count, uint64_t *keys, float *distances,
                                           size_t *found_count) RHUMB_NODISCARD;

/* Releases an iterator; must be called before its index is closed. NULL is allowed. */
RHUMB_API void rhumb_iterator_close(rhumb_iterator *iterator);

/* ---- without an index -------------------------------------------------------------------------------------------- */

/* Measures the distances from `query` to `count` vectors, as an index that was created with these options would. It
 * touches no file, and the options need not be those of an index that exists.
 *
 * Parameters:
 *   options      dim, metric, element, normalise and, for a custom metric, open->custom_name, custom_distance and
 *                custom_context are used
 *   query        as for rhumb_index_search
 *   vectors      `count` vectors, one after the other
 *   distances    receives `count` distances, each as rhumb_index_search returns it
 *
 * Errors: on failure the contents of `distances` are undefined, and the message names the vector.
 *   RHUMB_E_INVALID        dim is out of range, metric or element is none of the choices, or a sequence is too long
 *   RHUMB_E_UNSUPPORTED    the metric does not measure the element type
 *   RHUMB_E_METRIC         the metric is custom, and options->open lacks its name or its function
 *   RHUMB_E_NOT_FINITE     a component is NaN or infinite
 *   RHUMB_E_DOMAIN         the metric is not defined for a vector
 */
RHUMB_API rhumb_status rhumb_vectors_measure(const rhumb_index_options *options, const void *query, const void *vectors,
                                             size_t count, float *distances) RHUMB_NODISCARD;

/* ---- filters ----------------------------------------------------------------------------------------------------- */

/* What a filter is made of. */
typedef enum rhumb_filter_kind {
    RHUMB_FILTER_KEYS = 1,    /* rhumb_filter.keys: a sorted array of the keys that match */
    RHUMB_FILTER_BITMAP = 2,  /* rhumb_filter.bitmap: one bit per key */
    RHUMB_FILTER_CALLBACK = 3 /* rhumb_filter.matches: a function */
} rhumb_filter_kind;

/* How a filtered search proceeds; for measurements and tests. */
typedef enum rhumb_filter_plan {
    RHUMB_FILTER_PLAN_AUTO = 0,   /* the plan that is expected to be fastest */
    RHUMB_FILTER_PLAN_EXACT = 1,  /* measure every vector that matches */
    RHUMB_FILTER_PLAN_BRIDGE = 2, /* walk over vectors that match, and over others for up to two hops */
    RHUMB_FILTER_PLAN_WALK = 3    /* walk over all vectors, and keep those that match */
} rhumb_filter_plan;

/* Returns whether `key` matches.
 *
 * It is called on the threads that search, on several at the same time in a batch; a few times per key, in no
 * particular order, and also about keys that are not results. Its answer must not change during a search. It may call
 * functions of this library, also on the handle that searches, while other threads refresh or compact it. Exceptions
 * are the functions that close or refresh that handle, compact its index or make a checkpoint of it, which
 * rhumb_index_metadata_set, rhumb_topology_export and, in mode none, rhumb_index_sync do; and those that wait for such
 * work: rhumb_index_wait_idle and, on a handle that writes, rhumb_index_verify. */
typedef bool (*rhumb_filter_fn)(void *context, uint64_t key);

/* Which keys a search may return: those of an array, of a bitmap, or those for which a function returns true.
 *
 * A filter is applied during the search: a key that does not match is never returned, and fewer than k results are
 * returned only if fewer than k keys match, in which case all of them are. A sample of the index estimates which share
 * matches, and decides how the search proceeds: if few match, every one of them is measured; otherwise the graph is
 * walked with the breadth of ef_search, as without a filter (docs/architecture.md).
 * Bitmaps are over keys, not over slots, which are internal numbers that change when an index is compacted. Keys 0, 1,
 * 2... (those of a batch without keys) make a bitmap as small as one over slots.
 * The arrays belong to the caller and must not change while a search uses them. Any number of searches may use one
 * filter at the same time. Invalid filters are RHUMB_E_INVALID. */
typedef struct rhumb_filter {
    size_t size;               /* sizeof(rhumb_filter), set by rhumb_filter_init. */
    rhumb_filter_kind kind;    /* Which of the fields below are used. Has no default: must be set. */
    bool negate;               /* Return the keys that would not match instead. Default false. */
    const uint64_t *keys;      /* RHUMB_FILTER_KEYS: keys in ascending order, each once. Keys that the index lacks are
                                  allowed. Of long arrays only a part is checked for its order before it is used. */
    size_t key_count;          /* Number of entries of `keys`. */
    const void *bitmap;        /* RHUMB_FILTER_BITMAP: key bitmap_key_base + i matches if bit i % 8 of byte i / 8 is
                                  1. */
    uint64_t bitmap_bit_count; /* Number of bits; keys outside of them do not match. */
    uint64_t bitmap_key_base;  /* The key of the first bit. */
    rhumb_filter_fn matches;   /* RHUMB_FILTER_CALLBACK: the function. */
    void *context;             /* Passed to `matches`. */
    rhumb_filter_plan plan;    /* How to proceed. Default RHUMB_FILTER_PLAN_AUTO. */
} rhumb_filter;

/* Sets the defaults. `size` is sizeof(rhumb_filter) as the caller compiled it. */
RHUMB_API void rhumb_filter_init(rhumb_filter *filter, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_SEARCH_H */
