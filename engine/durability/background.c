/* background.c - see background.h.
 *
 * Owns the thread and its scratch pool. The thread sleeps until `wake` is signalled. A checkpoint is due when the log
 * has grown by a quarter of the size of the index, by at least 64 MiB and at most 1 GiB, unless the options say
 * otherwise: so everything that is inserted is rewritten only a few times. What was found in the log at opening counts,
 * so a process that is killed again and again before it has logged as much does not let the log grow: beyond twice the
 * limit the first operation waits for a checkpoint. A checkpoint is also due when private memory asks for one
 * (private_memory.h). A checkpoint that fails (a full disk) is recorded in the statistics and due again after as much
 * log again; nothing is lost in the meantime, because the log stays.
 *
 * Locks: `lock` guards the flags; link_lock is held while a block is linked. Neither is held while a checkpoint runs.
 */
#include "engine/durability/background.h"
#include "engine/build/renew.h"
#include "engine/build/weave.h"
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
#include "engine/durability/checkpoint.h"
#include "engine/durability/private_memory.h"
#include "engine/durability/recover.h"
#include "engine/graph/active.h"
#include "engine/graph/fused.h"
#include "engine/graph/reachability.h"
#include "engine/graph/unlinked.h"

#define LOG_BYTES_MIN (UINT64_C(64) << 20)
#define LOG_BYTES_MAX (UINT64_C(1) << 30)
#define INDEX_SHARE 4u

/* Unreachable nodes are counted when one live node in so many has been deleted since the last time. */
#define DELETED_SHARE 20u

/* Fused rows are made so many at a time, and for about so long before a rest. Rows that are missing are made at half
 * the speed of a processor, those that are there at a quarter. */
#define WEAVE_COUNT 16u
#define WEAVE_NS 5000000u
#define RENEW_REST_NS (3 * WEAVE_NS)

struct rhumb__background {
    pthread_t thread;
    rhumb__mutex lock;
    pthread_cond_t wake; /* the thread has something to do */
    pthread_cond_t idle; /* it has nothing left to do */
    rhumb__mutex link_lock;
    _Atomic bool recovering;  /* vectors from the log are waiting to be linked; not those that a compaction leaves */
    _Atomic bool overfull;    /* so much was found in the log that operations wait; changes under lock, to false */
    rhumb__scratch_pool pool; /* for linking */
    uint64_t counted_dead;    /* deleted nodes at the last count of unreachable ones; used by the thread only */
    rhumb__renew_pass pass;   /* likewise */

    /* Guarded by lock; apart from what is not, because compilers read such fields together. */
    bool stop;
    bool checkpoint_due;
    bool memory_due; /* private memory is to be looked at */
    bool renew_due;  /* fused rows are to be looked at, however few vectors are new */
    bool busy;       /* the thread is working */
};

static uint64_t limit_bytes(rhumb__writer *writer) {
    if (writer->options.durability == RHUMB_DURABILITY_NONE) return UINT64_MAX;
    if (writer->options.checkpoint_log_bytes != 0) return writer->options.checkpoint_log_bytes;
    rhumb__mutex_lock(&writer->store->publish_lock);
    const uint64_t index_bytes = writer->store->superblock.file_bytes;
    rhumb__mutex_unlock(&writer->store->publish_lock);
    return rhumb__min_u64(rhumb__max_u64(index_bytes / INDEX_SHARE, LOG_BYTES_MIN), LOG_BYTES_MAX);
}

/* The writer's hook of that name. */
static void checkpoint_due(rhumb__writer *writer) {
    rhumb__background *b = writer->background;
    rhumb__mutex_lock(&b->lock);
    b->checkpoint_due = true;
    pthread_cond_signal(&b->wake);
    rhumb__mutex_unlock(&b->lock);
}

/* The writer's hook of that name. */
static void memory_due(rhumb__writer *writer) {
    rhumb__background *b = writer->background;
    rhumb__mutex_lock(&b->lock);
    b->memory_due = true;
    pthread_cond_signal(&b->wake);
    rhumb__mutex_unlock(&b->lock);
}

static rhumb_status link_block(rhumb__writer *writer, bool *left_out) {
    rhumb__background *b = writer->background;
    const rhumb_status status = rhumb__recover_link_block(&b->pool, &b->link_lock, left_out);
    if (status == RHUMB_OK && !*left_out && atomic_exchange(&b->recovering, false))
        rhumb__log_message(RHUMB_LOG_INFO, writer->store->path, "recovery: all vectors from the log are linked");
    return status;
}

rhumb_status rhumb__background_finish_linking(rhumb__writer *writer) {
    rhumb_status status = RHUMB_OK;
    bool left = true;
    while (left && status == RHUMB_OK) status = link_block(writer, &left);
    return status;
}

