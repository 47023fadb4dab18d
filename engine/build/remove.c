/* remove.c - see remove.h.
 *
 * A delete takes the key's slot out of the key table and sets the node's tombstone; links stay as they are, because
 * searches need them to get past. Both happen under the lock of the key's bucket, so that of two deletes of a key one
 * succeeds.
 *
 * While a checkpoint copies the key table, slots are not taken out of it: the copy has to show the keys as they were
 * when the checkpoint began, whichever chunk it has come to. Look-ups pass over slots whose node is dead, so an entry
 * that stays does not matter. What is to be taken out is noted in graph->removals and done when the checkpoint has
 * ended. (Tombstones are no such problem: the checkpoint begins by copying all of them, see checkpoint.c.)
 *
 * Locks: removal_lock (shared), the key's bucket, within it the log's, the chunk of the tombstone, removals.lock.
 */
#include "engine/build/remove.h"
#include "engine/build/writer.h"

#include "base/alloc.h"
#include "base/status.h"
#include "engine/build/insert.h"
#include "engine/graph/tombstones.h"

rhumb_status rhumb__removal_note(rhumb__graph *graph, uint64_t key, uint32_t slot) {
    rhumb_status status = RHUMB_OK;
    rhumb__removals *removals = &graph->removals;
    if (!removals->deferred) return RHUMB_OK;
    rhumb__mutex_lock(&removals->lock);
    if (removals->count == removals->capacity) {
        const uint64_t capacity = removals->capacity == 0 ? 64 : removals->capacity * 2;
        rhumb__removal *items = rhumb__alloc_resize(removals->items, capacity, sizeof *items);
        if (items == NULL) {
            status = rhumb__fail(RHUMB_E_NOMEM, "no memory to delete beside a checkpoint");
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
    if (!rhumb__tombstone_set(graph, slot)) return;
    const uint64_t dead_count = atomic_fetch_add(&graph->dead_count, 1) + 1;
    rhumb__writer_note_deleted(graph, dead_count);
}

/* Deletes `key` if it leads to a node, and to `expected` unless that is RHUMB__SLOT_NONE. */
static rhumb_status delete_key(rhumb__graph *graph, uint64_t key, uint32_t expected, uint64_t batch,
                               uint64_t *lsn_out) {
    rhumb__key_place place;
    rhumb_status status = rhumb__log_reserve(graph->writer->log, sizeof key);
    if (status != RHUMB_OK) return status;
    rhumb__rwlock_rdlock(&graph->removal_lock);
    const uint32_t slot = rhumb__graph_lock_settled_key(graph, key, &place);
    if (slot == RHUMB__SLOT_NONE || (expected != RHUMB__SLOT_NONE && slot != expected)) {
        status = rhumb__fail(RHUMB_E_NOTFOUND, "key %llu is not in the index", (unsigned long long)key);
        goto done;
    }
    RHUMB_TRY(rhumb__removal_note(graph, key, slot));
    const rhumb__log_operation operation = {
        .type = RHUMB__LOG_DELETE, .batch = batch, .head = &key, .head_bytes = sizeof key};
    *lsn_out = rhumb__log_append(graph->writer->log, &operation);
    rhumb__removal_unlink_key(graph, &place, slot);
    rhumb__carry_note(&graph->writer->carry, RHUMB__LOG_DELETE, key, slot, *lsn_out);
    rhumb__removal_bury(graph, slot);
done:
    rhumb__key_table_unlock(&graph->key_table, &place);
    rhumb__rwlock_unlock(&graph->removal_lock);
    if (status != RHUMB_OK) rhumb__log_release(graph->writer->log, sizeof key);
    if (status == RHUMB_OK) rhumb__writer_note_logged(graph->writer, sizeof key);
    return status;
}

rhumb_status rhumb__graph_delete(rhumb__graph *graph, uint64_t key, uint64_t *lsn_out) {
    return delete_key(graph, key, RHUMB__SLOT_NONE, 0, lsn_out);
}

rhumb_status rhumb__graph_take_back(rhumb__graph *graph, uint64_t key, uint32_t slot, uint64_t batch) {
    uint64_t lsn = 0;
    const rhumb_status status = delete_key(graph, key, slot, batch, &lsn);
    return status == RHUMB_E_NOTFOUND ? RHUMB_OK : status;
}

void rhumb__graph_delete_replayed(rhumb__graph *graph, uint64_t key) {
    rhumb__key_place place;
    rhumb__key_table_lock(&graph->key_table, key, &place);
    const uint32_t slot = rhumb__key_table_find_locked(&graph->key_table, &place, key);
    if (slot != RHUMB__SLOT_NONE) {
        rhumb__key_table_remove(&graph->key_table, &place, slot);
        rhumb__removal_bury(graph, slot);
    }
    rhumb__key_table_unlock(&graph->key_table, &place);
}

void rhumb__removals_defer(rhumb__graph *graph) { graph->removals.deferred = true; }

void rhumb__removals_catch_up(rhumb__graph *graph) {
    rhumb__removals *removals = &graph->removals;
    /* Whoever noted something held the lock shared until its node was dead. */
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
