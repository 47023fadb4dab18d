/* hide.h - taking some nodes out of a graph that no other thread uses, as if they had never been inserted.
 *
 * Walks pass over hidden nodes (rhumb__hidden), but that alone would leave holes: where a hidden node was a neighbour,
 * others had not been linked because it was. So the lists that it was in get, in its place, what would be chosen
 * without it and is not chosen with it. The graph is one that a reader has opened; only this process's memory changes.
 */
#ifndef RHUMB_ENGINE_UPKEEP_RECALL_HIDE_H
#define RHUMB_ENGINE_UPKEEP_RECALL_HIDE_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"

/* Mends the lists on level 0 that hidden nodes are in, on so many threads (0: one per processor). `pool` is one of the
 * graph's. Afterwards no list of a node that is not hidden has a hidden one. RHUMB_E_NOMEM, RHUMB_E_IO,
 * RHUMB_E_CANCELLED. */
rhumb_status rhumb__hide(rhumb__graph *graph, rhumb__scratch_pool *pool, const rhumb__hidden *hidden,
                         uint32_t thread_count, rhumb__progress *progress) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_RECALL_HIDE_H */
