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

/* Steps between two looks at the clock. */
#define STEPS_PER_REPORT 64u

rhumb_status rhumb__verify_advance(rhumb__verifier *v, uint64_t done_count) {
    if (done_count < v->part_count + STEPS_PER_REPORT) return RHUMB_OK;
    const uint64_t step_count = done_count - v->part_count;
    v->part_count = done_count;
    return rhumb__progress_advance(v->progress, step_count);
}

/* Begins the next of the parts that take a step for each slot. */
static void begin_part(rhumb__verifier *v) { v->part_count = 0; }

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
        if (rhumb__slots_contain(slots, i, slots[i])) {
            rhumb__verify_note(v, "slot %u, level %u: two links to slot %u", slot, level, slots[i]);
        }
    }
}

/* Node records against the counts; upper rows must follow each other as slots do. */
static rhumb_status check_nodes(rhumb__verifier *v) {
    rhumb_status status = RHUMB_OK;
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
        RHUMB_TRY(rhumb__verify_advance(v, i + 1));
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        if (level_counts[level] == graph->counts.level_counts[level]) continue;
        rhumb__verify_note(v, "level %u: %llu nodes expected, %llu found", level,
                           (unsigned long long)graph->counts.level_counts[level],
                           (unsigned long long)level_counts[level]);
    }
done:
    return status;
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

/* An index without the codes that it is to have is searched by its vectors. */
static void check_coded(rhumb__verifier *v) {
    const rhumb__graph *graph = v->graph;
    if (graph->params.code_bits == 0 || graph->coded || graph->graph_only) return;
    note_warnings(v->result, 1, "codes: they are not complete, so searches do without; a compaction makes them again");
}

static rhumb_status check_superblocks(rhumb__verifier *v) {
    char first[512];
    uint64_t count = 0;
    const rhumb_status status = rhumb__store_verify_superblocks(v->graph->store, &count, first);
    if (status == RHUMB_OK) note_warnings(v->result, count, first);
    return status;
}

/* In the order of their steps: chunks, nodes, ties, keys, codes, reachability. */
static rhumb_status check_all(rhumb__verifier *v) {
    rhumb_status status;
    rhumb__graph *graph = v->graph;
    rhumb__verify_result *result = v->result;
    v->progress->total_count =
        rhumb__store_chunk_count(graph->store) + RHUMB__VERIFY_STEPS_PER_SLOT * v->slot_count + 1;
    if (graph->coded) v->progress->total_count += v->slot_count;
    RHUMB_TRY(rhumb__store_verify(graph->store, v->progress, &result->chunk_count, &result->checksum_error_count,
                                  result->first_error));
    RHUMB_TRY(check_superblocks(v));
    check_coded(v);
    begin_part(v);
    RHUMB_TRY(check_nodes(v));
    check_entry(v);
    begin_part(v);
    RHUMB_TRY(rhumb__verify_ties(v));
    begin_part(v);
    RHUMB_TRY(rhumb__verify_keys(v));
    begin_part(v);
    RHUMB_TRY(rhumb__verify_codes(v));
    RHUMB_TRY(rhumb__reachability_count(graph, v->slot_count, v->progress, &result->unreachable_count));
    RHUMB_TRY(check_log(v));
    status = rhumb__progress_report(v->progress, v->progress->total_count);
done:
    return status;
}

rhumb_status rhumb__graph_verify(rhumb__graph *graph, rhumb__progress *progress, rhumb__verify_result *result) {
    rhumb_status status = RHUMB_OK;
    rhumb__verifier v = {.graph = graph, .progress = progress, .result = result};
    memset(result, 0, sizeof *result);
    rhumb__mutex_lock(&graph->key_table.split_lock);
    rhumb__rwlock_wrlock(&graph->removal_lock);
    rhumb__active_pause(graph);
    v.slot_count = graph->counts.slot_count;
    if (v.slot_count > 0) {
        v.marks = rhumb__alloc_zeroed(v.slot_count, 1);
        if (v.marks == NULL) {
            status = rhumb__fail(RHUMB_E_NOMEM, "no memory for marks of %llu slots", (unsigned long long)v.slot_count);
            goto done;
        }
    }
    status = check_all(&v);
done:
    rhumb__active_resume(graph);
    rhumb__rwlock_unlock(&graph->removal_lock);
    rhumb__mutex_unlock(&graph->key_table.split_lock);
    rhumb__free(v.marks);
    return status;
}

rhumb_status rhumb__writer_verify(rhumb__writer *writer, rhumb__progress *progress, rhumb__verify_result *result) {
    memset(result, 0, sizeof *result);
    /* A checkpoint first, so that memory and file can be compared; checkpoint_lock keeps another from beginning. */
    rhumb__mutex_lock(&writer->checkpoint_lock);
    rhumb_status status = rhumb__checkpoint_locked(writer);
    if (status == RHUMB_OK) status = rhumb__graph_verify(atomic_load(&writer->graph), progress, result);
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}
