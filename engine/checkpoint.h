/* checkpoint.h - fixing a version of the graph while it goes on changing, and handing it to the store.
 */
#ifndef RHUMB_ENGINE_CHECKPOINT_H
#define RHUMB_ENGINE_CHECKPOINT_H

#include "engine/graph.h"

/* Publishes every insert that has returned before the call. Nothing new: RHUMB_OK without a write. */
rhumb_status rhumb__checkpoint(rhumb__graph *graph) RHUMB_NODISCARD;

/* Publishes the first, empty version of a new index. */
rhumb_status rhumb__checkpoint_first(rhumb__graph *graph) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_CHECKPOINT_H */
