/* verify.c - see verify.h.
 *
 * Trusts nothing that the file says: every number is checked before it is used, as in searches. The work is bounded by
 * the size of the file, whatever is in it. Owns a byte of memory per slot.
 *
 * Locks: key_table.split_lock and removal_lock (exclusive) throughout, and inserts are paused: those under way have
 * finished before the walk begins, and the key table does not grow, so reading needs no other lock.
 */
#include "engine/upkeep/repair/verify.h"
#include "engine/build/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/durability/checkpoint.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/reachability.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/upkeep/repair/verify_internal.h"
#include "storage/store_log.h"
#include "storage/store_verify.h"

void rhumb__verify_note(rhumb__verifier *v, const char *format, ...) {
    v->result->structure_error_count++;
    if (v->result->first_error[0] != '\0') return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(v->result->first_error, sizeof v->result->first_error, format, arguments);
    va_end(arguments);
}

static void check_list(rhumb__verifier *v, uint32_t slot, uint32_t level) {
    uint32_t slots[RHUMB__M0_MAX];
    RHUMB_ASSERT_DEBUG(slot < v->slot_count);
    const rhumb__list list = rhumb__graph_list(v->graph, slot, level);
    if (list.slots == NULL) {
        rhumb__verify_note(v, "slot %u, level %u: its list lies outside the upper lists", slot, level);
        return;
    }
    const uint32_t count = rhumb__list_read(&list, slots);
    v->result->link_count += count;
    for (uint32_t i = count; i < list.capacity; i++) {
        if (rhumb__list_peek(&list, i) == RHUMB__SLOT_NONE) continue;
        rhumb__verify_note(v, "slot %u, level %u: an entry after the end of the list", slot, level);
        break;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] >= v->slot_count) {
            rhumb__verify_note(v, "slot %u, level %u: link to slot %u of %llu", slot, level, slots[i],
                               (unsigned long long)v->slot_count);
            continue;
        }
        if (rhumb__graph_is_copy(v->graph, slots[i])) {
            rhumb__verify_note(v, "slot %u, level %u: link to slot %u, which is a copy", slot, level, slots[i]);
        }
        if (slots[i] == slot) rhumb__verify_note(v, "slot %u, level %u: link to itself", slot, level);
        if (rhumb__node_level(rhumb__graph_node(v->graph, slots[i])) < level) {
            rhumb__verify_note(v, "slot %u, level %u: link to slot %u, which is not on that level", slot, level,
                               slots[i]);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (slots[k] == slots[i])
                rhumb__verify_note(v, "slot %u, level %u: two links to slot %u", slot, level, slots[i]);
        }
    }
}

/* Node records against the counts; upper rows must follow each other as slots do. */
static void check_nodes(rhumb__verifier *v) {
    rhumb__graph *graph = v->graph;
    uint64_t level_counts[RHUMB__LEVEL_COUNT] = {0};
    uint64_t next_upper_row = 0;
    for (uint64_t i = 0; i < v->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint64_t record = rhumb__graph_node(graph, slot);
        const uint32_t level = rhumb__node_level(record);
        v->result->node_count++;
        if ((record & RHUMB__NODE_PRESENT) == 0 || level > graph->params.level_max ||
            rhumb__node_upper_row(record) != next_upper_row || record >> 41 != 0) {
            rhumb__verify_note(v, "slot %u: node record 0x%016llx, upper row %llu expected", slot,
                               (unsigned long long)record, (unsigned long long)next_upper_row);
            if (level > graph->params.level_max) continue;
        }
        level_counts[level]++;
        next_upper_row += level;
        for (uint32_t at = 0; at <= level; at++) check_list(v, slot, at);
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        if (level_counts[level] == graph->counts.level_counts[level]) continue;
        rhumb__verify_note(v, "level %u: %llu nodes expected, %llu found", level,
                           (unsigned long long)graph->counts.level_counts[level],
                           (unsigned long long)level_counts[level]);
    }
}