static void background_note_failure(rhumb__writer *writer) {
    rhumb__mutex_lock(&writer->stats_lock);
    writer->checkpoint_stats.failed_count++;
    snprintf(writer->checkpoint_stats.failure, sizeof writer->checkpoint_stats.failure, "%.255s",
             rhumb__error_last()->message);
    rhumb__mutex_unlock(&writer->stats_lock);
    const rhumb_error *error = rhumb__error_last();
    rhumb__log_message(error->status == RHUMB_E_FATAL ? RHUMB_LOG_ERROR : RHUMB_LOG_WARNING, writer->store->path,
                       "a checkpoint in the background failed: %s", error->message);
}

static bool is_closing(const rhumb__writer *writer) {
    return atomic_load_explicit(&writer->closing, memory_order_relaxed);
}

/* Returns whether a checkpoint has been made. The nodes that come from the log are linked first, block by block: a
 * close does not wait for all of them, and makes the checkpoint itself, or leaves the log as it is. */
static bool make_checkpoint(rhumb__writer *writer) {
    bool left = true;
    while (left && !is_closing(writer) && link_block(writer, &left) == RHUMB_OK) {
    }
    if (is_closing(writer)) return false;
    const bool made = rhumb__checkpoint(writer) == RHUMB_OK;
    if (!made) background_note_failure(writer);
    /* This also forgets what was logged during the checkpoint: it is little, and the limit is not a promise. */
    atomic_store_explicit(&writer->logged_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&writer->logged_limit_bytes, limit_bytes(writer), memory_order_relaxed);
    return made;
}

static bool is_to_go_on(void *context, uint64_t done_count, uint64_t total_count) {
    const rhumb__writer *writer = context;
    (void)done_count;
    (void)total_count;
    return !is_closing(writer);
}

/* Without memory, or when the handle is closed in the meantime, the previous number stays. */
static void count_unreachable_of(rhumb__writer *writer, rhumb__graph *graph) {
    rhumb__background *b = writer->background;
    const uint64_t dead_count = atomic_load(&graph->dead_count);
    /* A new graph has no deleted nodes. */
    if (dead_count < b->counted_dead) b->counted_dead = 0;
    if (dead_count - b->counted_dead <= rhumb__graph_live_count(graph) / DELETED_SHARE) return;
    b->counted_dead = dead_count;
    const uint64_t lsn = rhumb__log_lsn(writer->log);
    const uint64_t slot_count = rhumb__graph_slot_count(graph);
    uint64_t count = 0;
    rhumb__active_wait(graph, slot_count);
    /* Looks at the flag about ten times a second. */
    rhumb__progress until_closing = {.report = is_to_go_on, .context = writer};
    if (rhumb__reachability_count(graph, slot_count, &until_closing, &count) != RHUMB_OK) return;
    rhumb__mutex_lock(&writer->stats_lock);
    writer->checkpoint_stats.unreachable_count = count;
    writer->checkpoint_stats.unreachable_lsn = lsn;
    rhumb__mutex_unlock(&writer->stats_lock);
}

static void count_unreachable(rhumb__writer *writer) {
    rhumb__scratch *scratch = NULL; /* keeps the graph */
    if (rhumb__scratch_take(&writer->background->pool, &scratch) != RHUMB_OK) return;
    count_unreachable_of(writer, rhumb__scratch_graph(scratch));
    rhumb__scratch_give(scratch);
}

/* A checkpoint has been tried: whether it succeeded or not, operations need not wait any more. */
static void end_overfull(rhumb__background *b) {
    rhumb__mutex_lock(&b->lock);
    atomic_store(&b->overfull, false);
    pthread_cond_broadcast(&b->idle);
    rhumb__mutex_unlock(&b->lock);
}

void rhumb__background_await_room(rhumb__writer *writer) {
    rhumb__background *b = writer->background;
    if (!atomic_load_explicit(&b->overfull, memory_order_relaxed)) return; /* the lock orders what it is about */
    rhumb__mutex_lock(&b->lock);
    while (atomic_load(&b->overfull)) rhumb__cond_wait(&b->idle, &b->lock);
    rhumb__mutex_unlock(&b->lock);
}

/* Returns whether private memory asks for a checkpoint. */
static bool review_memory(rhumb__writer *writer) {
    bool due = false;
    if (rhumb__private_memory_review(writer, &due) != RHUMB_OK) {
        rhumb__log_message(RHUMB_LOG_WARNING, writer->store->path, "writing vectors ahead failed: %s",
                           rhumb__error_last()->message);
    }
    return due;
}

