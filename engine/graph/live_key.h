/* live_key.h - from a key to the live node that searches may return.
 */
#ifndef RHUMB_ENGINE_GRAPH_LIVE_KEY_H
#define RHUMB_ENGINE_GRAPH_LIVE_KEY_H

#include "engine/graph/graph.h"

/* The slot of a key's node, which can be read and was alive at the time of the look-up, or RHUMB__SLOT_NONE.
 * *under_way_out is whether there is none because an operation on the key is placing one; the key may then have an
 * older node that the key table no longer lists. In a handle that writes, holds the lock of one chunk of the key table
 * while it reads one bucket. */
static inline uint32_t rhumb__graph_find_live(rhumb__graph *graph, uint64_t key, bool *under_way_out) {
    const uint32_t slot = rhumb__key_table_find(&graph->key_table, key);
    *under_way_out = false;
    if (slot == RHUMB__SLOT_NONE) return RHUMB__SLOT_NONE;
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0) return slot;
    *under_way_out = true;
    return RHUMB__SLOT_NONE;
}

/* The same, but waits for a node that is being placed, for callers that need the key also while it is being replaced.
 * RHUMB__SLOT_NONE: the key is not in the index. */
uint32_t rhumb__graph_await_live(rhumb__graph *graph, uint64_t key);

#endif /* RHUMB_ENGINE_GRAPH_LIVE_KEY_H */
