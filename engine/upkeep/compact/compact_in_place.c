/* compact_in_place.c - see compact_in_place.h.
 *
 *   1. begin     from here on every operation is noted (carry.h). A checkpoint; a reader of its own opens it, and pins
 * its blocks
 *   2. build     the new graph beside the old one, in blocks that no version refers to (compact_build.h)
 *   3. carry     over what came meanwhile, in rounds (carry_over.h), until little is left
 *   4. exchange  with batches and then the gate closed: carry over the rest, make the new graph the writer's. Searches
 * that run go on with the old one, which goes when the last of them has ended
 *   5. publish   by an ordinary checkpoint. Only now the file changes; a crash before it finds the old version, and a
 * log that has everything since
 *   6. give back the old blocks: another checkpoint, so that neither of the two newest versions refers to them; then
 * holes, and a shorter file, as far as no reader needs them
 *
 * A failure in steps 1 to 3, or of the rest in step 4, costs the work and nothing else.
 *
 * Locks: compact_lock throughout; checkpoint_lock from step 4 on, so that no checkpoint sees a graph that is half
 * exchanged; batch_lock, pool_lock and the gate in step 4. Batches that come one after the other never leave batch_lock
 * free for long, and closing it blocks them; so it is asked for in growing stretches of time, with a round of carrying
 * over in between.
 */
#define _GNU_SOURCE
#include "engine/upkeep/compact/compact_in_place.h"
#include "engine/durability/lifetime.h"

#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/log_message.h"
#include "base/status.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/upkeep/compact/carry_over.h"
#include "engine/upkeep/compact/compactor.h"
#include "storage/reclaim.h"

/* Operations that may be left when the gate closes: placing so many takes about a millisecond. */
#define REST_COUNT_MAX 64u

/* Operations that may come while the new graph is built, as a share of the index, before they are slowed down. */
#define GROWTH_SHARE 128u
#define GROWTH_DELAY_NS UINT64_C(8000000)

#define BATCH_WAIT_FIRST_NS UINT64_C(10000000)

typedef struct in_place {
    rhumb__writer *writer;
    rhumb__compact_work *work;
    rhumb__compact_result *result;
    bool (*tell)(void *context, uint64_t done_count, uint64_t total_count); /* the caller's */
    void *tell_context;
    rhumb__scratch_pool pool; /* of the new graph */
    uint64_t begin_ns;
    uint64_t delay_max_ns;
} in_place;

/* What comes while the new graph is built is in the file twice for a while. A compaction that began by itself must not
 * double a file again and again, so beyond a share of the index everybody who writes is slowed down until it is done.
 */
static void bound_growth(in_place *c) {
    if (!c->work->bounded || c->work->old == NULL) return;
    const bool exceeded =
        rhumb__carry_count(&c->writer->carry) > rhumb__graph_live_count(c->work->old) / GROWTH_SHARE + REST_COUNT_MAX;
    atomic_store_explicit(&c->writer->throttle_ns, exceeded ? GROWTH_DELAY_NS : 0, memory_order_relaxed);
    if (exceeded) c->delay_max_ns = rhumb__max_u64(c->delay_max_ns, GROWTH_DELAY_NS);
}

static bool tell(void *context, uint64_t done_count, uint64_t total_count) {
    in_place *c = context;
    if (atomic_load(&c->writer->compact_cancelled)) return false;
    bound_growth(c);
    return c->tell == NULL || c->tell(c->tell_context, done_count, total_count);
}

/* ---- step 1 ---- */

/* Under the gate, so that an operation is either in the checkpoint that follows or noted. */
static void set_recording(rhumb__writer *writer, bool recording) {
    rhumb__rwlock_wrlock(&writer->gate);
    atomic_store_explicit(&writer->carry.recording, recording, memory_order_relaxed);
    rhumb__rwlock_unlock(&writer->gate);
}

static rhumb_status open_old(in_place *c) {
    rhumb_status status;
    rhumb__store *store = c->writer->store;
    RHUMB_TRY(rhumb__checkpoint(c->writer));
    const rhumb__custom_metric custom =
        atomic_load(&c->writer->graph)->params.custom; /* which only compactions exchange */
    RHUMB_TRY(rhumb__graph_open(store->path, NULL, &custom, &c->work->old));
    if (!rhumb__store_is_same(store, c->work->old->store)) {
        status = rhumb__fail_at(RHUMB_E_NOTFOUND, store->path, RHUMB_OFFSET_NONE,
                                "another index is at this path now, so this one cannot be compacted");
    }
done:
    return status;
}

/* ---- step 4 ---- */

/* Gets batch_lock for itself while carrying over what comes. */
static rhumb_status close_batches(rhumb__writer *writer, rhumb__carry_over *over) {
    rhumb_status status;
    uint64_t wait_ns = BATCH_WAIT_FIRST_NS;
    for (;;) {
        const struct timespec until = rhumb__clock_after(wait_ns);
        if (rhumb__rwlock_timedwrlock(&writer->batch_lock, &until)) break;
        wait_ns *= 2;
        status = rhumb__carry_over_most(over, REST_COUNT_MAX);
        if (status != RHUMB_OK) return status;
    }
    status = rhumb__carry_over_most(over, REST_COUNT_MAX);
    if (status != RHUMB_OK) rhumb__rwlock_unlock(&writer->batch_lock);
    return status;
}

