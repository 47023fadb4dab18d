/* open_batch.h - the batches under way that are all or nothing.
 *
 * A batch is *open* from its begin record until its commit record is in the log, or until all that it had inserted has
 * been deleted again. Its nodes are in the graph like any others, and searches find them. But nothing of it may become
 * durable before its commit record does, so a checkpoint leaves out the nodes of open batches (durability/checkpoint.c)
 * and keeps their records in the log (durability/recover.c). Nothing waits for an open batch, except that the graph is
 * not exchanged while there is one: a batch knows its nodes by their slots.
 *
 * The list of open batches is the graph's, and guarded by its append_lock. A batch leaves it under removal_lock
 * (shared) as well. So a checkpoint that holds removal_lock exclusively may go on reading what it has found under
 * append_lock.
 */
#ifndef RHUMB_ENGINE_BUILD_OPEN_BATCH_H
#define RHUMB_ENGINE_BUILD_OPEN_BATCH_H

#include "base/assert.h"
#include "engine/graph/graph.h"
#include "storage/log/log.h"

struct rhumb__open_batch {
    rhumb__open_batch *next;
    uint64_t begin_lsn;   /* of its begin record; its number */
    rhumb__log_mark mark; /* the place before that record */
    uint32_t *slots;      /* of its nodes, in the order of their records; the batch's owner releases them */
    uint64_t slot_count;  /* guarded by append_lock */
    uint64_t slot_capacity;
    uint64_t fixed_count; /* the slots that the version has which a checkpoint is fixing; used by that alone */
};

/* Begins a batch of at most that many nodes. Inside the gate. The caller frees batch->slots in every case.
 * RHUMB_E_NOMEM, and the other failures of rhumb__log_reserve. */
rhumb_status rhumb__open_batch_begin(rhumb__graph *graph, uint64_t slot_capacity,
                                     rhumb__open_batch *batch) RHUMB_NODISCARD;

/* Notes the slot of a node. In the same hold of append_lock that takes the slot and the number of its record. */
static inline void rhumb__open_batch_add(rhumb__open_batch *batch, uint32_t slot) {
    RHUMB_ASSERT(batch->slot_count < batch->slot_capacity);
    batch->slots[batch->slot_count++] = slot;
}

/* Commits a batch, which is not open any more if that succeeds. Inside the gate. The failures of rhumb__log_reserve. */
rhumb_status rhumb__open_batch_commit(rhumb__graph *graph, rhumb__open_batch *batch, uint64_t *lsn_out) RHUMB_NODISCARD;

/* Ends a batch without a commit. Its nodes are dead. Inside the gate. */
void rhumb__open_batch_end(rhumb__graph *graph, rhumb__open_batch *batch);

/* Whether there is an open batch, or one whose nodes are hidden. With the gate closed, none begins. */
bool rhumb__open_batch_any(rhumb__graph *graph);

/* Notes, for a compaction that begins, all that the open batches have inserted so far. With the gate closed. */
void rhumb__open_batch_carry(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_BUILD_OPEN_BATCH_H */
