/* open_batch.c - see open_batch.h.
 *
 * Invariants: slots of a batch are in ascending order; its mark lies at or after the beginning of the log, because a
 * checkpoint cuts no more than that. Locks: removal_lock (shared), append_lock, within it the log's. A batch that
 * cannot begin changes nothing; one that cannot commit stays open.
 */
#include "engine/build/open_batch.h"
#include "engine/build/writer.h"

#include "base/alloc.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"

rhumb_status rhumb__open_batch_begin(rhumb__graph *graph, uint64_t slot_capacity, rhumb__open_batch *batch) {
    *batch = (rhumb__open_batch){.slot_capacity = slot_capacity};
    batch->slots = rhumb__alloc_zeroed(rhumb__max_u64(slot_capacity, 1), sizeof *batch->slots);
    if (batch->slots == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a batch of %llu", (unsigned long long)slot_capacity);
    }
    rhumb__log *log = graph->writer->log;
    const rhumb_status status = rhumb__log_reserve(log, 0);
    if (status != RHUMB_OK) return status;
    const rhumb__log_operation operation = {.type = RHUMB__LOG_BATCH_BEGIN};
    rhumb__mutex_lock(&graph->append_lock);
    batch->begin_lsn = rhumb__log_append_marked(log, &operation, &batch->mark);
    batch->next = graph->open_batches;
    graph->open_batches = batch;
    rhumb__mutex_unlock(&graph->append_lock);
    return RHUMB_OK;
}

/* Takes a batch out of the list, and in the same moment appends its commit record, for which room is reserved. */
static uint64_t leave(rhumb__graph *graph, rhumb__open_batch *batch, bool commit) {
    uint64_t lsn = 0;
    const rhumb__log_operation operation = {.type = RHUMB__LOG_BATCH_COMMIT, .batch = batch->begin_lsn};
    rhumb__rwlock_rdlock(&graph->removal_lock);
    rhumb__mutex_lock(&graph->append_lock);
    if (commit) lsn = rhumb__log_append(graph->writer->log, &operation);
    rhumb__open_batch **at = &graph->open_batches;
    while (*at != batch) at = &(*at)->next;
    *at = batch->next;
    rhumb__mutex_unlock(&graph->append_lock);
    rhumb__rwlock_unlock(&graph->removal_lock);
    return lsn;
}

rhumb_status rhumb__open_batch_commit(rhumb__graph *graph, rhumb__open_batch *batch, uint64_t *lsn_out) {
    const rhumb_status status = rhumb__log_reserve(graph->writer->log, 0);
    if (status == RHUMB_OK) *lsn_out = leave(graph, batch, true);
    return status;
}

void rhumb__open_batch_end(rhumb__graph *graph, rhumb__open_batch *batch) { (void)leave(graph, batch, false); }

bool rhumb__open_batch_any(rhumb__graph *graph) {
    rhumb__mutex_lock(&graph->append_lock);
    const bool any = graph->open_batches != NULL || graph->hidden_batch_count > 0;
    rhumb__mutex_unlock(&graph->append_lock);
    return any;
}

void rhumb__open_batch_carry(rhumb__graph *graph) {
    rhumb__rwlock_assert_held(&graph->writer->gate);
    for (const rhumb__open_batch *batch = graph->open_batches; batch != NULL; batch = batch->next) {
        for (uint64_t i = 0; i < batch->slot_count; i++) {
            const uint32_t slot = batch->slots[i];
            if (rhumb__graph_is_dead(graph, slot)) continue;
            /* The node is alive, so this is the last operation on its key so far, and any number up to the present one
             * is right. */
            const rhumb__carry_item item = {.key = rhumb__graph_key(graph, slot),
                                            .lsn = batch->begin_lsn,
                                            .slot = slot,
                                            .type = RHUMB__LOG_INSERT,
                                            .of_batch = true};
            rhumb__carry_note(&graph->writer->carry, &item);
        }
    }
}
