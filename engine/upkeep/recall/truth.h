/* truth.h - the distances of the nearest vectors of many queries, by measuring all: what recall is counted
 * against.
 *
 * One pass over the vectors, a few of which are measured from all queries while they are in the cache; so it takes some
 * tenths of the time of as many exact searches, and reads a file that memory cannot hold once.
 */
#ifndef RHUMB_ENGINE_UPKEEP_RECALL_TRUTH_H
#define RHUMB_ENGINE_UPKEEP_RECALL_TRUTH_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

/* The most neighbours of a query that are looked for. */
#define RHUMB__TRUTH_K 100u

typedef struct rhumb__truth {
    rhumb__graph *graph;
    const uint8_t *rows;         /* the queries: prepared rows, one every row_stride_bytes of the graph's space */
    const uint32_t *slots;       /* of each query a slot that is not its neighbour, or RHUMB__SLOT_NONE */
    const rhumb__hidden *hidden; /* nodes that are neighbours of none */
    uint32_t query_count;
    uint32_t thread_count;     /* 0: one per processor */
    float *distances;          /* set: RHUMB__TRUTH_K of each query, ascending, then infinity; finished */
    uint32_t *found_counts;    /* set: how many there are */
    rhumb__progress *progress; /* reports up to `step_count` */
    uint64_t step_count;
} rhumb__truth;

/* Measures all live vectors. The caller makes sure that the graph stays. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__truth_find(const rhumb__truth *truth) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_RECALL_TRUTH_H */
