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

/* A removal under way. */
typedef struct rhumb__removing {
    uint64_t key;
    uint32_t slot;
    uint64_t kept_round; /* the round in which the slot stays in the key table for now; 0: it is taken out at once */
} rhumb__removing;

/* Makes sure that the removal cannot fail later, and decides whether the slot stays in the key table for now. Call it
 * before anything has changed. RHUMB_E_NOMEM. */
rhumb_status rhumb__removal_note(rhumb__graph *graph, rhumb__removing *removing) RHUMB_NODISCARD;

/* Takes the slot out of the key table, unless it stays there for now. */
void rhumb__removal_unlink_key(rhumb__graph *graph, const rhumb__key_place *place, const rhumb__removing *removing);

/* Sets the tombstone. Does not need the bucket. */
void rhumb__removal_bury(rhumb__graph *graph, uint32_t slot);

/* The same without the bucket's lock, for a removal that has released it in the meantime: takes the slot out of the key
 * table if it should have been by now. */
void rhumb__removal_bury_late(rhumb__graph *graph, const rhumb__removing *removing);

/* ---- for checkpoint.c ---- */

/* From now on slots below `slot_limit` stay in the key table when their nodes are deleted. Under removal_lock
 * (exclusive). */
void rhumb__removals_defer(rhumb__graph *graph, uint64_t slot_limit);

/* Takes them out, and from now on slots are taken out at once again. Takes the locks of buckets only. */
void rhumb__removals_catch_up(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_BUILD_REMOVAL_H */
