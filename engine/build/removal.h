/* removal.h - taking a node out of the index: the steps that deletes and upserts share.
 */
#ifndef RHUMB_ENGINE_BUILD_REMOVAL_H
#define RHUMB_ENGINE_BUILD_REMOVAL_H

#include "engine/graph/graph.h"

/* Locks the bucket of a key whose node, if it has one, is complete; waits for an insert of it that is running. (To
 * replace or delete a node that is still being inserted, which may itself be replacing one, would leave the oldest of
 * the three to be found.) Returns the node's slot, or RHUMB__SLOT_NONE. */
uint32_t rhumb__removal_lock_key(rhumb__graph *graph, uint64_t key, rhumb__key_place *place);

/* ---- the steps of a removal: under removal_lock (shared) and the lock of the key's bucket ---- */

/* Makes sure that the removal cannot fail later. Call it before anything has changed. RHUMB_E_NOMEM. */
rhumb_status rhumb__removal_note(rhumb__graph *graph, uint64_t key, uint32_t slot) RHUMB_NODISCARD;

/* Takes the slot out of the key table, now or once the running checkpoint has ended. */
void rhumb__removal_unlink_key(rhumb__graph *graph, const rhumb__key_place *place, uint32_t slot);

/* Sets the tombstone. Does not need the bucket. */
void rhumb__removal_bury(rhumb__graph *graph, uint32_t slot);

/* ---- for checkpoint.c ---- */

/* From now on slots stay in the key table when their nodes are deleted. Under removal_lock (exclusive). */
void rhumb__removals_defer(rhumb__graph *graph);

/* Takes them out, and from now on slots are taken out at once again. Takes removal_lock (exclusive) for a moment. */
void rhumb__removals_catch_up(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_BUILD_REMOVAL_H */
