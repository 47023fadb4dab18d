/* removal.c - see removal.h.
 *
 * A removal takes the key's slot out of the key table and sets the node's tombstone; links stay as they are, because
 * searches pass through the node. Both happen under the lock of the key's bucket, so that of two deletes of a key one
 * succeeds.
 *
 * While a checkpoint copies the key table, slots are not taken out of it: the copy has to show the keys as they were
 * when the checkpoint began, whichever chunk it has reached. Look-ups pass over slots whose node is dead, so an entry
 * that stays does no harm. What is to be taken out is noted in graph->removals and taken out when the checkpoint has
 * ended. (Tombstones need no such care: the checkpoint begins by copying all of them, see checkpoint.c.)
 *
 * Locks: the key's bucket; within it the chunk of the tombstone, and removals.lock, which guards what is noted.
 */
#include "engine/build/removal.h"

#include <sched.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "engine/build/writer.h"
#include "engine/graph/active.h"
#include "engine/graph/tombstones.h"

#define NOTED_CAPACITY_MIN 64u

uint32_t rhumb__removal_lock_key(rhumb__graph *graph, uint64_t key, rhumb__key_place *place) {
    for (;;) {
        rhumb__key_table_lock(&graph->key_table, key, place);
        const uint32_t slot = rhumb__key_table_find_locked(&graph->key_table, place, key);
        if (slot == RHUMB__SLOT_NONE || !rhumb__active_has_slot(graph, slot)) return slot;
        rhumb__key_table_unlock(&graph->key_table, place);
        sched_yield();
    }
}

rhumb_status rhumb__removal_note(rhumb__graph *graph, uint64_t key, uint32_t slot) {
    rhumb_status status = RHUMB_OK;
    rhumb__removals *removals = &graph->removals;
    rhumb__graph_assert_slot(graph, slot);
    rhumb__rwlock_assert_held(&graph->removal_lock);
    if (!removals->deferred) return RHUMB_OK;
    rhumb__mutex_lock(&removals->lock);
    if (removals->count == removals->capacity) {
        const uint64_t capacity = removals->capacity == 0 ? NOTED_CAPACITY_MIN : removals->capacity * 2;
        rhumb__removal *items = rhumb__alloc_resize(removals->items, capacity, sizeof *items);
        if (items == NULL) {
            status = rhumb__fail(RHUMB_E_NOMEM, "no memory to delete during a checkpoint");
            goto done;
        }
        removals->items = items;
        removals->capacity = capacity;
    }
    /* One whose operation fails after all does no harm: only slots of dead nodes are taken out. */
    removals->items[removals->count++] = (rhumb__removal){key, slot};
done:
    rhumb__mutex_unlock(&removals->lock);
    return status;
}

void rhumb__removal_unlink_key(rhumb__graph *graph, const rhumb__key_place *place, uint32_t slot) {
    if (!graph->removals.deferred) rhumb__key_table_remove(&graph->key_table, place, slot);
}

void rhumb__removal_bury(rhumb__graph *graph, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot < atomic_load(&graph->slot_limit));
    if (!rhumb__tombstone_set(graph, slot)) return;
    const uint64_t dead_count = atomic_fetch_add(&graph->dead_count, 1) + 1;
    rhumb__writer_note_deleted(graph, dead_count);
}

void rhumb__removals_defer(rhumb__graph *graph) {
    rhumb__rwlock_assert_held(&graph->removal_lock);
    RHUMB_ASSERT_DEBUG(graph->removals.count == 0);
    graph->removals.deferred = true;
}

void rhumb__removals_catch_up(rhumb__graph *graph) {
    rhumb__removals *removals = &graph->removals;
    /* An operation that noted something held the lock shared until its node was dead. */
    rhumb__rwlock_wrlock(&graph->removal_lock);
    removals->deferred = false;
    rhumb__rwlock_unlock(&graph->removal_lock);
    for (uint64_t i = 0; i < removals->count; i++) {
        const rhumb__removal removal = removals->items[i];
        if (!rhumb__graph_is_dead(graph, removal.slot)) continue;
        rhumb__key_place place;
        rhumb__key_table_lock(&graph->key_table, removal.key, &place);
        rhumb__key_table_remove(&graph->key_table, &place, removal.slot);
        rhumb__key_table_unlock(&graph->key_table, &place);
    }
    removals->count = 0;
}
