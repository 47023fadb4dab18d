/* insert.c - see insert.h.
 *
 * An insert goes through these steps:
 *   1. claim     room in the log, and an entry among the active inserts; lock the key's bucket, refuse a key that
 *                exists; take a slot, upper rows and a number in the log; enter the key. From here on nothing can fail.
 *   2. write     vector, empty lists, node record. The node is complete, and no other thread can reach it.
 *   3. publish   the insert in the list of active ones: two inserts that are each other's nearest neighbours cannot
 *                find each other in the graph, because neither is linked yet.
 *   4. link      see link.c. Now searches find the node.
 *   5. replace   an upsert deletes the key's previous node. Leave the active list.
 *
 * After a crash, step 2 happens when the log is read, and steps 3 and 4 later: see place.h.
 *
 * Locks: removal_lock (shared, upserts only), the key's bucket, within it append_lock and the log's own (step 1); those
 * of link.c (step 4).
 */
#include "engine/build/insert.h"

#include "base/assert.h"
#include "base/status.h"
#include "engine/build/link.h"
#include "engine/build/open_batch.h"
#include "engine/build/place.h"
#include "engine/build/removal.h"
#include "engine/build/writer.h"
#include "engine/graph/active.h"
#include "engine/graph/tombstones.h"

/* What an insert has taken for itself. */
typedef struct claimed_node {
    rhumb__node_place place;
    uint32_t active;          /* its entry among the active inserts */
    rhumb__removing replaced; /* of the key's previous node, whose slot is RHUMB__SLOT_NONE if there is none */
    bool is_counted;          /* among the finished inserts, once it is one; a hidden node is from the beginning */
} claimed_node;

static rhumb__log_type log_type_of(const rhumb__insertion *in) {
    return in->replace ? RHUMB__LOG_UPSERT : RHUMB__LOG_INSERT;
}

/* Slot and log number are taken together, so that their orders are one. `row` begins with the vector as the caller gave
 * it. */
static rhumb_status claim_slot_and_lsn(rhumb__graph *graph, const void *row, rhumb__insertion *in,
                                       claimed_node *claim) {
    RHUMB_ASSERT_DEBUG(row != NULL && claim->active < RHUMB__ACTIVE_INSERT_MAX);
    rhumb__mutex_lock(&graph->append_lock);
    const rhumb_status status = rhumb__place_allocate(graph, in->key, &claim->place);
    if (status == RHUMB_OK) {
        rhumb__active_take_slot(graph, claim->active, claim->place.slot);
        const rhumb__log_operation operation = {.type = log_type_of(in),
                                                .batch = in->batch == NULL ? 0 : in->batch->begin_lsn,
                                                .head = &in->key,
                                                .head_bytes = sizeof in->key,
                                                .body = row,
                                                .body_bytes = graph->space.vector_bytes};
        in->lsn = rhumb__log_append(graph->writer->log, &operation);
        if (in->batch != NULL) rhumb__open_batch_add(in->batch, claim->place.slot);
    }
    rhumb__mutex_unlock(&graph->append_lock);
    return status;
}

/* Locks the key's bucket, and finds the node that is to be replaced. RHUMB_E_EXISTS. */
static rhumb_status claim_key(rhumb__graph *graph, const rhumb__insertion *in, rhumb__key_place *key_place,
                              claimed_node *claim) {
    claim->replaced = (rhumb__removing){.key = in->key, .slot = RHUMB__SLOT_NONE};
    if (in->replace) {
        rhumb__rwlock_assert_held(&graph->removal_lock);
        claim->replaced.slot = rhumb__removal_lock_key(graph, in->key, key_place);
        return RHUMB_OK;
    }
    rhumb__key_table_lock(&graph->key_table, in->key, key_place);
    if (rhumb__key_table_find_locked(&graph->key_table, key_place, in->key) == RHUMB__SLOT_NONE) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_EXISTS, "key %llu is in the index already", (unsigned long long)in->key);
}

/* Step 1, apart from the room in the log. */
static rhumb_status insert_claim(rhumb__graph *graph, const void *row, rhumb__insertion *in, claimed_node *claim) {
    rhumb_status status;
    rhumb__key_place key_place;
    claim->active = rhumb__active_claim(graph);
    claim->is_counted = true;
    RHUMB_TRY(claim_key(graph, in, &key_place, claim));
    RHUMB_TRY(rhumb__key_table_reserve(&graph->key_table, &key_place));
    if (claim->replaced.slot != RHUMB__SLOT_NONE) RHUMB_TRY(rhumb__removal_note(graph, &claim->replaced));
    RHUMB_TRY(claim_slot_and_lsn(graph, row, in, claim));
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], claim->place.slot) = in->key;
    rhumb__key_table_add(&graph->key_table, &key_place, claim->place.slot);
    if (claim->replaced.slot != RHUMB__SLOT_NONE) rhumb__removal_unlink_key(graph, &key_place, &claim->replaced);
    const rhumb__carry_item item = {.key = in->key,
                                    .lsn = in->lsn,
                                    .slot = claim->place.slot,
                                    .type = log_type_of(in),
                                    .of_batch = in->batch != NULL};
    rhumb__carry_note(&graph->writer->carry, &item);
