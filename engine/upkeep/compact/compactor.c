/* compactor.c - see compactor.h.
 *
 * The policy: a compaction writes all live vectors and gains the space of the deleted ones. It begins when a share of
 * the index has been deleted. The default share is small because the file holds the old graph, with its deleted nodes,
 * and the new one for a while, and should then be little more than twice the size of what is alive. A compaction that
 * has failed (a full disk) is tried again after another twentieth of the index has been deleted.
 *
 * In a small index, one that is replaced all the time reaches its share again and again, and what a compaction costs
 * there are its checkpoints. So until LARGE_COUNT nodes are deleted, a compaction rests after the one before for
 * REST_FACTOR times as long as that took: all of them together take two hundredths of the time. Below DEAD_COUNT_MIN it
 * would gain nothing: searches measure so few nodes in passing.
 *
 * Where more is deleted than live, operations come faster than a compaction can follow, or lives of the process are too
 * short for one: the index is crowded. Operations that add vectors then wait a little each, so that the compaction gets
 * ahead of them, and one that was cut short by the end of a process begins again when the index is opened.
 *
 * In mode none no compaction begins by itself: that mode is for bulk loading, and leaves checkpoints to the caller.
 *
 * Owns the thread. Failures are recorded in the statistics and logged.
 *
 * Locks: `lock` guards everything but the atomics; it is not held while a compaction runs.
 */
#define _GNU_SOURCE
#include "engine/upkeep/compact/compactor.h"
#include "engine/build/writer.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log_message.h"
#include "base/status.h"
#include "base/thread.h"
#include "storage/reclaim.h"

#define DEAD_SHARE_DEFAULT 0.05
#define DEAD_COUNT_MIN 64u
#define LARGE_COUNT 1000u
#define REST_FACTOR 50u
#define RETRY_SHARE 0.05
#define CROWDED_COUNT_MIN 4096u
#define WAIT_OF_ONE_NS UINT64_C(20000000)
#define WAIT_OF_BATCH_NS UINT64_C(2000000000)

/* How often the thread checks whether readers have released space. */
#define TRIM_INTERVAL_NS UINT64_C(500000000)

struct rhumb__compactor {
    rhumb__writer *writer;
    pthread_t thread;
    rhumb__mutex lock;
    pthread_cond_t wake;
    pthread_cond_t idle;
    bool started;
    bool stop;
    bool due;          /* `work` is to be done */
    uint64_t begin_ns; /* not before this time; 0: immediately */
    bool busy;
    bool trim_due;
    rhumb__compact_work work;
    bool shrink;
    _Atomic uint64_t threshold; /* deleted nodes at which a compaction begins; UINT64_MAX: not by itself */
    _Atomic uint64_t rest_ns;   /* the time until which the thread rests after the last one */
    _Atomic bool crowded;       /* a compaction is due, and more is deleted than live */
};

/* ---- policy ---- */

/* Deleted nodes at which the share is reached: dead / (dead + live) = share. */
static uint64_t threshold_of(const rhumb__writer *writer, uint64_t live_count) {
    const double share =
        writer->options.compact_dead_share > 0 ? writer->options.compact_dead_share : DEAD_SHARE_DEFAULT;
    if (share >= 1 || writer->options.durability == RHUMB_DURABILITY_NONE) return UINT64_MAX;
    return rhumb__max_u64((uint64_t)((double)live_count * share / (1 - share)), DEAD_COUNT_MIN);
}

static rhumb__compact_work policy_work(const rhumb__writer *writer) {
    return (rhumb__compact_work){.thread_count = 1,
                                 .order = RHUMB__ORDER_BISECTION,
                                 .bytes_per_second = writer->options.compact_bytes_per_second,
                                 .bounded = true};
}

/* Deleted nodes at which a compaction is due. */
static uint64_t due_count(const rhumb__compactor *c, const rhumb__graph *graph) {
    const uint64_t threshold = atomic_load_explicit(&c->threshold, memory_order_relaxed);
    return rhumb__max_u64(threshold, threshold_of(c->writer, rhumb__graph_live_count(graph)));
}

static bool is_crowded(const rhumb__compactor *c, const rhumb__graph *graph, uint64_t dead_count) {
    return dead_count > rhumb__max_u64(rhumb__graph_live_count(graph), CROWDED_COUNT_MIN) &&
           dead_count >= due_count(c, graph);
}

