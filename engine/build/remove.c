/* remove.c - see remove.h; removal.c has the steps.
 *
 * Locks: removal_lock (shared), the key's bucket, within it the log's and those of removal.c.
 */
#include "engine/build/remove.h"

#include "base/status.h"
#include "engine/build/removal.h"
#include "engine/build/writer.h"

/* Deletes `key` if it leads to a node, and to `expected` unless that is RHUMB__SLOT_NONE. */
static rhumb_status delete_key(rhumb__graph *graph, uint64_t key, uint32_t expected, uint64_t batch,
                               uint64_t *lsn_out) {
    rhumb__key_place place;
    rhumb__removing removing = {.key = key};
    rhumb_status status = rhumb__log_reserve(graph->writer->log, sizeof key);
    if (status != RHUMB_OK) return status;
    rhumb__rwlock_rdlock(&graph->removal_lock);
    const uint32_t slot = rhumb__removal_lock_key(graph, key, &place);
    if (slot == RHUMB__SLOT_NONE || (expected != RHUMB__SLOT_NONE && slot != expected)) {
        status = rhumb__fail(RHUMB_E_NOTFOUND, "key %llu is not in the index", (unsigned long long)key);
        goto done;
    }
    removing.slot = slot;
    RHUMB_TRY(rhumb__removal_note(graph, &removing));
    const rhumb__log_operation operation = {
        .type = RHUMB__LOG_DELETE, .batch = batch, .head = &key, .head_bytes = sizeof key};
    *lsn_out = rhumb__log_append(graph->writer->log, &operation);
    rhumb__removal_unlink_key(graph, &place, &removing);
    const rhumb__carry_item item = {.key = key, .lsn = *lsn_out, .slot = slot, .type = RHUMB__LOG_DELETE};
    rhumb__carry_note(&graph->writer->carry, &item);
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

rhumb_status rhumb__graph_take_back(rhumb__graph *graph, uint32_t slot, uint64_t batch) {
    uint64_t lsn = 0;
    const rhumb_status status = delete_key(graph, rhumb__graph_key(graph, slot), slot, batch, &lsn);
    return status == RHUMB_E_NOTFOUND ? RHUMB_OK : status;
}

void rhumb__graph_take_back_unlogged(rhumb__graph *graph, uint32_t slot) {
    rhumb__key_place place;
    rhumb__removing removing = {.key = rhumb__graph_key(graph, slot), .slot = slot};
    rhumb__rwlock_rdlock(&graph->removal_lock);
    if (rhumb__removal_lock_key(graph, removing.key, &place) == slot) {
        /* Without memory the slot stays in the key table, which nothing will publish. */
        if (rhumb__removal_note(graph, &removing) == RHUMB_OK) rhumb__removal_unlink_key(graph, &place, &removing);
        /* No operation on the key follows. */
        const rhumb__carry_item item = {.key = removing.key, .lsn = UINT64_MAX, .type = RHUMB__LOG_DELETE};
        rhumb__carry_note(&graph->writer->carry, &item);
        rhumb__removal_bury(graph, slot);
    }
    rhumb__key_table_unlock(&graph->key_table, &place);
    rhumb__rwlock_unlock(&graph->removal_lock);
}

void rhumb__graph_delete_replayed(rhumb__graph *graph, uint64_t key, uint64_t slot_min) {
    rhumb__key_place place;
    rhumb__key_table_lock(&graph->key_table, key, &place);
    const uint32_t slot = rhumb__key_table_find_locked(&graph->key_table, &place, key);
    if (slot != RHUMB__SLOT_NONE && slot >= slot_min) {
        rhumb__key_table_remove(&graph->key_table, &place, slot);
        rhumb__removal_bury(graph, slot);
    }
    rhumb__key_table_unlock(&graph->key_table, &place);
}
