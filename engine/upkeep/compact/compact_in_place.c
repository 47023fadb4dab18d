/* compact_in_place.c - compacting the index of a handle that stays in use, see compact.h.
 *
 *   1. record    every operation from here on (carry.h). Make a checkpoint and open it as a reader, which pins its
 *                blocks
 *   2. build     the new graph next to the old one, in blocks that no version refers to (compact_build.c)
 *   3. carry     over the operations that came in the meantime, in rounds (carry_over.h), until few are left
 *   4. exchange  the graphs, with the gate closed, at a moment in which no batch is open: carry over the rest, make the
 *                new graph the writer's. Searches under way continue with the old graph, which is released when the
 *                last of them has ended, except for vectors that a lease holds (graph/hold.h)
 *   5. publish   by an ordinary checkpoint. Only now the file changes; a crash before it finds the old version, and a
 *                log that has everything since
 *   6. release   the old blocks: another checkpoint, so that neither of the two newest versions refers to them; then
 *                punch holes and shorten the file, as far as no reader needs the blocks
 *
 * Owns both graphs until step 4. A failure in steps 1 to 3, or while the rest is carried over in step 4, loses the work
 * and nothing else.
 *
 * Batches neither wait for step 4 nor make anything else wait: it is tried again and again, a little later each time,
 * with a round of carrying over in between and no lock held. Where batches follow each other so closely that for
 * BATCH_WAIT_MAX_NS there was no moment without one, the compaction gives up; one that began by itself is tried again
 * after more deletes.
 *
 * Locks: compact_lock throughout; checkpoint_lock while step 4 is tried and from then on, so that no checkpoint sees a
 * half-exchanged graph; pool_lock and the gate in step 4.
 */
#define _GNU_SOURCE
#include "engine/durability/lifetime.h"
#include "engine/upkeep/compact/compact.h"

#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/log_message.h"
#include "base/status.h"
#include "engine/build/open_batch.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/recall_store.h"
#include "engine/graph/hold.h"
#include "engine/graph/unlinked.h"
#include "engine/search/walk/scratch.h"
#include "engine/upkeep/compact/carry_over.h"
#include "engine/upkeep/compact/compactor.h"
#include "storage/reclaim.h"

/* Operations that may be left when the gate closes: placing them takes about a millisecond. */
#define REST_COUNT_MAX 64u

/* Operations during the build that are not slowed down, as a share of the index. */
#define GROWTH_SHARE 128u
#define GROWTH_DELAY_NS UINT64_C(8000000)

#define BATCH_WAIT_FIRST_NS UINT64_C(1000000)
#define BATCH_WAIT_LONGEST_NS UINT64_C(50000000)
#define BATCH_WAIT_MAX_NS (UINT64_C(600) * 1000000000u)

typedef struct in_place {
    rhumb__writer *writer;
    rhumb__compact_work *work;
    rhumb__compact_result *result;
    bool (*report)(void *context, uint64_t done_count, uint64_t total_count); /* the caller's */
    void *report_context;
    rhumb__scratch_pool pool; /* of the new graph */
    uint64_t begin_ns;
    uint64_t delay_max_ns;
} in_place;

/* Vectors that are inserted while the new graph is built are in the file twice for a while. A compaction that begins by
 * itself must not double a file repeatedly, so above a share of the index writers are slowed down until it is done. */
static void bound_growth(in_place *c) {
    if (!c->work->bounded || c->work->old == NULL) return;
    const bool exceeded =
        rhumb__carry_count(&c->writer->carry) > rhumb__graph_live_count(c->work->old) / GROWTH_SHARE + REST_COUNT_MAX;
    atomic_store_explicit(&c->writer->throttle_ns, exceeded ? GROWTH_DELAY_NS : 0, memory_order_relaxed);
    if (exceeded) c->delay_max_ns = rhumb__max_u64(c->delay_max_ns, GROWTH_DELAY_NS);
}

static bool report_progress(void *context, uint64_t done_count, uint64_t total_count) {
    in_place *c = context;
    if (atomic_load(&c->writer->compact_cancelled)) return false;
    bound_growth(c);
    return c->report == NULL || c->report(c->report_context, done_count, total_count);
}

/* ---- step 1 ---- */