/* After a failure the next attempt waits until more has been deleted; after a success the share alone decides. */
static void review_policy(rhumb__compactor *c, bool failed) {
    rhumb__mutex_lock(&c->writer->compact_lock); /* keeps the graph */
    const rhumb__graph *graph = atomic_load(&c->writer->graph);
    const uint64_t live_count = rhumb__graph_live_count(graph);
    const uint64_t more = (uint64_t)((double)live_count * RETRY_SHARE) + DEAD_COUNT_MIN;
    const uint64_t dead_count = rhumb__graph_deleted_count(graph);
    uint64_t threshold = threshold_of(c->writer, live_count);
    if (threshold != UINT64_MAX) threshold = failed ? dead_count + more : 0;
    atomic_store_explicit(&c->threshold, threshold, memory_order_relaxed);
    atomic_store_explicit(&c->crowded, is_crowded(c, graph, dead_count), memory_order_relaxed);
    rhumb__mutex_unlock(&c->writer->compact_lock);
}

/* When a compaction of so many deleted nodes may begin; 0: immediately. */
static uint64_t begin_of(const rhumb__compactor *c, uint64_t dead_count) {
    const uint64_t rest_ns = atomic_load_explicit(&c->rest_ns, memory_order_relaxed);
    return dead_count >= LARGE_COUNT || rhumb__clock_now_ns() >= rest_ns ? 0 : rest_ns;
}

/* Whether a compaction is due, and when it may begin. */
static bool is_due_now(rhumb__compactor *c, uint64_t *begin_ns_out) {
    rhumb__mutex_lock(&c->writer->compact_lock); /* keeps the graph */
    const rhumb__graph *graph = atomic_load(&c->writer->graph);
    const uint64_t dead_count = rhumb__graph_deleted_count(graph);
    const bool due = dead_count >= due_count(c, graph);
    rhumb__mutex_unlock(&c->writer->compact_lock);
    *begin_ns_out = begin_of(c, dead_count);
    return due;
}

/* ---- the thread ---- */

static void compactor_note_failure(rhumb__writer *writer) {
    rhumb__mutex_lock(&writer->stats_lock);
    writer->compaction_stats.failed_count++;
    snprintf(writer->compaction_stats.failure, sizeof writer->compaction_stats.failure, "%.255s",
             rhumb__error_last()->message);
    rhumb__mutex_unlock(&writer->stats_lock);
    const rhumb_error *error = rhumb__error_last();
    rhumb_log_level level = RHUMB_LOG_WARNING;
    if (error->status == RHUMB_E_FATAL) level = RHUMB_LOG_ERROR;
    if (error->status == RHUMB_E_CANCELLED) level = RHUMB_LOG_INFO;
    rhumb__log_message(level, writer->store->path, "a compaction in the background failed: %s", error->message);
}

static void compact_now(rhumb__compactor *c, rhumb__compact_work *work, bool shrink) {
    rhumb__compact_result result;
    const uint64_t begin_ns = rhumb__clock_now_ns();
    const rhumb_status status = rhumb__compact_in_place(c->writer, work, shrink, &result);
    if (status != RHUMB_OK) compactor_note_failure(c->writer);
    const uint64_t end_ns = rhumb__clock_now_ns();
    atomic_store_explicit(&c->rest_ns, end_ns + REST_FACTOR * (end_ns - begin_ns), memory_order_relaxed);
    review_policy(c, status != RHUMB_OK);
}

static void do_work(rhumb__compactor *c) {
    rhumb__mutex_assert_held(&c->lock);
    rhumb__compact_work work = c->work;
    const bool shrink = c->shrink;
    rhumb__mutex_unlock(&c->lock);
    uint64_t next_ns = 0;
    /* The caller may have compacted while the thread rested. */
    if (!work.bounded || is_due_now(c, &next_ns)) compact_now(c, &work, shrink);
    /* As many may have been deleted while it ran. */
    const bool again = is_due_now(c, &next_ns);
    rhumb__mutex_lock(&c->lock);
    if (!again || c->due) return;
    c->work = policy_work(c->writer);
    c->shrink = false;
    c->begin_ns = next_ns;
    c->due = !c->stop;
}

/* Whether there is work to do now. */
static bool is_ready(const rhumb__compactor *c) {
    rhumb__mutex_assert_held(&c->lock);
    return c->due && (c->begin_ns == 0 || rhumb__clock_now_ns() >= c->begin_ns);
}

