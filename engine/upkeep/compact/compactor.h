/* compactor.h - compactions that a handle does by itself or that its user wants done in the background: when many nodes
 * have been deleted, and on request. Gives space back later where a reader kept it at first.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_COMPACTOR_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_COMPACTOR_H

#include "base/lock.h"
#include "engine/upkeep/compact/compact_in_place.h"

/* What is needed to compact on another thread. Its own thread begins with the first compaction. RHUMB_E_NOMEM. */
rhumb_status rhumb__compactor_new(rhumb__writer *writer) RHUMB_NODISCARD;

/* Tells who is to be told when a graph is exchanged: `pool` gives out the graph, `pool_lock` is held until the old one
 * is gone. From then on compactions begin by themselves. */
void rhumb__compactor_bind(rhumb__writer *writer, rhumb__scratch_pool *pool, rhumb__mutex *pool_lock);

/* Has a compaction done, after the one that may be under way. RHUMB_E_NOMEM. */
rhumb_status rhumb__compactor_request(rhumb__writer *writer, const rhumb__compact_work *work,
                                      bool shrink) RHUMB_NODISCARD;

/* Has space given back once readers do not need it any more. */
void rhumb__compactor_trim_later(rhumb__writer *writer);

/* Returns when none is due or under way. */
void rhumb__compactor_wait_idle(rhumb__writer *writer);

/* Cancels what is under way, and ends the thread. Nothing begins any more. */
void rhumb__compactor_stop(rhumb__writer *writer);

/* Stops and releases. Does nothing if there is none. */
void rhumb__compactor_free(rhumb__writer *writer);

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_COMPACTOR_H */
