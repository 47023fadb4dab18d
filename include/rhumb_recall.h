/* rhumb_recall.h - how much of the truth the searches of an index find: measuring it, and what was measured. Part of
 * the manual; include rhumb.h, which includes this file.
 *
 *   A measurement searches for some queries at a ladder of ef, and compares what is found with what measuring every
 *   vector finds. The result, a *curve* of recall over ef for each of k = 1, 10 and 100, is kept in the index. From
 *   then on a search may ask for a recall in place of an ef: rhumb_search_options.recall.
 *
 *   What a target means. It is the mean over many queries like those of the measurement; a single query may find all
 *   or much less. Without queries of the caller's the index samples its own vectors, a tenth of them at most, and
 *   takes them out of a private copy of the graph. So the target holds
 *   for queries that are distributed as the vectors are. Queries from elsewhere (texts that look for images, questions
 *   that look for answers) are usually harder: give some of them to the measurement. With a filter, or far from all
 *   vectors, a search may find less.
 *
 *   How long it lasts. The curve belongs to the graph as it was. Checkpoints keep it, and compactions as long as codes
 *   and fused rows stay as they are. Once the operations since make more than a quarter of the vectors it is called
 *   outdated, and is used all the same: a larger index needs a somewhat larger ef. A repair and an import have none.
 */
#ifndef RHUMB_RECALL_H
#define RHUMB_RECALL_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RHUMB_RECALL_QUERY_COUNT_MAX 65535u /* queries of one measurement */
#define RHUMB_RECALL_POINT_MAX 64u          /* points of a curve */

/* How to measure. */
typedef struct rhumb_recall_options {
    size_t size;         /* sizeof(rhumb_recall_options), set by rhumb_recall_options_init. */
    const void *queries; /* The queries, one after the other, as for rhumb_index_search_batch. Default NULL: a sample of
                            the vectors of the index. */
    size_t
        query_count; /* How many queries, at most RHUMB_RECALL_QUERY_COUNT_MAX. Default 0: 1,000 of a sample. A sample
                            is at most a tenth of the index. */
    uint64_t seed;   /* Of the sample. Default 397. */
    uint32_t thread_count;      /* Default 0: one per processor of this process. */
    bool dry_run;               /* Do not keep the curve in the index. Default false. */
    rhumb_progress_fn progress; /* Receives the number of steps done, of 1,000: half of them for the truth. Some may be
                                   passed over. Default NULL. */
    void *progress_context;     /* Passed to progress. */
} rhumb_recall_options;

/* Sets the defaults. `size` is sizeof(rhumb_recall_options) as the caller compiled it. */
RHUMB_API void rhumb_recall_options_init(rhumb_recall_options *options, size_t size);

/* A curve: `point_count` points, sorted by k and then by ef. A row of equal k ends where nearly all was found. */
typedef struct rhumb_recall_curve {
    size_t size;                           /* The size that the caller passed. */
    uint32_t query_count;                  /* Queries that it was measured with. */
    bool queries_given;                    /* Whether they were the caller's; otherwise vectors of the index. */
    bool outdated;                         /* Whether the operations since make more than a quarter of `count`. */
    uint64_t count;                        /* Vectors that searches could find then. */
    uint64_t change_count;                 /* Records of the log since: operations, begins and ends of batches. */
    uint32_t point_count;                  /* Entries in each of the next three. */
    uint32_t k[RHUMB_RECALL_POINT_MAX];    /* Answers that were asked for: 1, 10 or 100. */
    uint32_t ef[RHUMB_RECALL_POINT_MAX];   /* The ef_search of the searches. */
    double recall[RHUMB_RECALL_POINT_MAX]; /* The share of the k nearest that was found, in the mean of all queries (at
                                              large ef and k: of some). What is as near as the k-th counts as found. */
} rhumb_recall_curve;

/* Measures the recall of an index at a ladder of ef, and keeps it in the index.
 *
 * It reads the newest checkpoint, which a writing handle makes first, through a mapping of its own; inserts, deletes,
 * searches and compactions go on. Every vector is measured from every query, and each query is searched for some thirty
 * times. With the same checkpoint, options and processor the result is the same, whatever the number of threads.
 *
 * Parameters:
 *   options    NULL: the defaults
 *   curve      receives what was measured; may be NULL
 *   size       sizeof(rhumb_recall_curve) as the caller compiled it
 *
 * Errors: on failure the index has the curve that it had.
 *   RHUMB_E_NOTFOUND       the index has no vectors, or too few to leave one out; or another index is at its path now
 *   RHUMB_E_READONLY       the handle is read-only, and dry_run is not set
 *   RHUMB_E_INVALID        query_count is too large, or is 0 with queries; a sequence is too long
 *   RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN    of a query, which the message names
 *   RHUMB_E_STALE          a compaction has changed codes or fused rows in the meantime
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only
 *   RHUMB_E_CANCELLED      progress returned false
 *   RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_FATAL    as for rhumb_index_checkpoint
 */
RHUMB_API rhumb_status rhumb_index_recall_measure(rhumb_index *index, const rhumb_recall_options *options,
                                                  rhumb_recall_curve *curve, size_t size) RHUMB_NODISCARD;

/* Fills `curve` with the one that the index has.
 *
 * Parameters:
 *   size    sizeof(rhumb_recall_curve) as the caller compiled it
 *
 * Errors:
 *   RHUMB_E_NOTFOUND    it has none
 */
RHUMB_API rhumb_status rhumb_index_recall_get(rhumb_index *index, rhumb_recall_curve *curve,
                                              size_t size) RHUMB_NODISCARD;

/* Returns the ef that a search for k answers uses when it asks for a recall.
 *
 * For a k that was not measured, ef is interpolated between the two around it; above 100 it is in proportion to k.
 *
 * Parameters:
 *   k             at least 1
 *   recall        above 0, at most 1
 *   ef            receives the ef
 *   recall_out    receives `recall`; or less, the highest that was measured, if that was not reached: then ef is the
 *                 largest that was measured. May be NULL.
 *
 * Errors:
 *   RHUMB_E_INVALID        k or recall is out of range
 *   RHUMB_E_UNSUPPORTED    the index has no curve
 */
RHUMB_API rhumb_status rhumb_index_recall_ef(rhumb_index *index, size_t k, double recall, uint32_t *ef,
                                             double *recall_out) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_RECALL_H */
