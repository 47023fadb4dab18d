/* remove.h - deleting, and what deleting has in common with replacing.
 */
#ifndef RHUMB_ENGINE_BUILD_REMOVE_H
#define RHUMB_ENGINE_BUILD_REMOVE_H

#include "engine/graph/graph.h"

/* Deletes the node of a key. Searches that begin after this has returned do not find it. It is durable once
 * rhumb__log_wait has returned for *lsn_out. RHUMB_E_NOTFOUND, RHUMB_E_NOMEM, RHUMB_E_FATAL. */
rhumb_status rhumb__graph_delete(rhumb__graph *graph, uint64_t key, uint64_t *lsn_out) RHUMB_NODISCARD;

/* Deletes the node of a key as a part of the batch that has inserted it, if the key still leads to that slot. */
rhumb_status rhumb__graph_take_back(rhumb__graph *graph, uint64_t key, uint32_t slot, uint64_t batch) RHUMB_NODISCARD;

/* Deletes the node of a key for an operation that the log knows already; a key that is not there is none to delete. One
 * thread at a time, before anybody else knows the graph. */
void rhumb__graph_delete_replayed(rhumb__graph *graph, uint64_t key);

/* ---- for insert.c: the node that an upsert replaces ----
 * All under removal_lock (shared) and the lock of the key's bucket, except that bury needs no bucket. */

/* Makes sure that the removal can be carried out. To be called before anything has changed. RHUMB_E_NOMEM. */
rhumb_status rhumb__removal_note(rhumb__graph *graph, uint64_t key, uint32_t slot) RHUMB_NODISCARD;

/* Takes the slot out of the key table, now or once the checkpoint under way has ended. */
void rhumb__removal_unlink_key(rhumb__graph *graph, const rhumb__key_place *place, uint32_t slot);

/* Sets the tombstone. */
void rhumb__removal_bury(rhumb__graph *graph, uint32_t slot);

/* ---- for checkpoint.c ---- */

/* From now on slots stay in the key table when their nodes are deleted. Under removal_lock (exclusive). */
void rhumb__removals_defer(rhumb__graph *graph);

/* Takes them out, and goes back to doing so at once. Takes removal_lock (exclusive) for a moment. */
void rhumb__removals_catch_up(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_BUILD_REMOVE_H */
