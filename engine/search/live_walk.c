/* live_walk.c - see live_walk.h. Works in the scratch of its caller and keeps no state. Takes no lock.
 */
#include "engine/search/live_walk.h"

#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/walk/group.h"
#include "engine/search/walk/row_reader.h"

/* The largest share of deleted nodes, as one in so many. */
#define DEAD_SHARE 4u

/* Deleted nodes that a walk passes through at most: these, and a share of its breadth. */
#define PASSED_MIN 8u
#define PASSED_SHARE 2u

typedef struct live_nodes {
    rhumb__graph *graph;
    uint64_t slot_limit;
    uint64_t followed_count; /* copies whose heads were deleted */
} live_nodes;

/* Whether any member of a node's group is live. */
static bool passes(void *context, uint32_t slot) {
    live_nodes *live = context;
    if (!rhumb__graph_is_dead(live->graph, slot)) return true;
    if (!rhumb__graph_has_copies(live->graph)) return false;
    rhumb__copies copies = rhumb__group_copies(live->graph, slot, live->followed_count);
    uint32_t copy;
    while (rhumb__group_next(live->graph, &copies, live->slot_limit, &live->followed_count, &copy)) {
        if (!rhumb__graph_is_dead(live->graph, copy)) return true;
    }
    return false;
}

bool rhumb__live_walk_pays(rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t ef) {
    return rhumb__row_reader_pays(graph, scratch) &&
           atomic_load(&graph->dead_count) <= rhumb__graph_live_count(graph) / DEAD_SHARE &&
           rhumb__row_reader_breadth(graph, ef) <= RHUMB__SMALL_POOL_MAX;
}

rhumb_status rhumb__live_walk(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t ef,
                              rhumb__candidate_pool **nearest_out) {
    live_nodes live = {.graph = graph, .slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire)};
    const rhumb__walk_goal goal = {
        .ef = ef,
        .passes = passes,
        .context = &live,
        .failing_max = PASSED_MIN + rhumb__row_reader_breadth(graph, ef) / PASSED_SHARE,
    };
    return rhumb__walk_nearest(graph, scratch, &goal, nearest_out);
}
