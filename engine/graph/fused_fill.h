/* fused_fill.h - fillers: which nodes get the lanes of a fused row that its list leaves empty.
 *
 * Blocks have 16 lanes, and a block costs the same whether its lanes are used or not. Lists are shorter: pruning keeps
 * about half of what they have room for. So lanes that are empty are given to nodes nearby, by a rule like that of
 * pruning, only milder: a candidate is taken unless the angle at the node, between it and a nearer one of the row, is
 * too small; how small is chosen so that the lanes are just filled (SymphonyQG's way: Gou, Gao, Xu and Long, SIGMOD
 * 2025). Searches then see more nodes for the same reads.
 *
 * Pure but for the memory of the caller; may be used by any number of threads. Only the set-up fails.
 */
#ifndef RHUMB_ENGINE_GRAPH_FUSED_FILL_H
#define RHUMB_ENGINE_GRAPH_FUSED_FILL_H

#include <stdint.h>

#include "base/status.h"
#include "distances/space.h"

/* The nearest so many candidates are considered. */
#define RHUMB__FUSED_FILL_MAX 48u

/* Measures what angles are made of: squared distances, by the metric itself under cosine, else by l2sq, under ip too:
 * what fillers have in common is their direction. */
typedef struct rhumb__fused_filler {
    rhumb__space space;
} rhumb__fused_filler;

/* What rhumb__space_init returns; not for metrics and element types that have no fused rows. */
rhumb_status rhumb__fused_filler_init(rhumb__fused_filler *filler, const rhumb__space *space) RHUMB_NODISCARD;

typedef struct rhumb__fused_candidate {
    const void *vector; /* a prepared row of the space */
    uint32_t slot;
    float distance; /* from the node; written by rhumb__fused_fill */
} rhumb__fused_candidate;

/* The node of a row, and what may be in it. */
typedef struct rhumb__fused_fill_from {
    rhumb__fused_candidate node;
    rhumb__fused_candidate *list; /* its neighbours; at most RHUMB__M0_MAX, and they keep their order */
    uint32_t list_count;
    rhumb__fused_candidate *candidates; /* such as the neighbours of the neighbours, in any order, also repeatedly */
    uint32_t candidate_count;
} rhumb__fused_fill_from;

/* Memory of a call. */
typedef struct rhumb__fused_fill_scratch {
    float cosines[RHUMB__FUSED_FILL_MAX][RHUMB__FUSED_FILL_MAX]; /* at the node, between candidates; 2: not measured */
    float list_cosines[RHUMB__FUSED_FILL_MAX]; /* the largest between a candidate and a nearer one of the list */
    uint32_t chosen[2][RHUMB__FUSED_FILL_MAX];
} rhumb__fused_fill_scratch;

/* Chooses up to `count` fillers, moves them to the front of from->candidates, nearest first, and returns how many there
 * are: fewer only if there are not enough candidates among the nearest RHUMB__FUSED_FILL_MAX. The node, what is in the
 * list, and what equals the node is never chosen, and nothing twice. The result does not depend on the order of
 * candidates. */
uint32_t rhumb__fused_fill(const rhumb__fused_filler *filler, const rhumb__fused_fill_from *from, uint32_t count,
                           rhumb__fused_fill_scratch *scratch);

#endif /* RHUMB_ENGINE_GRAPH_FUSED_FILL_H */
