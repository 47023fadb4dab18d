/* insert.c - see insert.h.
 *
 * An insert goes through these steps:
 *   1. claim     room in the log, and a place among the active inserts; lock the key's bucket, refuse a key that
 * exists; take a slot, upper rows and a number in the log; enter the key. From here on nothing can fail.
 *   2. write     vector, empty lists, node record. The node is whole, and nobody knows it.
 *   3. announce  the insert in the list of active ones: two inserts that are each other's nearest neighbours cannot
 * find each other in the graph, because neither is linked yet.
 *   4. link      see link.c. Now searches find the node.
 *   5. replace   an upsert deletes the key's node so far. Leave the active list.
 *
 * After a crash, step 2 happens when the log is read, and steps 3 and 4 later: rhumb__graph_place and
 * rhumb__graph_link_placed.
 *
 * Locks: removal_lock (shared, upserts only), the key's bucket, within it append_lock and the log's own (step 1); those
 * of link.c (step 4).
 */
#include "engine/build/insert.h"
#include "engine/build/writer.h"

#include <sched.h>
#include <string.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/build/link.h"
#include "engine/build/remove.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"

/* What an insert is to do, and what it has taken for itself. */
typedef struct insertion {
    uint64_t key;
    uint64_t batch;
    bool replace;
    uint32_t slot;
    uint32_t level;
    uint32_t upper_row;
    uint32_t active;
    uint32_t replaced; /* the key's node so far, or RHUMB__SLOT_NONE */
    uint64_t lsn;
} insertion;

/* ---- step 1 ---- */

/* Hands out the next slot and its upper rows. Under append_lock. */
static rhumb_status take_slot(rhumb__graph *graph, insertion *in) {
    rhumb__counts *counts = &graph->counts;
    const uint32_t slot = (uint32_t)counts->slot_count;
    const uint32_t level = rhumb__params_level(&graph->params, slot);
    rhumb_status status = rhumb__graph_ensure_room(graph, counts->slot_count + 1, counts->upper_row_count + level);
    if (status != RHUMB_OK) return status;
    in->slot = slot;
    in->level = level;
    in->upper_row = (uint32_t)counts->upper_row_count;
    counts->slot_count++;
    counts->upper_row_count += level;
    if (counts->level_counts[level]++ == 0) counts->level_first[level] = slot;
    if (in->key >= counts->key_next) counts->key_next = in->key == UINT64_MAX ? UINT64_MAX : in->key + 1;
    return RHUMB_OK;
}

/* Slot and log number are taken together, so that their orders are one. `row` begins with the vector as the caller gave
 * it. */
static rhumb_status take_slot_and_lsn(rhumb__graph *graph, const void *row, insertion *in) {
    rhumb__mutex_lock(&graph->append_lock);
    rhumb_status status = take_slot(graph, in);
    if (status == RHUMB_OK) {
        rhumb__active_take_slot(graph, in->active, in->slot);
        const rhumb__log_operation operation = {.type = in->replace ? RHUMB__LOG_UPSERT : RHUMB__LOG_INSERT,
                                                .batch = in->batch,
                                                .head = &in->key,
                                                .head_bytes = sizeof in->key,
                                                .body = row,
                                                .body_bytes = graph->space.vector_bytes};
        in->lsn = rhumb__log_append(graph->writer->log, &operation);
    }
    rhumb__mutex_unlock(&graph->append_lock);
    return status;
}

uint32_t rhumb__graph_lock_settled_key(rhumb__graph *graph, uint64_t key, rhumb__key_place *place) {
    for (;;) {
        rhumb__key_table_lock(&graph->key_table, key, place);
        const uint32_t slot = rhumb__key_table_find_locked(&graph->key_table, place, key);
        if (slot == RHUMB__SLOT_NONE || !rhumb__active_has_slot(graph, slot)) return slot;
        rhumb__key_table_unlock(&graph->key_table, place);
        sched_yield();
    }
}

static rhumb_status begin(rhumb__graph *graph, const void *row, insertion *in) {
    rhumb_status status;
    rhumb__key_place place;
    in->active = rhumb__active_claim(graph);
    if (in->replace) {
        in->replaced = rhumb__graph_lock_settled_key(graph, in->key, &place);
    } else {
        rhumb__key_table_lock(&graph->key_table, in->key, &place);
        in->replaced = RHUMB__SLOT_NONE;
        if (rhumb__key_table_find_locked(&graph->key_table, &place, in->key) != RHUMB__SLOT_NONE) {
            status = rhumb__fail(RHUMB_E_EXISTS, "key %llu is in the index already", (unsigned long long)in->key);
            goto done;
        }
    }
    RHUMB_TRY(rhumb__key_table_reserve(&graph->key_table, &place));
    if (in->replaced != RHUMB__SLOT_NONE) RHUMB_TRY(rhumb__removal_note(graph, in->key, in->replaced));
    RHUMB_TRY(take_slot_and_lsn(graph, row, in));
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], in->slot) = in->key;
    rhumb__key_table_add(&graph->key_table, &place, in->slot);
    if (in->replaced != RHUMB__SLOT_NONE) rhumb__removal_unlink_key(graph, &place, in->replaced);
    rhumb__carry_note(&graph->writer->carry, in->replace ? RHUMB__LOG_UPSERT : RHUMB__LOG_INSERT, in->key, in->slot,
                      in->lsn);
done:
    rhumb__key_table_unlock(&graph->key_table, &place);
    if (status != RHUMB_OK) rhumb__active_leave(graph, in->active);
    return status;
}

/* ---- step 2 ---- */