done:
    rhumb__key_table_unlock(&graph->key_table, &key_place);
    if (status != RHUMB_OK) rhumb__active_leave(graph, claim->active);
    return status;
}

/* Steps 2 to 5. */
static void insert_write_and_link(rhumb__graph *graph, rhumb__scratch *scratch, const claimed_node *claim) {
    const rhumb__link_node node = {.slot = claim->place.slot, .level = claim->place.level, .active = claim->active};
    rhumb__graph_assert_slot(graph, node.slot);
    RHUMB_ASSERT_DEBUG(claim->replaced.slot == RHUMB__SLOT_NONE || claim->replaced.slot < node.slot);
    rhumb__place_write(graph, scratch->query, &claim->place);
    rhumb__active_publish(graph, claim->active, node.slot);
    rhumb__link(graph, scratch, &node);
    if (claim->is_counted) atomic_fetch_add_explicit(&graph->finished_count, 1, memory_order_relaxed);
    if (claim->replaced.slot != RHUMB__SLOT_NONE) rhumb__removal_bury_late(graph, &claim->replaced);
    rhumb__active_leave(graph, claim->active);
}

static rhumb_status insert_all(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__insertion *in) {
    rhumb_status status;
    claimed_node claim;
    const uint32_t payload_bytes = (uint32_t)sizeof in->key + graph->space.vector_bytes;
    RHUMB_TRY(rhumb__link_prepare(graph, scratch));
    RHUMB_TRY(rhumb__log_reserve(graph->writer->log, payload_bytes));
    status = insert_claim(graph, scratch->query, in, &claim);
    if (status != RHUMB_OK) {
        rhumb__log_release(graph->writer->log, payload_bytes);
        goto done;
    }
    insert_write_and_link(graph, scratch, &claim);
    in->slot = claim.place.slot;
    in->replaced = claim.replaced.slot != RHUMB__SLOT_NONE;
    RHUMB_ASSERT_DEBUG(in->lsn != 0);
    rhumb__key_table_grow(&graph->key_table, (uint64_t)in->slot + 1);
    rhumb__writer_note_logged(graph->writer, payload_bytes);
    rhumb__writer_note_slot(graph->writer, in->slot);
done:
    return status;
}

static rhumb_status fail_no_key(void) {
    return rhumb__fail(RHUMB_E_INVALID, "key: %llu stands for \"no result\" in answers and cannot be a key",
                       (unsigned long long)RHUMB_KEY_NONE);
}

rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__insertion *insertion) {
    RHUMB_ASSERT_DEBUG(graph->writable && scratch->query_bytes >= graph->space.row_bytes);
    if (insertion->key == RHUMB_KEY_NONE) return fail_no_key();
    if (!insertion->replace) return insert_all(graph, scratch, insertion);
    rhumb__rwlock_rdlock(&graph->removal_lock);
    /* Searches compare the two numbers, see search.c. */
    atomic_fetch_add(&graph->replace_begun, 1);
    const rhumb_status status = insert_all(graph, scratch, insertion);
    atomic_fetch_add(&graph->replace_done, 1);
    rhumb__rwlock_unlock(&graph->removal_lock);
    return status;
}

/* ---- hidden nodes ---- */

/* Slot, tombstone and counts are taken together, so that a checkpoint finds all of them or none. */
static rhumb_status claim_hidden(rhumb__graph *graph, uint64_t key, claimed_node *claim) {
    rhumb__mutex_lock(&graph->append_lock);
    const rhumb_status status = rhumb__place_allocate(graph, key, &claim->place);
    if (status == RHUMB_OK) {
        rhumb__active_take_slot(graph, claim->active, claim->place.slot);
        (void)rhumb__tombstone_set(graph, claim->place.slot);
        atomic_fetch_add(&graph->finished_count, 1);
        atomic_fetch_add(&graph->dead_count, 1);
        atomic_fetch_add_explicit(&graph->hidden_count, 1, memory_order_relaxed);
    }
    rhumb__mutex_unlock(&graph->append_lock);
    return status;
}

rhumb_status rhumb__graph_insert_hidden(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key,
                                        uint32_t *slot_out) {
    rhumb_status status;
    claimed_node claim = {.replaced = {.slot = RHUMB__SLOT_NONE}};
    if (key == RHUMB_KEY_NONE) return fail_no_key();
    RHUMB_TRY(rhumb__link_prepare(graph, scratch));
    claim.active = rhumb__active_claim(graph);
    status = claim_hidden(graph, key, &claim);
    if (status != RHUMB_OK) {
        rhumb__active_leave(graph, claim.active);
        goto done;
    }
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], claim.place.slot) = key;
    insert_write_and_link(graph, scratch, &claim);
    *slot_out = claim.place.slot;
done:
    return status;
}

void rhumb__insert_show(rhumb__graph *graph, uint32_t slot) {
    rhumb__rwlock_assert_held(&graph->removal_lock);
    RHUMB_ASSERT_DEBUG(rhumb__graph_is_dead(graph, slot));
    rhumb__tombstone_clear(graph, slot);
    atomic_fetch_sub(&graph->dead_count, 1);
    atomic_fetch_sub_explicit(&graph->hidden_count, 1, memory_order_relaxed);
}