/* With everybody kept out who writes. Nothing has changed when it fails. */
static rhumb_status replace(in_place *c, rhumb__carry_over *over) {
    rhumb__writer *writer = c->writer;
    rhumb__graph *graph = c->work->graph;
    rhumb_status status = rhumb__carry_over_rest(over);
    if (status != RHUMB_OK) return status;
    graph->counts.key_next = rhumb__max_u64(graph->counts.key_next, over->old->counts.key_next);
    graph->metadata = over->old->metadata;
    atomic_store_explicit(&writer->carry.recording, false, memory_order_relaxed);
    atomic_store(&writer->graph, graph);
    writer->exchanged = true;
    if (writer->pool != NULL) (void)rhumb__scratch_pool_set(writer->pool, graph);
    return RHUMB_OK;
}

static rhumb_status replace_held(in_place *c, rhumb__carry_over *over) {
    rhumb__writer *writer = c->writer;
    const uint64_t begin_ns = rhumb__clock_now_ns();
    rhumb__rwlock_wrlock(&writer->gate);
    const rhumb_status status = replace(c, over);
    rhumb__rwlock_unlock(&writer->gate);
    c->result->pause_ns = rhumb__clock_now_ns() - begin_ns;
    atomic_store_explicit(&writer->throttle_ns, 0, memory_order_relaxed);
    return status;
}

/* Under checkpoint_lock. The old graph is gone when this has succeeded. */
static rhumb_status exchange(in_place *c) {
    rhumb__writer *writer = c->writer;
    rhumb__graph *old = atomic_load(&writer->graph);
    rhumb__carry_over over = {
        .writer = writer, .old = old, .graph = c->work->graph, .pool = &c->pool, .lsn = c->work->old->counts.lsn};
    rhumb_status status;
    atomic_store(&c->work->graph->unlinked_begin, rhumb__graph_slot_count(c->work->graph));
    RHUMB_TRY(rhumb__carry_over_most(&over, REST_COUNT_MAX));
    RHUMB_TRY(close_batches(writer, &over));
    if (writer->pool_lock != NULL) rhumb__mutex_lock(writer->pool_lock);
    status = replace_held(c, &over);
    rhumb__rwlock_unlock(&writer->batch_lock);
    if (status == RHUMB_OK) {
        if (writer->pool != NULL) rhumb__scratch_pool_wait(writer->pool, old);
        rhumb__background_exchange(writer, c->work->graph);
        rhumb__graph_replaced(old);
        c->work->graph = NULL; /* the writer's now */
    }
    if (writer->pool_lock != NULL) rhumb__mutex_unlock(writer->pool_lock);
done:
    c->result->carried_count = over.carried_count;
    c->delay_max_ns = rhumb__max_u64(c->delay_max_ns, over.delay_max_ns);
    return status;
}

/* ---- steps 5 and 6 ---- */

static rhumb_status publish(in_place *c, bool shrink) {
    rhumb_status status;
    bool left = false;
    rhumb__writer *writer = c->writer;
    /* The reader of the old version must not keep its blocks. */
    rhumb__graph_close(c->work->old);
    c->work->old = NULL;
    RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, false));
    RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, false));
    if (shrink) {
        /* Blocks become free when two versions have come that do not use them: these move everything, ... */
        RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, true));
        RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, true));
        /* ... as far as no reader was in the way, and this one lets go of the places that the second moved it from. */
        RHUMB_TRY(rhumb__checkpoint_forced_locked(writer, false));
    }
    /* The compaction stands. Space that cannot be given back now is tried again, see compactor.c. */
    if (rhumb__store_trim(writer->store, &left) != RHUMB_OK || left) rhumb__compactor_trim_later(writer);
done:
    return status;
}

/* ---- all ---- */

static rhumb_status run(in_place *c, bool shrink) {
    rhumb_status status;
    rhumb__writer *writer = c->writer;
    set_recording(writer, true);
    RHUMB_TRY(open_old(c));
    RHUMB_TRY(rhumb__graph_next(atomic_load(&writer->graph), &c->work->graph));
    RHUMB_TRY(rhumb__compact_build(c->work, c->result));
    rhumb__scratch_pool_init(&c->pool, c->work->graph);
    rhumb__mutex_lock(&writer->checkpoint_lock);
    status = exchange(c);
    if (status == RHUMB_OK) status = publish(c, shrink);
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    rhumb__scratch_pool_destroy(&c->pool);
done:
    return status;
}

/* After a failure before the exchange; after one behind it there is little left to do. */
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
                       "compacted: %llu deleted vectors dropped, %llu operations carried over, %.3f ms, writers kept "
                       "out for %.3f ms",
                       (unsigned long long)c->result->dropped_count, (unsigned long long)c->result->carried_count,
                       (double)(rhumb__clock_now_ns() - c->begin_ns) / 1e6, (double)c->result->pause_ns / 1e6);
}

rhumb_status rhumb__compact_in_place(rhumb__writer *writer, rhumb__compact_work *work, bool shrink,
                                     rhumb__compact_result *result) {
    memset(result, 0, sizeof *result);
    in_place c = {
        .writer = writer, .work = work, .result = result, .tell = work->tell, .tell_context = work->tell_context};
    work->old = work->graph = NULL;
    work->tell = tell;
    work->tell_context = &c;
    rhumb__mutex_lock(&writer->compact_lock);
    atomic_store(&writer->compact_cancelled, false);
    atomic_store(&writer->compacting, true);
    c.begin_ns = rhumb__clock_now_ns();
    rhumb__log_message(RHUMB_LOG_DEBUG, writer->store->path, "a compaction begins");
    const rhumb_status status = run(&c, shrink);
    clean_up(&c);
    if (status == RHUMB_OK) note_result(&c);
    atomic_store(&writer->compacting, false);
    rhumb__mutex_unlock(&writer->compact_lock);
    return status;
}
