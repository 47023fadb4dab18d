/* relink.h - completes the lists of a graph whose nodes and vectors are all there.
 *
 * Only the threads of the caller may use the graph in the meantime.
 */
#ifndef RHUMB_ENGINE_UPKEEP_RELINK_H
#define RHUMB_ENGINE_UPKEEP_RELINK_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

typedef struct rhumb__relink_spec {
    rhumb__scratch_pool *pool;
    const uint64_t *incomplete; /* one bit per slot: its list on level 0 lacks something */
    uint32_t thread_count;      /* 0: one per processor */
    rhumb__progress *progress;
    uint64_t progress_begin; /* progress made before; the rest of the total is for both functions together */
} rhumb__relink_spec;

/* Links a graph whose nodes are all placed and whose upper lists are all empty: the incomplete nodes, and all nodes of
 * upper levels, on every level. It uses the search that inserting uses, which keeps what is in a list and adds to it.
 * Sets the entry point to the node that the file will record. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__relink(rhumb__graph *graph, const rhumb__relink_spec *spec) RHUMB_NODISCARD;

/* Gives a path to every live node that has none: first by linking it as inserting would, then, if it still has none, by
 * putting it between a node that can be reached and one of its neighbours, which takes no path from any other node.
 * Returns the number of nodes without a path before, and after, which is 0. Call it after rhumb__relink.
 * RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__relink_unreachable(rhumb__graph *graph, const rhumb__relink_spec *spec, uint64_t *before_count_out,
                                       uint64_t *after_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_RELINK_H */