/* Makes fused rows that are missing for about WEAVE_NS; returns whether there is more to do. Rows are derived: without
 * memory for them, their nodes stay without. */
static bool weave_some(const rhumb__writer *writer, rhumb__graph *graph) {
    const uint64_t begin_ns = rhumb__clock_now_ns();
    while (rhumb__weave_missing_count(graph) > 0 && !is_closing(writer)) {
        const uint64_t row_count = rhumb__fused_count(graph);
        if (rhumb__weave_new(graph, WEAVE_COUNT, 1) != RHUMB_OK) return false;
        /* The next node is being inserted, or another thread makes rows. */
        if (rhumb__fused_count(graph) == row_count) return false;
        if (rhumb__clock_now_ns() - begin_ns >= WEAVE_NS) return rhumb__weave_missing_count(graph) > 0;
    }
    return false;
}

/* Makes the fused rows of nodes that have come since the others were made, if there are enough of them, or if it is
 * asked for: a while at a time, so that the graph can be exchanged in between, and resting as long as it works, so that
 * searches keep most of the processors. */
static void weave_new(rhumb__writer *writer, bool is_asked) {
    bool goes_on = false;
    do {
        rhumb__scratch *scratch = NULL; /* keeps the graph */
        if (rhumb__scratch_take(&writer->background->pool, &scratch) != RHUMB_OK) return;
        rhumb__graph *graph = rhumb__scratch_graph(scratch);
        const bool begins = goes_on || rhumb__graph_slot_count(graph) >= rhumb__weave_due_slot(graph) ||
                            (is_asked && rhumb__weave_pays_when_idle(graph));
        goes_on = begins && weave_some(writer, graph);
        rhumb__scratch_give(scratch);
        if (goes_on) nanosleep(&(struct timespec){.tv_nsec = WEAVE_NS}, NULL);
    } while (goes_on && !is_closing(writer));
}

/* Goes on with a pass, or begins one if it is due or `is_asked`; returns whether it goes on. */
static bool renew_some(rhumb__writer *writer, bool is_asked) {
    rhumb__renew_pass *pass = &writer->background->pass;
    bool goes_on = false;
    rhumb__mutex_lock(&writer->checkpoint_lock);
    rhumb__graph *graph = atomic_load(&writer->graph);
    const bool is_due = pass->graph != NULL || rhumb__graph_slot_count(graph) >= rhumb__renew_due_slot(graph);
    if ((is_asked || is_due) && rhumb__renew_some(writer, pass, WEAVE_NS, &goes_on) != RHUMB_OK) goes_on = false;
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return goes_on;
}

static bool has_other_work(rhumb__background *b) {
    rhumb__mutex_lock(&b->lock);
    const bool has = b->checkpoint_due || b->memory_due || b->stop;
    rhumb__mutex_unlock(&b->lock);
    return has;
}

/* Renews fused rows where it pays, until there is other work; the pass goes on after that. A compaction that is running
 * makes all rows. Rows are derived: after a failure they stay as they are. */
static void renew(rhumb__writer *writer, bool is_asked) {
    rhumb__renew_pass *pass = &writer->background->pass;
    if (atomic_load(&writer->compacting)) {
        rhumb__renew_end(pass);
        return;
    }
    while (renew_some(writer, is_asked) && !pass->waits_for_memory && !is_closing(writer) &&
           !has_other_work(writer->background)) {
        nanosleep(&(struct timespec){.tv_nsec = RENEW_REST_NS}, NULL);
    }
}

/* Whether a pass is to go on at once. What waits for memory does once there has been a checkpoint. */
static bool renewal_goes_on(const rhumb__writer *writer, bool has_checkpoint) {
    const rhumb__renew_pass *pass = &writer->background->pass;
    return pass->graph != NULL && !is_closing(writer) && (has_checkpoint || !pass->waits_for_memory);
}

static bool is_stopped(rhumb__background *b) {
    rhumb__mutex_lock(&b->lock);
    const bool stop = b->stop;
    rhumb__mutex_unlock(&b->lock);
    return stop;
}

