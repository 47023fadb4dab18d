/* carry_over.c - see carry_over.h.
 *
 * It works in rounds: each carries over the operations that came during the previous one. Placing a vector costs as
 * much as copying it, linking it as much as inserting it did, and the writers compete for the same processors. So
 * rounds need not get shorter by themselves; when one does not halve what is left, every operation is delayed a little
 * more before it begins, until one does.
 *
 * Of the operations that a round finds for one key, only the last is carried out: no thread has seen in the new graph
 * what it replaces. So a key that is written repeatedly costs one node per round, not one per write.
 *
 * Invariant: the operations of a key are recorded in their order, under the lock of its bucket. The order of those of
 * different keys may change, which makes no difference to the result.
 *
 * Locks: those of recording, and of linking a block. A failure leaves the new graph incomplete; the caller drops it.
 */
#include "engine/upkeep/compact/carry_over.h"
#include "engine/build/writer.h"

#include <sched.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/lock.h"
#include "base/status.h"
#include "engine/build/place.h"
#include "engine/build/remove.h"
#include "engine/durability/recover.h"
#include "engine/graph/unlinked.h"

#define DELAY_FIRST_NS UINT64_C(100000)
#define DELAY_MAX_NS UINT64_C(8000000)

/* The row of an inserted node in the old graph. An insert is recorded shortly before it writes the node. */
static const void *wait_for_row(const rhumb__graph *old, uint32_t slot) {
    while ((rhumb__graph_node(old, slot) & RHUMB__NODE_PRESENT) == 0) sched_yield();
    return rhumb__graph_vector(old, slot);
}

/* Whether the version from which the new graph was built may lack an operation up to over->lsn, because the batch that
 * it belongs to was open. Its key is in the new graph if the version has it: what came after it on the same key would
 * be carried over instead. */
static bool is_left_out(const rhumb__carry_over *over, const rhumb__carry_item *item) {
    return item->of_batch && rhumb__key_table_find(&over->graph->key_table, item->key) == RHUMB__SLOT_NONE;
}

static rhumb_status carry_one(rhumb__carry_over *over, const rhumb__carry_item *item) {
    if (item->type == RHUMB__LOG_DELETE) {
        rhumb__graph_delete_replayed(over->graph, item->key, 0);
        return RHUMB_OK;
    }
    /* Also an insert replaces: the delete before it may have been left out. */
    return rhumb__graph_place(over->graph, item->key, wait_for_row(over->old, item->slot), true);
}

static int by_key_and_lsn(const void *a, const void *b) {
    const rhumb__carry_item *left = a;
    const rhumb__carry_item *right = b;
    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return left->lsn < right->lsn ? -1 : 1;
}

static int by_lsn(const void *a, const void *b) {
    return ((const rhumb__carry_item *)a)->lsn < ((const rhumb__carry_item *)b)->lsn ? -1 : 1;
}

/* Keeps the last operation of each key, in the order of their numbers, and returns how many there are. Drops those up
 * to over->lsn that the version has from which the new graph was built; they all are in the first round. */
static uint64_t keep_last(const rhumb__carry_over *over, rhumb__carry_item *items, uint64_t count) {
    uint64_t kept_count = 0;
    if (count == 0) return 0;
    qsort(items, count, sizeof *items, by_key_and_lsn);
    for (uint64_t i = 0; i < count; i++) {
        if (i + 1 < count && items[i + 1].key == items[i].key) continue;
        if (items[i].lsn > over->lsn || is_left_out(over, &items[i])) items[kept_count++] = items[i];
    }
    qsort(items, kept_count, sizeof *items, by_lsn);
    return kept_count;
}

/* Carries over everything that has been recorded, without links. *count_out is the number of operations. */
static rhumb_status place_recorded(rhumb__carry_over *over, uint64_t *count_out) {
    rhumb__carry_item *items = NULL;
    uint64_t count = 0;
    rhumb_status status = rhumb__carry_take(&over->writer->carry, &items, &count);
    if (status != RHUMB_OK) return status;
    const uint64_t kept_count = keep_last(over, items, count);
    for (uint64_t i = 0; status == RHUMB_OK && i < kept_count; i++) status = carry_one(over, &items[i]);
    rhumb__free(items);
    over->carried_count += count;
    *count_out = count;
    return status;
}

static rhumb_status link_placed(rhumb__carry_over *over) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex lock = RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_LINK);
    bool left = true;
    rhumb__unlinked_set_end(over->graph, rhumb__graph_slot_count(over->graph));
    while (status == RHUMB_OK && left) {
        if (atomic_load(&over->writer->compact_cancelled)) {
            status = rhumb__fail(RHUMB_E_CANCELLED, "the compaction was stopped");
        } else {
            status = rhumb__recover_link_block(over->pool, &lock, &left);
        }
    }
    rhumb__mutex_destroy(&lock);
    return status;
}

/* Doubles the delay when a round has not halved what is left, halves it when less than a quarter is left. */
static void adjust_delay(rhumb__carry_over *over, uint64_t count, uint64_t left_count) {
    uint64_t delay_ns = atomic_load_explicit(&over->writer->throttle_ns, memory_order_relaxed);
    if (left_count > count / 2) {
        delay_ns = rhumb__min_u64(rhumb__max_u64(2 * delay_ns, DELAY_FIRST_NS), DELAY_MAX_NS);
    } else if (left_count < count / 4) {
        delay_ns /= 2;
    }
    over->delay_max_ns = rhumb__max_u64(over->delay_max_ns, delay_ns);
    atomic_store_explicit(&over->writer->throttle_ns, delay_ns, memory_order_relaxed);
}

rhumb_status rhumb__carry_over_most(rhumb__carry_over *over, uint64_t left_max) {
    rhumb_status status = RHUMB_OK;
    while (rhumb__carry_count(&over->writer->carry) > left_max) {
        uint64_t count = 0;
        RHUMB_TRY(place_recorded(over, &count));
        RHUMB_TRY(link_placed(over));
        adjust_delay(over, count, rhumb__carry_count(&over->writer->carry));
    }
done:
    return status;
}

rhumb_status rhumb__carry_over_rest(rhumb__carry_over *over) {
    uint64_t count = 0;
    const rhumb_status status = place_recorded(over, &count);
    rhumb__unlinked_set_end(over->graph, rhumb__graph_slot_count(over->graph));
    return status;
}
