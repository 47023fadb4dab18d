/* compactor.h - the compacting thread of a handle that writes: it compacts when many nodes have been deleted, or on
 * request, and releases space that a reader has pinned at first.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_COMPACTOR_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_COMPACTOR_H

#include "base/lock.h"
#include "engine/search/walk/scratch.h"
#include "engine/upkeep/compact/compact.h"

/* Creates the compactor. Its thread starts with the first compaction. RHUMB_E_NOMEM. */
rhumb_status rhumb__compactor_new(rhumb__writer *writer) RHUMB_NODISCARD;

/* Registers the pool that lends the graph to the handle's calls. An exchange of the graph switches the pool to the new
 * one and holds `pool_lock` until the old one has been released. From now on compactions begin by themselves;
 * one begins at once if more is deleted than live. */
void rhumb__compactor_bind(rhumb__writer *writer, rhumb__scratch_pool *pool, rhumb__mutex *pool_lock);

/* Requests a compaction, to be done after the one that may be under way. RHUMB_E_NOMEM. */
rhumb_status rhumb__compactor_request(rhumb__writer *writer, const rhumb__compact_work *work,
                                      bool shrink) RHUMB_NODISCARD;

/* Requests that free space be released once no reader pins it. */
void rhumb__compactor_trim_later(rhumb__writer *writer);

/* For operations that take slots: where more is deleted than live, these wait until the compaction under way has ended,
 * without a lock held. A single one waits for 20 ms at most, and not for a compaction that only waits for a batch to
 * end. A batch waits before it begins, because no compaction ends while one is open, and for 2 seconds at most. */
void rhumb__compactor_await_room(rhumb__writer *writer);
void rhumb__compactor_await_room_for_batch(rhumb__writer *writer);

/* Returns when no compaction is under way, or due now: one that rests after the last does not count. */
void rhumb__compactor_wait_idle(rhumb__writer *writer);

/* Cancels the compaction under way and ends the thread. No other begins. */
void rhumb__compactor_stop(rhumb__writer *writer);

/* Stops the compactor and releases it. Does nothing if there is none. */
void rhumb__compactor_free(rhumb__writer *writer);

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_COMPACTOR_H */