/* With the gate closed, so that an operation is either in the next checkpoint or recorded. What open batches have
 * inserted is recorded now: the checkpoint leaves it out if they are still open then. */
static void set_recording(rhumb__writer *writer, bool recording) {
    rhumb__rwlock_wrlock(&writer->gate);
    atomic_store_explicit(&writer->carry.recording, recording, memory_order_relaxed);
    if (recording) rhumb__open_batch_carry(atomic_load(&writer->graph));
    rhumb__rwlock_unlock(&writer->gate);
}

static rhumb_status open_old(in_place *c) {
    rhumb_status status;
    rhumb__store *store = c->writer->store;
    RHUMB_TRY(rhumb__checkpoint(c->writer));
    const rhumb__custom_metric custom =
        atomic_load(&c->writer->graph)->params.custom; /* only compactions exchange the graph */
    RHUMB_TRY(rhumb__graph_open(store->path, NULL, &custom, &c->work->old));
    if (!rhumb__store_is_same(store, c->work->old->store)) {
        status = rhumb__fail_at(RHUMB_E_NOTFOUND, store->path, RHUMB_OFFSET_NONE,
                                "another index is at this path now, so this one cannot be compacted");
    }
done:
    return status;
}

/* ---- step 4 ---- */

/* With the gate closed. Changes nothing when it fails. */
static rhumb_status replace_graph(in_place *c, rhumb__carry_over *over) {
    rhumb__writer *writer = c->writer;
    rhumb__graph *graph = c->work->graph;
    rhumb_status status = rhumb__carry_over_rest(over);
    if (status != RHUMB_OK) return status;
    graph->counts.key_next = rhumb__max_u64(graph->counts.key_next, over->old->counts.key_next);
    graph->metadata = over->old->metadata;
    rhumb__recall_carry(graph, over->old);
    atomic_store_explicit(&writer->carry.recording, false, memory_order_relaxed);
    atomic_store(&writer->graph, graph);
    writer->exchanged = true;
    if (writer->pool != NULL) (void)rhumb__scratch_pool_set(writer->pool, graph);
    return RHUMB_OK;
}

/* Changes nothing, and succeeds, if a batch is open. */
static rhumb_status close_gate_and_replace(in_place *c, rhumb__carry_over *over, bool *replaced_out) {
    rhumb__writer *writer = c->writer;
    rhumb_status status = RHUMB_OK;
    const uint64_t begin_ns = rhumb__clock_now_ns();
    rhumb__rwlock_wrlock(&writer->gate);
    const bool possible = !rhumb__open_batch_any(over->old);
    if (possible) status = replace_graph(c, over);
    rhumb__rwlock_unlock(&writer->gate);
    *replaced_out = possible && status == RHUMB_OK;
    c->result->pause_ns = rhumb__max_u64(c->result->pause_ns, rhumb__clock_now_ns() - begin_ns);
    if (possible) atomic_store_explicit(&writer->throttle_ns, 0, memory_order_relaxed);
    return status;
}

/* Prepares for an old graph whose vectors are held until after the exchange: pins the version that they belong to, by
 * the reader of the compaction, which is closed afterwards. *epoch_out is that version. No other is published
 * before the exchange. */
static rhumb_status pin_rows(in_place *c, uint64_t *epoch_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__writer *writer = c->writer;
    rhumb__mutex_assert_held(&writer->checkpoint_lock);
    if (rhumb__graph_is_held(atomic_load(&writer->graph))) RHUMB_TRY(rhumb__checkpoint_locked(writer));
    rhumb__mutex_lock(&writer->store->publish_lock);
    *epoch_out = writer->store->superblock.epoch;
    rhumb__mutex_unlock(&writer->store->publish_lock);
    status = rhumb__store_pin_version(c->work->old->store, *epoch_out);
done:
    return status;
}

/* Releases the old graph, which no thread uses any more, except for what is held of it. */
static void leave_old(in_place *c, rhumb__graph *old, uint64_t epoch) {
    if (!rhumb__graph_is_held(old)) {
        rhumb__io *none = NULL;
        rhumb__graph_replaced(old, &none);
        return;
    }
    rhumb__io *io = rhumb__store_take_io(c->work->old->store, epoch);
    rhumb__graph_replaced(old, &io);
    rhumb__io_close(io); /* the last hold may have gone in the meantime */
}