static void *background_main(void *argument) {
    rhumb__writer *writer = argument;
    rhumb__background *b = writer->background;
    bool left = true;
    /* After a failure, the next checkpoint links the rest and returns its failure to its caller. */
    while (left && !is_stopped(b)) {
        if (link_block(writer, &left) == RHUMB_OK) continue;
        rhumb__log_message(RHUMB_LOG_WARNING, writer->store->path, "linking what came from the log failed: %s",
                           rhumb__error_last()->message);
        break;
    }
    rhumb__mutex_lock(&b->lock);
    while (!b->stop) {
        if (!b->checkpoint_due && !b->memory_due && !b->renew_due) {
            b->busy = false;
            pthread_cond_broadcast(&b->idle);
            rhumb__cond_wait(&b->wake, &b->lock);
            b->busy = true;
            continue;
        }
        bool makes_checkpoint = b->checkpoint_due;
        b->checkpoint_due = false;
        const bool renews = b->renew_due;
        b->memory_due = false;
        b->renew_due = false;
        rhumb__mutex_unlock(&b->lock);
        weave_new(writer, renews); /* before the review, which writes rows ahead and sets when the next ones are due */
        renew(writer, renews);
        if (!makes_checkpoint) makes_checkpoint = review_memory(writer);
        bool has_checkpoint = false;
        if (makes_checkpoint) {
            has_checkpoint = make_checkpoint(writer);
            end_overfull(b);
            count_unreachable(writer);
            (void)review_memory(writer); /* the count begins again */
        }
        rhumb__mutex_lock(&b->lock);
        if (renewal_goes_on(writer, has_checkpoint)) b->renew_due = true;
    }
    rhumb__mutex_unlock(&b->lock);
    return NULL;
}

rhumb_status rhumb__background_wait_idle(rhumb__writer *writer) {
    rhumb__background *b = writer->background;
    const rhumb_status status = rhumb__background_finish_linking(writer);
    if (status != RHUMB_OK) return status;
    rhumb__mutex_lock(&b->lock);
    b->renew_due = true;
    pthread_cond_signal(&b->wake);
    while (b->busy || b->checkpoint_due || b->memory_due || b->renew_due) rhumb__cond_wait(&b->idle, &b->lock);
    rhumb__mutex_unlock(&b->lock);
    return RHUMB_OK;
}

void rhumb__background_exchange(rhumb__writer *writer, rhumb__graph *graph) {
    rhumb__background *b = writer->background;
    rhumb__mutex_lock(&b->link_lock);
    (void)rhumb__scratch_pool_switch(&b->pool, graph);
    rhumb__mutex_unlock(&b->link_lock);
    memory_due(writer);
}

static void background_free(rhumb__background *b) {
    rhumb__renew_end(&b->pass);
    rhumb__scratch_pool_destroy(&b->pool);
    rhumb__mutex_destroy(&b->lock);
    rhumb__mutex_destroy(&b->link_lock);
    pthread_cond_destroy(&b->wake);
    pthread_cond_destroy(&b->idle);
    rhumb__free(b);
}

rhumb_status rhumb__background_start(rhumb__writer *writer) {
    rhumb__background *b = rhumb__alloc_zeroed(1, sizeof *b);
    if (b == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a thread");
    if (rhumb__mutex_init(&b->lock, RHUMB__RANK_BACKGROUND) != 0 ||
        rhumb__mutex_init(&b->link_lock, RHUMB__RANK_LINK) != 0 || pthread_cond_init(&b->wake, NULL) != 0 ||
        pthread_cond_init(&b->idle, NULL) != 0) {
        rhumb__free(b);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for locks");
    }
    rhumb__graph *graph = atomic_load(&writer->graph);
    rhumb__scratch_pool_init(&b->pool, graph);
    b->busy = true;
    atomic_store(&b->recovering, rhumb__unlinked_count(graph) > 0);
    b->memory_due = atomic_load(&b->recovering);
    b->counted_dead = atomic_load(&graph->dead_count);
    writer->background = b;
    writer->checkpoint_due = checkpoint_due;
    writer->memory_due = memory_due;
    const uint64_t limit = limit_bytes(writer);
    const uint64_t found_bytes = atomic_load(&writer->logged_bytes);
    atomic_store(&writer->logged_limit_bytes, limit);
    b->checkpoint_due = found_bytes >= limit;
    atomic_store(&b->overfull, found_bytes / 2 >= limit);
    atomic_store(&writer->memory_slot, rhumb__graph_slot_count(graph) + RHUMB__MEMORY_REVIEW_SLOTS_MIN);
    if (rhumb__thread_start(&b->thread, background_main, writer) == 0) return RHUMB_OK;
    atomic_store(&writer->logged_limit_bytes, UINT64_MAX);
    writer->memory_due = NULL;
    writer->background = NULL;
    background_free(b);
    return rhumb__fail(RHUMB_E_NOMEM, "no thread for work in the background");
}

void rhumb__background_hurry(rhumb__writer *writer) {
    atomic_store_explicit(&writer->closing, true, memory_order_relaxed);
}

void rhumb__background_stop(rhumb__writer *writer) {
    rhumb__background *b = writer->background;
    if (b == NULL) return;
    rhumb__mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_signal(&b->wake);
    rhumb__mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    writer->background = NULL;
    background_free(b);
}
