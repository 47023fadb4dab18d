/* checkpoint.h - fixing a version of the graph while it goes on changing, and handing it to the store.
 */
#ifndef RHUMB_ENGINE_DURABILITY_CHECKPOINT_H
#define RHUMB_ENGINE_DURABILITY_CHECKPOINT_H

#include "engine/graph/graph.h"

/* Publishes every operation that has returned before the call, once all that came from the log is linked. Nothing new:
 * RHUMB_OK without a write. */
rhumb_status rhumb__checkpoint(rhumb__writer *writer) RHUMB_NODISCARD;

/* The same for a caller that holds checkpoint_lock. */
rhumb_status rhumb__checkpoint_locked(rhumb__writer *writer) RHUMB_NODISCARD;

/* Publishes a version whether there are new operations or not: the first one of a new index; and after a compaction,
 * whose graph is another although the operations are the same. With `pull_down`, what lies behind large gaps in the
 * file moves into them. */
rhumb_status rhumb__checkpoint_forced(rhumb__writer *writer, bool pull_down) RHUMB_NODISCARD;

/* The same for a caller that holds checkpoint_lock. */
rhumb_status rhumb__checkpoint_forced_locked(rhumb__writer *writer, bool pull_down) RHUMB_NODISCARD;

/* The checkpoint before a close. When many nodes still wait to be linked and the log has everything, it only makes
 * the log durable: the next opening goes on where this one stopped, and closing need not wait for the linking. */
rhumb_status rhumb__checkpoint_last(rhumb__writer *writer) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_CHECKPOINT_H */