/* Waits until a compaction or a trim is due. */
static void wait_for_work(rhumb__compactor *c) {
    rhumb__mutex_assert_held(&c->lock);
    if (!c->trim_due && !c->due) {
        rhumb__cond_wait(&c->wake, &c->lock);
        return;
    }
    uint64_t wait_ns = TRIM_INTERVAL_NS;
    if (c->due) wait_ns = rhumb__min_u64(wait_ns, c->begin_ns - rhumb__min_u64(rhumb__clock_now_ns(), c->begin_ns));
    const struct timespec until = rhumb__clock_after(wait_ns);
    rhumb__cond_timedwait(&c->wake, &c->lock, &until);
    if (c->stop || !c->trim_due || is_ready(c)) return;
    c->trim_due = false; /* another may be requested while this one is under way */
    rhumb__mutex_unlock(&c->lock);
    bool left = false;
    /* No other thread tries again to release what could not be released this time. */
    if (rhumb__store_trim(c->writer->store, &left) != RHUMB_OK) left = true;
    rhumb__mutex_lock(&c->lock);
    c->trim_due = c->trim_due || left;
}

static void *compactor_main(void *argument) {
    rhumb__compactor *c = argument;
    rhumb__mutex_lock(&c->lock);
    while (!c->stop) {
        if (!is_ready(c)) {
            c->busy = false;
            pthread_cond_broadcast(&c->idle);
            wait_for_work(c);
            continue;
        }
        c->due = false;
        c->busy = true;
        do_work(c);
        pthread_cond_broadcast(&c->idle); /* for operations that wait for room */
    }
    c->busy = false;
    pthread_cond_broadcast(&c->idle);
    rhumb__mutex_unlock(&c->lock);
    return NULL;
}

/* Under the lock. */
static rhumb_status start_thread(rhumb__compactor *c) {
    rhumb__mutex_assert_held(&c->lock);
    if (c->started || c->stop) return RHUMB_OK;
    if (rhumb__thread_start(&c->thread, compactor_main, c) != 0) {
        return rhumb__fail(RHUMB_E_NOMEM, "no thread for compacting");
    }
    c->started = true;
    return RHUMB_OK;
}

/* Under the lock. */
static rhumb_status put_work(rhumb__compactor *c, const rhumb__compact_work *work, bool shrink, uint64_t begin_ns) {
    rhumb__mutex_assert_held(&c->lock);
    const rhumb_status status = start_thread(c);
    if (status != RHUMB_OK || c->stop) return status;
    c->work = *work;
    c->shrink = shrink;
    c->begin_ns = begin_ns;
    c->due = true;
    pthread_cond_signal(&c->wake);
    return RHUMB_OK;
}

rhumb_status rhumb__compactor_request(rhumb__writer *writer, const rhumb__compact_work *work, bool shrink) {
    rhumb__compactor *c = writer->compactor;
    rhumb__mutex_lock(&c->lock);
    const rhumb_status status = put_work(c, work, shrink, 0);
    rhumb__mutex_unlock(&c->lock);
    return status;
}

/* The writer's hook of that name. */
static void deleted(rhumb__graph *graph, uint64_t dead_count) {
    rhumb__writer *writer = graph->writer;
    rhumb__compactor *c = writer->compactor;
    if (c == NULL || dead_count < DEAD_COUNT_MIN) return;
    /* Not for a graph that is still being built. */
    if (writer->pool == NULL || atomic_load(&writer->graph) != graph) return;
    if (atomic_load_explicit(&c->threshold, memory_order_relaxed) == UINT64_MAX) return;
    if (dead_count < due_count(c, graph)) return;
    if (is_crowded(c, graph, dead_count)) atomic_store_explicit(&c->crowded, true, memory_order_relaxed);
    if (atomic_load(&writer->compacting)) return;
    const rhumb__compact_work work = policy_work(writer);
    const uint64_t begin_ns = begin_of(c, dead_count);
    rhumb_error before;
    rhumb__error_save(&before);
    rhumb__mutex_lock(&c->lock);
    /* A compaction that has been requested serves as well, and has options of its own. */
    const bool waits = c->due && c->begin_ns > begin_ns;
    if ((waits || (!c->due && !c->busy)) && put_work(c, &work, false, begin_ns) != RHUMB_OK) {
        rhumb__error_restore(&before);
    }
    rhumb__mutex_unlock(&c->lock);
}

