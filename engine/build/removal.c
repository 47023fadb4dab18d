/* removal.c - see removal.h.
 *
 * A removal takes the key's slot out of the key table and sets the node's tombstone; links stay as they are, because
 * searches pass through the node. Both happen under the lock of the key's bucket, so that of two deletes of a key one
 * succeeds.
 *
 * While a checkpoint copies the key table, slots of the version that it publishes are not taken out: the copy has to
 * show the keys as they were when the checkpoint began, whichever chunk it has reached. Look-ups pass over slots whose
 * node is dead, so an entry that stays does no harm. What is to be taken out is noted in graph->removals and taken out
 * when the table has been copied, which comes first in a checkpoint. Slots that the version does not have are taken out
 * at once, so a key that is replaced again and again leaves one entry behind, not one for each time. (Tombstones need
 * no such care: the checkpoint begins by copying all of them, see checkpoint.c.)
 *
 * A removal decides once, when it notes itself, whether its slot stays; it holds removal_lock from then on, so it is
 * either before the beginning of a checkpoint or after it. The end of copying waits for no removal: those under way,
 * whose node is not dead yet, see afterwards that the round has changed and take the slot out themselves.
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

/* Appends to the list. Under its lock. */
static rhumb_status keep(rhumb__removals *removals, rhumb__removing *removing) {
    rhumb__mutex_assert_held(&removals->lock);
    if (removals->count == removals->capacity) {
        const uint64_t capacity = removals->capacity == 0 ? NOTED_CAPACITY_MIN : removals->capacity * 2;
        rhumb__removal *items = rhumb__alloc_resize(removals->items, capacity, sizeof *items);
        if (items == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory to delete during a checkpoint");
        removals->items = items;
        removals->capacity = capacity;
    }
    /* One whose operation fails after all does no harm: only slots of dead nodes are taken out. */
    removals->items[removals->count++] = (rhumb__removal){removing->key, removing->slot};
    removing->kept_round = removals->round;
    RHUMB_ASSERT_DEBUG(removing->kept_round != 0);
    return RHUMB_OK;
}

rhumb_status rhumb__removal_note(rhumb__graph *graph, rhumb__removing *removing) {
    rhumb_status status = RHUMB_OK;
    rhumb__removals *removals = &graph->removals;
    rhumb__graph_assert_slot(graph, removing->slot);
    rhumb__rwlock_assert_held(&graph->removal_lock);
    removing->kept_round = 0;
    /* removal_lock orders this with the beginning of a checkpoint; its end is looked for under the lock. */
    if (removing->slot >= atomic_load_explicit(&removals->kept_below, memory_order_relaxed)) return RHUMB_OK;
    rhumb__mutex_lock(&removals->lock);
    if (removing->slot < atomic_load_explicit(&removals->kept_below, memory_order_relaxed)) {
        status = keep(removals, removing);
    }
    rhumb__mutex_unlock(&removals->lock);
    return status;
}

void rhumb__removal_unlink_key(rhumb__graph *graph, const rhumb__key_place *place, const rhumb__removing *removing) {
    if (removing->kept_round == 0) rhumb__key_table_remove(&graph->key_table, place, removing->slot);
}

void rhumb__removal_bury(rhumb__graph *graph, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot < atomic_load(&graph->slot_limit));
    if (!rhumb__tombstone_set(graph, slot)) return;
    const uint64_t dead_count = atomic_fetch_add(&graph->dead_count, 1) + 1;
    const uint64_t hidden_count = atomic_load_explicit(&graph->hidden_count, memory_order_relaxed);
    if (dead_count > hidden_count) rhumb__writer_note_deleted(graph, dead_count - hidden_count);
}

/* Takes the slot of a dead node out of the table; does nothing if the node is alive, or the slot not there. */
static void take_out(rhumb__graph *graph, uint64_t key, uint32_t slot) {
    rhumb__key_place place;
    rhumb__key_table_lock(&graph->key_table, key, &place);
    /* A delete noted itself under this lock and its node is dead; an upsert may not have got so far. */
    if (rhumb__graph_is_dead(graph, slot)) rhumb__key_table_remove(&graph->key_table, &place, slot);
    rhumb__key_table_unlock(&graph->key_table, &place);
}

void rhumb__removal_bury_late(rhumb__graph *graph, const rhumb__removing *removing) {
    rhumb__removal_bury(graph, removing->slot);
    if (removing->kept_round == 0) return;
    /* Either rhumb__removals_catch_up, which changes the round before it looks at nodes, finds this one dead, or the
     * change is seen here: both sides go through the lock. */
    rhumb__mutex_lock(&graph->removals.lock);
    const bool late = graph->removals.round != removing->kept_round;
    rhumb__mutex_unlock(&graph->removals.lock);
    if (late) take_out(graph, removing->key, removing->slot);
}

/* Sets which slots are kept, and returns how many are on the list. */
static uint64_t set_kept(rhumb__removals *removals, uint64_t slot_limit) {
    rhumb__mutex_lock(&removals->lock);
    atomic_store_explicit(&removals->kept_below, slot_limit, memory_order_relaxed);
    removals->round++;
    const uint64_t count = removals->count;
    rhumb__mutex_unlock(&removals->lock);
    return count;
}

void rhumb__removals_defer(rhumb__graph *graph, uint64_t slot_limit) {
    rhumb__rwlock_assert_held(&graph->removal_lock);
    const uint64_t count = set_kept(&graph->removals, slot_limit);
    RHUMB_ASSERT_DEBUG(count == 0);
    (void)count;
}

void rhumb__removals_catch_up(rhumb__graph *graph) {
    rhumb__removals *removals = &graph->removals;
    /* From here on nothing is added to the list. */
    const uint64_t count = set_kept(removals, 0);
    for (uint64_t i = 0; i < count; i++) take_out(graph, removals->items[i].key, removals->items[i].slot);
    removals->count = 0;
}
