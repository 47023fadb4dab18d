/* remove.c - see remove.h.
 *
 * A delete takes the key out of the key table and sets the node's tombstone; links stay as they are, because searches
 * need them to get past. Both happen under the lock of the key's bucket, so that of two deletes of a key one succeeds.
 * Locks: removal_lock (shared), the key's bucket, within it the chunk of the tombstone.
 */
#include "engine/remove.h"

#include <sched.h>

#include "base/status.h"
#include "engine/insert.h"
#include "engine/tombstones.h"

rhumb_status rhumb__graph_delete(rhumb__graph *graph, uint64_t key) {
    rhumb_status status = RHUMB_OK;
    rhumb__key_place place;
    pthread_rwlock_rdlock(&graph->removal_lock);
    const uint32_t slot = rhumb__graph_lock_settled_key(graph, key, &place);
    if (slot == RHUMB__SLOT_NONE) {
        status = rhumb__fail(RHUMB_E_NOTFOUND, "key %llu is not in the index", (unsigned long long)key);
    } else {
        rhumb__key_table_remove(&graph->key_table, &place, slot);
        if (rhumb__tombstone_set(graph, slot)) atomic_fetch_add(&graph->dead_count, 1);
    }
    rhumb__key_table_unlock(&graph->key_table, &place);
    pthread_rwlock_unlock(&graph->removal_lock);
    return status;
}
