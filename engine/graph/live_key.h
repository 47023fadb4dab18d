/* live_key.h - from a key to the node that a search may answer with.
 */
#ifndef RHUMB_ENGINE_GRAPH_LIVE_KEY_H
#define RHUMB_ENGINE_GRAPH_LIVE_KEY_H

#include "engine/graph/graph.h"

/* The slot of a key's node, which can be read and was alive a moment ago, or RHUMB__SLOT_NONE. *under_way_out is
 * whether there is none because an operation on the key is just placing one; the key may have an older node then, which
 * the key table does not know any more. In a handle that writes it takes the lock of one chunk of the key table for as
 * long as a look at one bucket takes. */
static inline uint32_t rhumb__graph_find_live(rhumb__graph *graph, uint64_t key, bool *under_way_out) {
    const uint32_t slot = rhumb__key_table_find(&graph->key_table, key);
    *under_way_out = false;
    if (slot == RHUMB__SLOT_NONE) return RHUMB__SLOT_NONE;
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0) return slot;
    *under_way_out = true;
    return RHUMB__SLOT_NONE;
}

/* The same for those who cannot do without the key while it is being replaced: waits for a node that is just being
 * placed. RHUMB__SLOT_NONE then means that the key is not in the index. */
uint32_t rhumb__graph_await_live(rhumb__graph *graph, uint64_t key);

#endif /* RHUMB_ENGINE_GRAPH_LIVE_KEY_H */