/* The first linked node of each level, and the entry point: the first of the highest level. */
static void check_entry(rhumb__verifier *v) {
    uint32_t top = 0;
    uint32_t first[RHUMB__LEVEL_COUNT];
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) first[level] = RHUMB__SLOT_NONE;
    for (uint64_t i = v->slot_count; i > 0; i--) {
        const uint32_t slot = (uint32_t)i - 1;
        const uint32_t level = rhumb__node_level(rhumb__graph_node(v->graph, slot));
        if (level < RHUMB__LEVEL_COUNT && rhumb__graph_anchor(v->graph, slot) != RHUMB__SLOT_NONE) first[level] = slot;
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        const uint32_t found = atomic_load(&v->graph->level_first[level]);
        if (first[level] != RHUMB__SLOT_NONE) top = level;
        if (found == first[level]) continue;
        rhumb__verify_note(v, "level %u: its first node is that of slot %u, %u is recorded", level, first[level],
                           found);
    }
    const uint64_t expected = first[top] == RHUMB__SLOT_NONE ? RHUMB__ENTRY_NONE : rhumb__entry_encode(first[top], top);
    const uint64_t entry = atomic_load(&v->graph->entry);
    if (entry == expected) return;
    rhumb__verify_note(v, "entry point: slot %u of level %u expected, slot %u of level %u found",
                       rhumb__entry_slot(expected), rhumb__entry_level(expected), rhumb__entry_slot(entry),
                       rhumb__entry_level(entry));
}

static void check_key_row(rhumb__verifier *v, uint64_t bucket, const rhumb__key_bucket *row) {
    if (row->count > RHUMB__KEY_BUCKET_PLACES) {
        rhumb__verify_note(v, "key bucket %llu: %u entries", (unsigned long long)bucket, row->count);
    }
    for (uint32_t i = 0; i < row->count && i < RHUMB__KEY_BUCKET_PLACES; i++) {
        const uint32_t slot = row->slots[i];
        if (slot >= v->slot_count || (v->marks[slot] & RHUMB__MARK_KEYED) != 0) {
            rhumb__verify_note(v, "key bucket %llu: slot %u does not exist, or is listed twice",
                               (unsigned long long)bucket, slot);
            continue;
        }
        v->marks[slot] |= RHUMB__MARK_KEYED;
    }
}

/* Follows the chain of a bucket up to a row that a chain has led to before: so each row is passed once. Returns false
 * if there is one; then looking up a key can take as many steps as the table has rows. */
static bool check_key_chain(rhumb__verifier *v, uint64_t bucket, uint64_t *passed) {
    const rhumb__key_table *table = &v->graph->key_table;
    const rhumb__key_bucket *row = NULL;
    for (uint64_t hop = 0;; hop++) {
        const rhumb__key_bucket *previous = row;
        row = rhumb__key_table_row(table, bucket, previous, hop);
        if (row == NULL) return true;
        if (hop > 0) {
            const uint32_t index = previous->next - 1;
            if (rhumb__bit_get(passed, index)) {
                rhumb__verify_note(v, "key bucket %llu: its chain is circular, or shares row %u",
                                   (unsigned long long)bucket, index);
                return false;
            }
            rhumb__bit_set(passed, index);
        }
        check_key_row(v, bucket, row);
    }
}

static rhumb_status check_key_chains(rhumb__verifier *v, bool *sound_out) {
    const rhumb__key_table *table = &v->graph->key_table;
    const uint64_t bucket_count = atomic_load(&table->bucket_count);
    const uint64_t row_count = atomic_load(&table->overflow->row_capacity);
    uint64_t *passed = rhumb__alloc_zeroed(row_count / 64 + 1, sizeof *passed);
    if (passed == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for marks of %llu rows", (unsigned long long)row_count);
    }
    *sound_out = true;
    for (uint64_t bucket = 0; bucket < bucket_count; bucket++) {
        *sound_out = check_key_chain(v, bucket, passed) && *sound_out;
    }
    rhumb__free(passed);
    return RHUMB_OK;
}

/* Every live slot must be in the key table once, in the bucket of its key, and no deleted one. Keys are looked up if
 * that ends soon. */
