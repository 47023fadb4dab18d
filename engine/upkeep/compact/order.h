/* order.h - the order in which nodes should lie, so that neighbours in the graph are neighbours in the file: a search
 * then touches fewer pages and cache lines (Coleman et al., "Graph reordering for cache-efficient near neighbor
 * search", NeurIPS 2022).
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_H

#include "base/progress.h"
#include "engine/graph/graph.h"

typedef enum rhumb__order_kind {
    RHUMB__ORDER_KEEP = 0,     /* as they lie now */
    RHUMB__ORDER_BREADTH = 1,  /* breadth first from the entry point */
    RHUMB__ORDER_RCM = 2,      /* reverse Cuthill-McKee: breadth first, nodes of few links first, then backwards */
    RHUMB__ORDER_WINDOW = 3,   /* Gorder: next the node that shares most with the last few */
    RHUMB__ORDER_BISECTION = 4 /* cut in two again and again, so that searches stay within few parts */
} rhumb__order_kind;

/* How an order is to be computed. */
typedef struct rhumb__order_work {
    uint32_t thread_count;     /* for RHUMB__ORDER_BISECTION; 0: one per processor */
    rhumb__progress *progress; /* asked now and then whether to stop; may be NULL */
    const uint64_t *left_out;  /* one bit per slot: it is not in the order; NULL: deleted nodes are not */
} rhumb__order_work;

/* What an order has; "live" nodes are those that are not left out. */
typedef struct rhumb__order_counts {
    uint64_t head_count; /* one node of each group of equal vectors; these come first, see groups.h */
    uint64_t count;      /* all live nodes */
} rhumb__order_counts;

/* Fills `order`, which has room for all slots, with the slots of the live nodes, each once: those that are going to be
 * in the graph, then the copies of these. No thread changes the graph. Walks pass through deleted nodes; nodes that no
 * link leads to come last in orders that walk.
 * Memory: some bytes per slot, and 4 per link for RHUMB__ORDER_WINDOW, 8 for RHUMB__ORDER_BISECTION. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED. */
rhumb_status rhumb__order(rhumb__graph *graph, rhumb__order_kind kind, const rhumb__order_work *work, uint32_t *order,
                          rhumb__order_counts *counts_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_H */