/* Tries once. Under checkpoint_lock. When the graph has been replaced, the old one has been released. */
static rhumb_status try_exchange(in_place *c, rhumb__carry_over *over, bool *replaced_out) {
    uint64_t epoch = 0;
    rhumb__writer *writer = c->writer;
    rhumb__mutex_assert_held(&writer->checkpoint_lock);
    if (rhumb__open_batch_any(over->old)) return RHUMB_OK;
    rhumb_status status = rhumb__carry_over_most(over, REST_COUNT_MAX);
    if (status == RHUMB_OK) status = pin_rows(c, &epoch);
    if (status != RHUMB_OK) return status;
    if (writer->pool_lock != NULL) rhumb__mutex_lock(writer->pool_lock);
    status = close_gate_and_replace(c, over, replaced_out);
    if (*replaced_out) {
        if (writer->pool != NULL) rhumb__scratch_pool_wait(writer->pool, over->old);
        rhumb__background_exchange(writer, c->work->graph);
        leave_old(c, over->old, epoch);
        c->work->graph = NULL; /* the writer's now */
    } else {
        rhumb__store_unpin_version(c->work->old->store, epoch);
    }
    if (writer->pool_lock != NULL) rhumb__mutex_unlock(writer->pool_lock);
    return status;
}

/* Sleeps until the next attempt. RHUMB_E_CANCELLED. */
static rhumb_status wait_for_batches(rhumb__writer *writer, uint64_t *wait_ns, uint64_t begin_ns) {
    if (atomic_load(&writer->compact_cancelled)) {
        return rhumb__fail(RHUMB_E_CANCELLED, "the compaction was stopped");
    }
    if (rhumb__clock_now_ns() - begin_ns > BATCH_WAIT_MAX_NS) {
        return rhumb__fail(RHUMB_E_CANCELLED, "the compaction found no moment without an atomic batch in %llu seconds",
                           (unsigned long long)(BATCH_WAIT_MAX_NS / 1000000000u));
    }
    nanosleep(&(struct timespec){.tv_nsec = (long)*wait_ns}, NULL);
    *wait_ns = rhumb__min_u64(2 * *wait_ns, BATCH_WAIT_LONGEST_NS);
    return RHUMB_OK;
}

/* On success checkpoint_lock is held. */
static rhumb_status in_place_exchange(in_place *c) {
    rhumb__writer *writer = c->writer;
    rhumb__carry_over over = {.writer = writer,
                              .old = atomic_load(&writer->graph),
                              .graph = c->work->graph,
                              .pool = &c->pool,
                              .lsn = c->work->old->counts.lsn};
    rhumb_status status;
    bool replaced = false;
    uint64_t wait_ns = BATCH_WAIT_FIRST_NS;
    const uint64_t begin_ns = rhumb__clock_now_ns();
    rhumb__mutex_assert_held(&writer->compact_lock);
    const uint64_t linked_count = rhumb__graph_slot_count(c->work->graph);
    rhumb__unlinked_set(c->work->graph, linked_count, linked_count);
    for (;;) {
        RHUMB_TRY(rhumb__carry_over_most(&over, REST_COUNT_MAX));
        rhumb__mutex_lock(&writer->checkpoint_lock);
        status = try_exchange(c, &over, &replaced);
        if (replaced) break;
        rhumb__mutex_unlock(&writer->checkpoint_lock);
        RHUMB_TRY(status);
        atomic_store_explicit(&writer->batch_awaited, true, memory_order_relaxed);
        RHUMB_TRY(wait_for_batches(writer, &wait_ns, begin_ns));
    }
done:
    atomic_store_explicit(&writer->batch_awaited, false, memory_order_relaxed);
    c->result->carried_count = over.carried_count;
    c->delay_max_ns = rhumb__max_u64(c->delay_max_ns, over.delay_max_ns);
    return status;
}

/* ---- steps 5 and 6 ---- */

