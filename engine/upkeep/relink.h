/* relink.h - completes the lists of a graph whose nodes and vectors are all there, and ties it together.
 *
 * Only the threads of the caller may use the graph in the meantime.
 */
#ifndef RHUMB_ENGINE_UPKEEP_RELINK_H
#define RHUMB_ENGINE_UPKEEP_RELINK_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

typedef struct rhumb__relink_spec {
    rhumb__scratch_pool *pool;
    const uint64_t *incomplete; /* one bit per slot: its list on level 0 lacks something. Not of copies */
    bool upper_linked;          /* the lists of upper levels are there, of nodes that are not incomplete */
    uint32_t thread_count;      /* 0: one per processor */
    rhumb__progress *progress;
    uint64_t progress_begin; /* progress made before; the rest of the total is for this */
} rhumb__relink_spec;

typedef struct rhumb__relink_result {
    uint64_t without_path_count; /* heads that no lists led to before */
    uint64_t relinked_count;     /* those, and the incomplete ones */
    uint64_t unreachable_count;  /* live nodes that no path leads to afterwards: 0 */
} rhumb__relink_result;

/* Marks the heads without a list on level 0, of a graph that no other thread knows. */
void rhumb__relink_mark_empty(rhumb__graph *graph, uint64_t *incomplete);

/* Ties and links a graph whose nodes are all placed, whose copies hang on their heads, whose heads are not tied, and
 * whose upper lists are all empty: the incomplete nodes, those that no lists lead to, and all nodes of upper levels, on
 * every level. It uses the search that inserting uses, which keeps what is in a list and adds to it. Sets the entry
 * point to the node that the file will record. Afterwards every head is tied. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__relink(rhumb__graph *graph, const rhumb__relink_spec *spec,
                           rhumb__relink_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_RELINK_H */