static rhumb_status check_keys(rhumb__verifier *v) {
    rhumb__key_table *table = &v->graph->key_table;
    bool sound = false;
    const rhumb_status status = check_key_chains(v, &sound);
    if (status != RHUMB_OK) return status;
    uint64_t dead_count = 0;
    for (uint64_t i = 0; i < v->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint64_t key = rhumb__graph_key(v->graph, slot);
        if (rhumb__graph_is_dead(v->graph, slot)) {
            dead_count++;
            if ((v->marks[slot] & RHUMB__MARK_KEYED) == 0) continue;
            rhumb__verify_note(v, "slot %u: deleted, but key %llu leads to it", slot, (unsigned long long)key);
            continue;
        }
        if (key == RHUMB_KEY_NONE) {
            rhumb__verify_note(v, "slot %u: its key %llu stands for \"no result\" in answers; delete it", slot,
                               (unsigned long long)key);
        }
        const bool keyed = (v->marks[slot] & RHUMB__MARK_KEYED) != 0;
        if (keyed && (!sound || rhumb__key_table_find(table, key) == slot)) continue;
        rhumb__verify_note(v, "slot %u: its key %llu does not lead to it", slot, (unsigned long long)key);
    }
    if (dead_count != atomic_load(&v->graph->dead_count)) {
        rhumb__verify_note(v, "deleted nodes: %llu expected, %llu found",
                           (unsigned long long)atomic_load(&v->graph->dead_count), (unsigned long long)dead_count);
    }
    return RHUMB_OK;
}

/* Notes what was passed over because something else replaces it. */
static void note_warnings(rhumb__verify_result *result, uint64_t count, const char *first) {
    result->warning_count += count;
    if (count > 0 && result->first_warning[0] == '\0') {
        snprintf(result->first_warning, sizeof result->first_warning, "%s", first);
    }
}

/* Checks the log of the file. A reader may have a version older than the one that the log continues. */
static rhumb_status check_log(rhumb__verifier *v) {
    rhumb__log_report log;
    bool newer = false;
    rhumb__verify_result *result = v->result;
    const rhumb__writer *writer = v->graph->writer;
    const uint64_t lsn = writer == NULL ? v->graph->counts.lsn : writer->published_lsn;
    const rhumb_status status = rhumb__store_examine_log(v->graph->store, lsn, &log, &newer);
    if (status != RHUMB_OK) return status;
    result->log_record_count = log.record_count;
    result->log_error_count = log.error_count;
    if (log.error_count > 0 && result->first_error[0] == '\0') {
        memcpy(result->first_error, log.first_error, sizeof result->first_error);
    }
    note_warnings(result, log.warning_count, log.first_warning);
    return RHUMB_OK;
}

static rhumb_status check_superblocks(rhumb__verifier *v) {
    char first[512];
    uint64_t count = 0;
    const rhumb_status status = rhumb__store_verify_superblocks(v->graph->store, &count, first);
    if (status == RHUMB_OK) note_warnings(v->result, count, first);
    return status;
}

rhumb_status rhumb__graph_verify(rhumb__graph *graph, rhumb__verify_result *result) {
    rhumb_status status = RHUMB_OK;
    rhumb__verifier v = {.graph = graph, .result = result};
    memset(result, 0, sizeof *result);
    rhumb__mutex_lock(&graph->key_table.split_lock);
    rhumb__rwlock_wrlock(&graph->removal_lock);
    rhumb__active_pause(graph);
    v.slot_count = graph->counts.slot_count;
    RHUMB_TRY(
        rhumb__store_verify(graph->store, &result->chunk_count, &result->checksum_error_count, result->first_error));
    RHUMB_TRY(check_superblocks(&v));
    if (v.slot_count > 0) {
        v.marks = rhumb__alloc_zeroed(v.slot_count, 1);
        if (v.marks == NULL) {
            status = rhumb__fail(RHUMB_E_NOMEM, "no memory for marks of %llu slots", (unsigned long long)v.slot_count);
            goto done;
        }
    }
    check_nodes(&v);
    check_entry(&v);
    rhumb__verify_ties(&v);
    RHUMB_TRY(check_keys(&v));
    RHUMB_TRY(rhumb__reachability_count(graph, v.slot_count, NULL, &result->unreachable_count));
    status = check_log(&v);
done:
    rhumb__active_resume(graph);
    rhumb__rwlock_unlock(&graph->removal_lock);
    rhumb__mutex_unlock(&graph->key_table.split_lock);
    rhumb__free(v.marks);
    return status;
}

rhumb_status rhumb__writer_verify(rhumb__writer *writer, rhumb__verify_result *result) {
    memset(result, 0, sizeof *result);
    /* A checkpoint first, so that memory and file can be compared; checkpoint_lock keeps another from beginning. */
    rhumb__mutex_lock(&writer->checkpoint_lock);
    rhumb_status status = rhumb__checkpoint_locked(writer);
    if (status == RHUMB_OK) status = rhumb__graph_verify(atomic_load(&writer->graph), result);
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}
