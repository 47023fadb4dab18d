/* checkpoint.h - fixing a version of the graph while it goes on changing, and handing it to the store.
 */
#ifndef RHUMB_ENGINE_CHECKPOINT_H
#define RHUMB_ENGINE_CHECKPOINT_H

#include "engine/graph.h"

/* Publishes every operation that has returned before the call, once all that came from the log is linked. Nothing new:
 * RHUMB_OK without a write. */
rhumb_status rhumb__checkpoint(rhumb__graph *graph) RHUMB_NODISCARD;

/* The same for a caller that holds checkpoint_lock. */
rhumb_status rhumb__checkpoint_locked(rhumb__graph *graph) RHUMB_NODISCARD;

/* Publishes the first, empty version of a new index. */
rhumb_status rhumb__checkpoint_first(rhumb__graph *graph) RHUMB_NODISCARD;

/* The checkpoint before a close. When many nodes still wait to be linked and the log has everything, it only makes
 * the log durable: the next opening goes on where this one stopped, and closing need not wait for the linking. */
rhumb_status rhumb__checkpoint_last(rhumb__graph *graph) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_CHECKPOINT_H */
