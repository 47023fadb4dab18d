/* unlinked.h - the range of slots whose nodes no link leads to yet.
 *
 * These nodes come from the log at opening, or are the last that a compaction has carried over. A background thread
 * links them, the lowest slots first. Until then searches measure them one by one, so that they are found from the
 * beginning.
 *
 * INVARIANT: every node below the range, and every node above it, can be reached through links, apart from those that
 * their own inserts are still linking. Nothing but this file touches the two ends of the range.
 */
#ifndef RHUMB_ENGINE_GRAPH_UNLINKED_H
#define RHUMB_ENGINE_GRAPH_UNLINKED_H

#include "base/assert.h"
#include "engine/graph/graph.h"

/* Sets the range to [begin, end). No other thread knows the graph yet. */
static inline void rhumb__unlinked_set(rhumb__graph *graph, uint64_t begin, uint64_t end) {
    RHUMB_ASSERT_DEBUG(begin <= end && end <= RHUMB__SLOT_LIMIT);
    graph->unlinked_end = end;
    atomic_store(&graph->unlinked_begin, begin);
}

/* Moves the end of the range. No search knows the graph yet. */
static inline void rhumb__unlinked_set_end(rhumb__graph *graph, uint64_t end) {
    RHUMB_ASSERT_DEBUG(end >= graph->unlinked_end && end <= RHUMB__SLOT_LIMIT);
    graph->unlinked_end = end;
}

/* Takes the nodes below `begin`, which are linked now, out of the range. Release pairs with the acquire in
 * rhumb__unlinked_begin: a search that no longer measures these nodes finds their links. */
static inline void rhumb__unlinked_advance(rhumb__graph *graph, uint64_t begin) {
    RHUMB_ASSERT_DEBUG(begin <= graph->unlinked_end);
    atomic_store_explicit(&graph->unlinked_begin, begin, memory_order_release);
}

static inline uint64_t rhumb__unlinked_begin(const rhumb__graph *graph) {
    return atomic_load_explicit(&graph->unlinked_begin, memory_order_acquire);
}

static inline uint64_t rhumb__unlinked_end(const rhumb__graph *graph) { return graph->unlinked_end; }

/* How many nodes are in the range. */
static inline uint64_t rhumb__unlinked_count(const rhumb__graph *graph) {
    const uint64_t begin = rhumb__unlinked_begin(graph);
    return begin < graph->unlinked_end ? graph->unlinked_end - begin : 0;
}

#endif /* RHUMB_ENGINE_GRAPH_UNLINKED_H */