static rhumb_status in_place_publish(in_place *c, bool shrink) {
    rhumb_status status;
    bool left = false;
    rhumb__writer *writer = c->writer;
    /* The reader of the old version must not pin its blocks any longer. */
    rhumb__graph_close(c->work->old);
    c->work->old = NULL;
    RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, false));
    RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, false));
    if (shrink) {
        /* Blocks become free when two versions do not use them. These two move everything, as far as no reader is in
         * the way; the third frees the blocks from which the second has moved something. */
        RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, true));
        RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, true));
        RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, false));
    }
    /* The compaction has succeeded. Space that cannot be released now is tried again, see compactor.c. */
    if (rhumb__store_trim(writer->store, &left) != RHUMB_OK || left) rhumb__compactor_trim_later(writer);
done:
    return status;
}

/* ---- all ---- */

static rhumb_status in_place_run(in_place *c, bool shrink) {
    rhumb_status status;
    rhumb__writer *writer = c->writer;
    set_recording(writer, true);
    RHUMB_TRY(open_old(c));
    RHUMB_TRY(rhumb__graph_next(atomic_load(&writer->graph), &c->work->derived, &c->work->graph));
    RHUMB_TRY(rhumb__compact_build(c->work, c->result));
    rhumb__scratch_pool_init(&c->pool, c->work->graph);
    status = in_place_exchange(c);
    if (status == RHUMB_OK) {
        status = in_place_publish(c, shrink);
        rhumb__mutex_unlock(&writer->checkpoint_lock);
    }
    rhumb__scratch_pool_destroy(&c->pool);
done:
    return status;
}

/* Releases what is left: after a failure before the exchange both graphs, later nothing. */
static void clean_up(in_place *c) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    rhumb__writer *writer = c->writer;
    atomic_store_explicit(&writer->throttle_ns, 0, memory_order_relaxed);
    if (atomic_load(&writer->carry.recording)) set_recording(writer, false);
    rhumb__carry_clear(&writer->carry);
    rhumb__graph_drop_next(c->work->graph);
    c->work->graph = NULL;
    rhumb__graph_close(c->work->old);
    c->work->old = NULL;
    rhumb__error_restore(&cause);
}

static void note_result(const in_place *c) {
    rhumb__writer *writer = c->writer;
    rhumb__compaction_stats *stats = &writer->compaction_stats;
    rhumb__mutex_lock(&writer->stats_lock);
    stats->count++;
    stats->dropped_count = c->result->dropped_count;
    stats->carried_count = c->result->carried_count;
    stats->ns = rhumb__clock_now_ns() - c->begin_ns;
    stats->pause_ns = c->result->pause_ns;
    stats->pause_max_ns = rhumb__max_u64(stats->pause_max_ns, c->result->pause_ns);
    stats->delay_max_ns = rhumb__max_u64(stats->delay_max_ns, c->delay_max_ns);
    rhumb__mutex_unlock(&writer->stats_lock);
    rhumb__log_message(RHUMB_LOG_INFO, writer->store->path,
                       "compacted: %llu deleted vectors dropped, %llu operations carried over, %.3f ms, writers "
                       "blocked for %.3f ms",
                       (unsigned long long)c->result->dropped_count, (unsigned long long)c->result->carried_count,
                       (double)(rhumb__clock_now_ns() - c->begin_ns) / 1e6, (double)c->result->pause_ns / 1e6);
}

rhumb_status rhumb__compact_in_place(rhumb__writer *writer, rhumb__compact_work *work, bool shrink,
                                     rhumb__compact_result *result) {
    memset(result, 0, sizeof *result);
    in_place c = {.writer = writer,
                  .work = work,
                  .result = result,
                  .report = work->report,
                  .report_context = work->report_context};
    work->old = work->graph = NULL;
    work->report = report_progress;
    work->report_context = &c;
    rhumb__mutex_lock(&writer->compact_lock);
    atomic_store(&writer->compact_cancelled, false);
    atomic_store(&writer->compacting, true);
    c.begin_ns = rhumb__clock_now_ns();
    rhumb__log_message(RHUMB_LOG_DEBUG, writer->store->path, "a compaction begins");
    const rhumb_status status = in_place_run(&c, shrink);
    clean_up(&c);
    if (status == RHUMB_OK) note_result(&c);
    atomic_store(&writer->compacting, false);
    rhumb__mutex_unlock(&writer->compact_lock);
    return status;
}
