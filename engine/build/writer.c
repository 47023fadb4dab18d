/* writer.c - see writer.h.
 *
 * The order of the locks is in base/lock_ranks.h. Operations hold the gate shared, so closing it takes as long as the
 * operations that are running.
 */
#define _GNU_SOURCE
#include "engine/build/writer.h"

#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

/* Deletes between two calls of the hook. */
#define DELETED_INTERVAL 64u

/* How long an operation waits for rows to be written ahead, at most: it goes on if the disk does not. */
#define ROWS_PAUSE_NS 1000000
#define ROWS_PAUSE_COUNT 20u

rhumb_status rhumb__writer_new(const rhumb__graph_options *options, rhumb__writer **writer_out) {
    rhumb__writer *writer = rhumb__alloc_zeroed(1, sizeof *writer);
    if (writer == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an index");
    writer->options = *options;
    atomic_store(&writer->logged_limit_bytes, UINT64_MAX);
    atomic_store(&writer->memory_slot, UINT64_MAX);
    atomic_store(&writer->rows_slot_limit, UINT64_MAX);
    if (rhumb__mutex_init(&writer->compact_lock, RHUMB__RANK_COMPACT) != 0 ||
        rhumb__mutex_init(&writer->checkpoint_lock, RHUMB__RANK_CHECKPOINT) != 0 ||
        rhumb__mutex_init(&writer->stats_lock, RHUMB__RANK_STATS) != 0 ||
        rhumb__mutex_init(&writer->carry.lock, RHUMB__RANK_CARRY) != 0 ||
        rhumb__rwlock_init(&writer->gate, RHUMB__RANK_GATE) != 0) {
        rhumb__free(writer);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for locks");
    }
    *writer_out = writer;
    return RHUMB_OK;
}

void rhumb__writer_free(rhumb__writer *writer) {
    if (writer == NULL) return;
    RHUMB_ASSERT_DEBUG(writer->background == NULL && writer->compactor == NULL);
    rhumb__carry_clear(&writer->carry);
    rhumb__mutex_destroy(&writer->compact_lock);
    rhumb__mutex_destroy(&writer->checkpoint_lock);
    rhumb__mutex_destroy(&writer->stats_lock);
    rhumb__mutex_destroy(&writer->carry.lock);
    rhumb__rwlock_destroy(&writer->gate);
    rhumb__free(writer);
}

/* Relaxed: an operation more or less that does not wait makes no difference. */
static bool is_full_of_rows(rhumb__writer *writer) {
    return atomic_load_explicit(&writer->newest_slot, memory_order_relaxed) >=
           atomic_load_explicit(&writer->rows_slot_limit, memory_order_relaxed);
}

void rhumb__writer_note_slots(rhumb__writer *writer, uint64_t begin, uint64_t end) {
    RHUMB_ASSERT_DEBUG(begin < end);
    const uint64_t due_slot = atomic_load(&writer->memory_slot);
    atomic_store_explicit(&writer->newest_slot, end - 1, memory_order_relaxed);
    if (due_slot >= begin && due_slot < end) writer->memory_due(writer);
    /* A review that has ended has moved the slot on. */
    for (uint32_t i = 0; i < ROWS_PAUSE_COUNT && atomic_load(&writer->memory_slot) < begin; i++) {
        nanosleep(&(struct timespec){.tv_nsec = ROWS_PAUSE_NS}, NULL);
    }
}

void rhumb__writer_enter(rhumb__writer *writer) {
    const uint64_t throttle_ns = atomic_load_explicit(&writer->throttle_ns, memory_order_relaxed);
    RHUMB_ASSERT_DEBUG(throttle_ns < UINT64_C(1000000000)); /* what tv_nsec can hold */
    if (throttle_ns > 0) nanosleep(&(struct timespec){.tv_nsec = (long)throttle_ns}, NULL);
    for (uint32_t i = 0; i < ROWS_PAUSE_COUNT && is_full_of_rows(writer); i++) {
        nanosleep(&(struct timespec){.tv_nsec = ROWS_PAUSE_NS}, NULL);
    }
    rhumb__rwlock_rdlock(&writer->gate);
}

void rhumb__writer_leave(rhumb__writer *writer) { rhumb__rwlock_unlock(&writer->gate); }

void rhumb__writer_note_logged(rhumb__writer *writer, uint64_t bytes) {
    RHUMB_ASSERT_DEBUG(bytes > 0);
    const uint64_t limit = atomic_load_explicit(&writer->logged_limit_bytes, memory_order_relaxed);
    if (limit == UINT64_MAX) return; /* so that inserting threads do not share a counter */
    const uint64_t before = atomic_fetch_add_explicit(&writer->logged_bytes, bytes, memory_order_relaxed);
    if (before < limit && before + bytes >= limit) writer->checkpoint_due(writer);
}

void rhumb__writer_note_deleted(rhumb__graph *graph, uint64_t dead_count) {
    rhumb__writer *writer = graph->writer;
    RHUMB_ASSERT_DEBUG(dead_count > 0);
    if (writer == NULL || writer->deleted == NULL || dead_count % DELETED_INTERVAL != 0) return;
    writer->deleted(graph, dead_count);
}