void rhumb__compactor_trim_later(rhumb__writer *writer) {
    rhumb__compactor *c = writer->compactor;
    rhumb__mutex_lock(&c->lock);
    /* Without a thread the index reuses the space, and the next compaction releases it. */
    if (start_thread(c) == RHUMB_OK) {
        c->trim_due = true;
        pthread_cond_signal(&c->wake);
    }
    rhumb__mutex_unlock(&c->lock);
}

static void await_room(rhumb__compactor *c, uint64_t wait_ns) {
    const struct timespec until = rhumb__clock_after(wait_ns);
    int result = 0;
    rhumb__mutex_lock(&c->lock);
    while (result == 0 && (c->busy || is_ready(c)) && atomic_load_explicit(&c->crowded, memory_order_relaxed)) {
        result = rhumb__cond_timedwait(&c->idle, &c->lock, &until);
    }
    rhumb__mutex_unlock(&c->lock);
}

/* Both read relaxed: an operation more or less that does not wait makes no difference. */
void rhumb__compactor_await_room(rhumb__writer *writer) {
    rhumb__compactor *c = writer->compactor;
    if (!atomic_load_explicit(&c->crowded, memory_order_relaxed)) return;
    if (!atomic_load_explicit(&writer->batch_awaited, memory_order_relaxed)) await_room(c, WAIT_OF_ONE_NS);
}

void rhumb__compactor_await_room_for_batch(rhumb__writer *writer) {
    rhumb__compactor *c = writer->compactor;
    if (atomic_load_explicit(&c->crowded, memory_order_relaxed)) await_room(c, WAIT_OF_BATCH_NS);
}

void rhumb__compactor_wait_idle(rhumb__writer *writer) {
    rhumb__compactor *c = writer->compactor;
    rhumb__mutex_lock(&c->lock);
    while (c->busy || is_ready(c)) rhumb__cond_wait(&c->idle, &c->lock);
    rhumb__mutex_unlock(&c->lock);
}

/* ---- start and stop ---- */

rhumb_status rhumb__compactor_new(rhumb__writer *writer) {
    rhumb__compactor *c = rhumb__alloc_zeroed(1, sizeof *c);
    if (c == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for compacting");
    if (rhumb__mutex_init(&c->lock, RHUMB__RANK_COMPACTOR) != 0 || pthread_cond_init(&c->wake, NULL) != 0 ||
        pthread_cond_init(&c->idle, NULL) != 0) {
        rhumb__free(c);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for locks");
    }
    c->writer = writer;
    writer->compactor = c;
    writer->deleted = deleted;
    return RHUMB_OK;
}

void rhumb__compactor_bind(rhumb__writer *writer, rhumb__scratch_pool *pool, rhumb__mutex *pool_lock) {
    rhumb__compactor *c = writer->compactor;
    writer->pool = pool;
    writer->pool_lock = pool_lock;
    review_policy(c, false);
    if (!atomic_load_explicit(&c->crowded, memory_order_relaxed)) return;
    const rhumb__compact_work work = policy_work(writer);
    rhumb_error before;
    rhumb__error_save(&before);
    /* Without a thread, the next deletes try again. */
    if (rhumb__compactor_request(writer, &work, false) != RHUMB_OK) rhumb__error_restore(&before);
}

void rhumb__compactor_stop(rhumb__writer *writer) {
    rhumb__compactor *c = writer->compactor;
    if (c == NULL) return;
    rhumb__mutex_lock(&c->lock);
    c->stop = true;
    c->due = false;
    pthread_cond_signal(&c->wake);
    const bool started = c->started;
    rhumb__mutex_unlock(&c->lock);
    /* A compaction that is just beginning clears the flag, so it is set again until the thread is no longer busy. */
    while (started) {
        atomic_store(&writer->compact_cancelled, true);
        rhumb__mutex_lock(&c->lock);
        const bool busy = c->busy;
        rhumb__mutex_unlock(&c->lock);
        if (!busy) break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (started) pthread_join(c->thread, NULL);
    rhumb__mutex_lock(&c->lock);
    c->started = false;
    rhumb__mutex_unlock(&c->lock);
}

void rhumb__compactor_free(rhumb__writer *writer) {
    rhumb__compactor *c = writer->compactor;
    if (c == NULL) return;
    rhumb__compactor_stop(writer);
    rhumb__mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->idle);
    rhumb__free(c);
    writer->compactor = NULL;
}
