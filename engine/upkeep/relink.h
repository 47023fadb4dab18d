/* relink.h - making a graph whole again whose nodes and vectors are there and whose lists are not, or not all.
 *
 * Nothing but the caller's threads may use the graph meanwhile.
 */
#ifndef RHUMB_ENGINE_UPKEEP_RELINK_H
#define RHUMB_ENGINE_UPKEEP_RELINK_H

#include "base/progress.h"
#include "engine/search/scratch.h"

typedef struct rhumb__relink_spec {
    rhumb__scratch_pool *pool;
    const uint64_t *incomplete; /* one bit per slot: its list on level 0 lacks something */
    uint32_t thread_count;      /* 0: one per processor */
    rhumb__progress *progress;
    uint64_t progress_begin; /* what has been done before; the rest of its total is for both functions */
} rhumb__relink_spec;

/* For a graph of which all nodes are placed and no list of an upper level is written: links the incomplete nodes on all
 * levels by the search that inserting uses, which keeps what is in a list and adds to it, and all nodes of upper
 * levels. Leaves the entry point where the file is going to have it. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__relink(rhumb__graph *graph, const rhumb__relink_spec *spec) RHUMB_NODISCARD;

/* Gives every live node that no path leads to one: first as inserting would, then, to those that still have none, by
 * putting them between a node that can be reached and one of its neighbours, which takes no path from any other. The
 * numbers are those of nodes without a path before, and, which is 0, after. To be called after rhumb__relink.
 * RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__relink_unreachable(rhumb__graph *graph, const rhumb__relink_spec *spec, uint64_t *before_count_out,
                                       uint64_t *after_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_RELINK_H */
