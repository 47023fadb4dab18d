/* group.h - the members of a group of equal vectors, as searches meet them: a walk meets the head, and finds the copies
 * in the chain that hangs on it (graph/ties.h).
 *
 * A damaged file can hang one chain on many heads. So a search counts the copies that it has followed chains through,
 * and follows no more when there have been as many as the graph has: without damage no copy is in two chains.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_GROUP_H
#define RHUMB_ENGINE_SEARCH_WALK_GROUP_H

#include "base/bits.h"
#include "engine/graph/ties.h"

/* The copies that hang on the node of `slot`, after `followed_count` others have been followed. Of a copy there are
 * none: what comes after it in the chain hangs on its head. */
static inline rhumb__copies rhumb__group_copies(const rhumb__graph *graph, uint32_t slot, uint64_t followed_count) {
    rhumb__copies copies = rhumb__copies_of(graph, slot);
    /* In this order: a node becomes a copy before its tie names another. */
    if (copies.next != 0 && rhumb__graph_is_copy(graph, slot)) copies.next = 0;
    copies.left_count -= rhumb__min_u64(copies.left_count, followed_count);
    return copies;
}

/* Takes the next copy, as rhumb__copies_next does, and adds the number of those passed to *followed_count. */
static inline bool rhumb__group_next(const rhumb__graph *graph, rhumb__copies *copies, uint64_t slot_limit,
                                     uint64_t *followed_count, uint32_t *slot_out) {
    const uint64_t left_count = copies->left_count;
    const bool found = rhumb__copies_next(graph, copies, slot_limit, slot_out);
    *followed_count += left_count - copies->left_count;
    return found;
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_GROUP_H */
