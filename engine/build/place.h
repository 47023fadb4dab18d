/* place.h - putting a node into its slot, and linking nodes that were put there earlier: the steps that inserts, the
 * replay of the log, compaction and repair share.
 */
#ifndef RHUMB_ENGINE_BUILD_PLACE_H
#define RHUMB_ENGINE_BUILD_PLACE_H

#include "engine/search/walk/scratch.h"

/* Where a node is. */
typedef struct rhumb__node_place {
    uint32_t slot;
    uint32_t level;
    uint32_t upper_row; /* the first of `level` rows; meaningless on level 0 */
} rhumb__node_place;

/* Allocates the next slot and its upper rows for a node with this key. Under append_lock. RHUMB_E_FULL, RHUMB_E_NOMEM.
 */
rhumb_status rhumb__place_allocate(rhumb__graph *graph, uint64_t key, rhumb__node_place *place_out) RHUMB_NODISCARD;

/* Writes a node: vector, empty lists, node record. `row` is a prepared row of the space. The key is written already. */
void rhumb__place_write(rhumb__graph *graph, const void *row, const rhumb__node_place *place);

/* Writes a node without linking it, for an operation that is in the log already: `row` is a prepared row of the space.
 * With `replace` the key may exist; its previous node is deleted. One thread at a time, and no other thread uses the
 * graph. RHUMB_E_EXISTS, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_place(rhumb__graph *graph, uint64_t key, const void *row, bool replace) RHUMB_NODISCARD;

/* The same for a node of another library's index, which keeps its level (at most the index's level_max). The key must
 * not exist. */
rhumb_status rhumb__graph_place_at(rhumb__graph *graph, uint64_t key, const void *row, uint32_t level) RHUMB_NODISCARD;

/* Links a node that rhumb__graph_place has written. Any number of threads may call it at once. RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_link_placed(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) RHUMB_NODISCARD;

/* The same for a head of a graph that is being rebuilt: all of its nodes are placed, and its copies hang already, so
 * the node does not become one, and any node may be its anchor. */
rhumb_status rhumb__graph_link_head(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_PLACE_H */
