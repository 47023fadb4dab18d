/* hold.h - graphs that are used after their handle has left them: a lease (api/lease.c) reads their vectors.
 *
 * A graph has one holder when it is made: the handle, or the code that closes it. The last holder releases what is
 * left: of a reader all of it, with the pin of its version. Of a writer's graph that was replaced or closed it is the
 * vectors alone, and a file handle with a pin of the version that was the newest then; rows that this lacks are in
 * memory.
 *
 * Threads: holding needs a scratch of the graph, or a hold; releasing needs a hold, and nothing else.
 */
#ifndef RHUMB_ENGINE_GRAPH_HOLD_H
#define RHUMB_ENGINE_GRAPH_HOLD_H

#include "engine/graph/graph.h"

/* Adds a holder. */
static inline void rhumb__graph_hold(rhumb__graph *graph) {
    atomic_fetch_add_explicit(&graph->holder_count, 1, memory_order_relaxed);
}

/* Whether there is a holder other than the handle. */
static inline bool rhumb__graph_is_held(const rhumb__graph *graph) {
    /* Acquire: a scratch that was given back before is seen with the hold that its user has taken. */
    return atomic_load_explicit(&graph->holder_count, memory_order_acquire) > 1;
}

/* Removes a holder. */
void rhumb__graph_release(rhumb__graph *graph);

/* Leaves a writer's graph of which only the vectors are attached still; `io` has the pin of their version. */
void rhumb__graph_leave_rows(rhumb__graph *graph, rhumb__io *io);

#endif /* RHUMB_ENGINE_GRAPH_HOLD_H */