static void write_node(rhumb__graph *graph, const void *row, const insertion *in) {
    uint8_t *target = rhumb__section_row(&graph->sections[RHUMB__SECTION_VECTORS], in->slot);
    const uint32_t row_bytes = graph->space.row_bytes;
    memcpy(target, row, row_bytes);
    memset(target + row_bytes, 0, graph->space.row_stride_bytes - row_bytes);
    rhumb__node_record *record = rhumb__section_row(&graph->sections[RHUMB__SECTION_NODES], in->slot);
    const rhumb__list list0 = rhumb__graph_list(graph, in->slot, 0);
    rhumb__list_clear(&list0);
    rhumb__section *lists_upper = &graph->sections[RHUMB__SECTION_LISTS_UPPER];
    for (uint32_t i = 0; i < in->level; i++) {
        const uint64_t upper_row = (uint64_t)in->upper_row + i;
        const rhumb__list list = {lists_upper, upper_row, rhumb__section_row(lists_upper, upper_row), graph->params.M};
        rhumb__list_clear(&list);
    }
    /* Release pairs with the acquire in rhumb__graph_node: who sees the node present can read all of it. */
    atomic_store_explicit(record, rhumb__node_encode(in->upper_row, in->level), memory_order_release);
}

/* ---- all steps ---- */

static rhumb_status insert(rhumb__graph *graph, rhumb__scratch *scratch, insertion *in) {
    rhumb_status status;
    const uint32_t payload_bytes = (uint32_t)sizeof in->key + graph->space.vector_bytes;
    RHUMB_TRY(rhumb__link_prepare(graph, scratch));
    RHUMB_TRY(rhumb__log_reserve(graph->writer->log, payload_bytes));
    status = begin(graph, scratch->query, in);
    if (status != RHUMB_OK) {
        rhumb__log_release(graph->writer->log, payload_bytes);
        goto done;
    }
    write_node(graph, scratch->query, in);
    rhumb__active_publish(graph, in->active, in->slot);
    const rhumb__link_node node = {.slot = in->slot, .level = in->level, .active = in->active};
    rhumb__link(graph, scratch, &node);
    atomic_fetch_add_explicit(&graph->finished_count, 1, memory_order_relaxed);
    if (in->replaced != RHUMB__SLOT_NONE) rhumb__removal_bury(graph, in->replaced);
    rhumb__active_leave(graph, in->active);
    rhumb__key_table_grow(&graph->key_table, (uint64_t)in->slot + 1);
    rhumb__writer_note_logged(graph->writer, payload_bytes);
done:
    return status;
}

rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key, uint64_t batch,
                                 uint32_t *slot_out, uint64_t *lsn_out) {
    insertion in = {.key = key, .batch = batch};
    const rhumb_status status = insert(graph, scratch, &in);
    if (status == RHUMB_OK && slot_out != NULL) *slot_out = in.slot;
    if (status == RHUMB_OK) *lsn_out = in.lsn;
    return status;
}

rhumb_status rhumb__graph_upsert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key, uint64_t *lsn_out) {
    insertion in = {.key = key, .replace = true};
    rhumb__rwlock_rdlock(&graph->removal_lock);
    /* Searches compare the two numbers, see rhumb__graph_search. */
    atomic_fetch_add(&graph->replace_begun, 1);
    const rhumb_status status = insert(graph, scratch, &in);
    atomic_fetch_add(&graph->replace_done, 1);
    rhumb__rwlock_unlock(&graph->removal_lock);
    if (status == RHUMB_OK) *lsn_out = in.lsn;
    return status;
}

/* ---- in two parts ---- */

rhumb_status rhumb__graph_place(rhumb__graph *graph, uint64_t key, const void *row, bool replace) {
    rhumb_status status;
    rhumb__key_place place;
    insertion in = {.key = key, .replace = replace};
    rhumb__key_table_lock(&graph->key_table, key, &place);
    in.replaced = rhumb__key_table_find_locked(&graph->key_table, &place, key);
    if (in.replaced != RHUMB__SLOT_NONE && !replace) {
        status = rhumb__fail(RHUMB_E_EXISTS, "key %llu is in the index already", (unsigned long long)key);
        goto done;
    }
    RHUMB_TRY(rhumb__key_table_reserve(&graph->key_table, &place));
    rhumb__mutex_lock(&graph->append_lock);
    status = take_slot(graph, &in);
    rhumb__mutex_unlock(&graph->append_lock);
    RHUMB_TRY(status);
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], in.slot) = key;
    rhumb__key_table_add(&graph->key_table, &place, in.slot);
    if (in.replaced != RHUMB__SLOT_NONE) rhumb__removal_unlink_key(graph, &place, in.replaced);
    write_node(graph, row, &in);
    atomic_fetch_add_explicit(&graph->finished_count, 1, memory_order_relaxed);
    if (in.replaced != RHUMB__SLOT_NONE) rhumb__removal_bury(graph, in.replaced);
done:
    rhumb__key_table_unlock(&graph->key_table, &place);
    if (status == RHUMB_OK) rhumb__key_table_grow(&graph->key_table, (uint64_t)in.slot + 1);
    return status;
}

rhumb_status rhumb__graph_link_placed(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) {
    rhumb_status status;
    RHUMB_TRY(rhumb__scratch_set_row(scratch, rhumb__graph_vector(graph, slot)));
    RHUMB_TRY(rhumb__link_prepare(graph, scratch));
    rhumb__link_node node = {.slot = slot, .level = rhumb__node_level(rhumb__graph_node(graph, slot))};
    node.active = rhumb__active_claim(graph);
    rhumb__active_publish(graph, node.active, slot);
    rhumb__link(graph, scratch, &node);
    rhumb__active_leave(graph, node.active);
done:
    return status;
}
