/* checkpoint.h - fixes a version of the graph while operations continue, and publishes it through the store.
 */
#ifndef RHUMB_ENGINE_DURABILITY_CHECKPOINT_H
#define RHUMB_ENGINE_DURABILITY_CHECKPOINT_H

#include "engine/graph/graph.h"

/* Publishes every operation that has returned before the call, after linking all nodes from the log. Writes nothing
 * when there is nothing new. RHUMB_E_FATAL, RHUMB_E_NOMEM, RHUMB_E_FULL, RHUMB_E_NOSPACE, RHUMB_E_IO. */
rhumb_status rhumb__checkpoint(rhumb__writer *writer) RHUMB_NODISCARD;

/* The same for a caller that holds checkpoint_lock. */
rhumb_status rhumb__checkpoint_locked(rhumb__writer *writer) RHUMB_NODISCARD;

/* Publishes a version whether there are new operations or not: the first version of a new index, or one after a
 * compaction, which has the same operations in a new graph. With `pull_down`, moves what lies after large gaps in the
 * file into them. */
rhumb_status rhumb__checkpoint_forced(rhumb__writer *writer, bool pull_down) RHUMB_NODISCARD;

/* The same for a caller that holds checkpoint_lock. */
rhumb_status rhumb__checkpoint_forced_locked(rhumb__writer *writer, bool pull_down) RHUMB_NODISCARD;

/* The checkpoint before a close. When many nodes are waiting to be linked and the log has everything, it only makes the
 * log durable, so that closing does not wait for the linking; the next opening continues where this one stopped. */
rhumb_status rhumb__checkpoint_last(rhumb__writer *writer) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_CHECKPOINT_H */
