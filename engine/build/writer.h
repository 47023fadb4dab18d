/* writer.h - the state of a handle that writes, apart from its current graph: log, locks, the background thread,
 * statistics. A compaction replaces the graph; the writer stays.
 *
 * THE GATE. Every operation that changes the graph passes it: rhumb__writer_enter, find the graph, do the work,
 * rhumb__writer_leave. A compaction closes the gate while it exchanges the graph, so inside the gate the graph
 * stays the one that the scratch pools have. Batches that are all or nothing pass the gate for each vector; the
 * exchange waits for a moment in which none is open (open_batch.h).
 *
 * While a compaction carries over the operations that ran during it, the gate also delays operations that come faster
 * than they can be carried over (throttle_ns): many short waits instead of a long one. It delays them likewise while
 * more rows wait to be written ahead than memory should hold (rows_slot_limit).
 */
#ifndef RHUMB_ENGINE_BUILD_WRITER_H
#define RHUMB_ENGINE_BUILD_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "engine/build/carry.h"
#include "engine/graph/graph.h"
#include "storage/log/log.h"
#include "storage/store.h"

typedef struct rhumb__background rhumb__background;
typedef struct rhumb__compactor rhumb__compactor;
typedef struct rhumb__scratch_pool rhumb__scratch_pool;

/* What the checkpoints of this handle have done. */
typedef struct rhumb__checkpoint_stats {
    uint64_t count;
    uint64_t lsn;               /* of the newest */
    uint64_t bytes;             /* written by the newest */
    uint64_t ns;                /* duration of the newest */
    uint64_t pause_ns;          /* for which the newest blocked deletes and upserts */
    uint64_t pause_max_ns;      /* the longest pause of all */
    uint64_t failed_count;      /* checkpoints in the background that failed */
    char failure[256];          /* why the last of them did */
    uint64_t unreachable_count; /* live nodes that no path led to when they were last counted */
    uint64_t unreachable_lsn;   /* the last operation before that count */
} rhumb__checkpoint_stats;

/* What the compactions in place of this handle have done. */
typedef struct rhumb__compaction_stats {
    uint64_t count;
    uint64_t dropped_count; /* deleted nodes that the newest dropped */
    uint64_t carried_count; /* operations during the newest, which it carried over */
    uint64_t ns;            /* duration of the newest */
    uint64_t pause_ns;      /* for which the newest blocked all writers */
    uint64_t pause_max_ns;  /* the longest pause of all */
    uint64_t delay_max_ns;  /* the longest delay of one operation during the newest */
    uint64_t failed_count;  /* compactions that failed */
    char failure[256];      /* why the last of them did */
} rhumb__compaction_stats;

/* Options of a handle that writes; none of them is in the file. Zeros are the defaults. */
typedef struct rhumb__graph_options {
    rhumb_durability durability;
    uint32_t sync_interval_ms;
    uint64_t checkpoint_log_bytes;        /* 0: by the size of the index; UINT64_MAX: never */
    uint64_t checkpoint_bytes_per_second; /* 0: as fast as it goes */
    bool discard_log;
    double compact_dead_share;         /* share of deleted nodes that begins a compaction; 0: the default, 1: never */
    uint64_t compact_bytes_per_second; /* of compactions that begin by themselves; 0: as fast as it goes */
} rhumb__graph_options;

struct rhumb__writer {
    rhumb__graph_options options;
    rhumb__store *store; /* the graph's, which closes it */
    rhumb__log *log;
    rhumb__background *background;
    rhumb__compactor *compactor;
    _Atomic(rhumb__graph *) graph; /* the current one; changes under checkpoint_lock and with the gate closed */
    rhumb__scratch_pool *pool;     /* of the handle; gets the new graph at an exchange; NULL: there is none yet */
    rhumb__mutex *pool_lock;       /* held from then until the old graph is gone; NULL likewise */

    rhumb__mutex compact_lock; /* one compaction at a time; the outermost of all locks */
    rhumb__mutex checkpoint_lock;
    bool exchanged;         /* the graph is not that of the newest version any more; guarded by checkpoint_lock */
    uint64_t published_lsn; /* the last operation that the newest checkpoint holds; guarded by checkpoint_lock */
    rhumb__rwlock gate;     /* shared by operations, exclusive for an exchange of the graph */
    _Atomic uint64_t throttle_ns;
    rhumb__carry carry; /* what a running compaction has to carry over */
    _Atomic bool compact_cancelled;
    _Atomic bool batch_awaited; /* a compaction is done but for a moment in which no batch is open */
    _Atomic bool closing;       /* the handle is being closed: what is under way hurries, what can be left out is */
    uint64_t recovered_lsn;     /* the last operation that was there when the index was opened */

    rhumb__mutex stats_lock;
    rhumb__checkpoint_stats checkpoint_stats; /* guarded by stats_lock, which is held for a copy only */
    rhumb__compaction_stats compaction_stats; /* likewise */
    _Atomic bool compacting;

    /* What operations report, and the hooks that act on it. The layers above set the hooks before operations begin. A
     * hook runs on the thread that carries out the operation, and must not wait for other operations. */
    _Atomic uint64_t logged_bytes;                        /* since the last checkpoint */
    _Atomic uint64_t logged_limit_bytes;                  /* at which checkpoint_due is called; UINT64_MAX: never */
    void (*checkpoint_due)(struct rhumb__writer *writer); /* NULL while there is no background thread */
    _Atomic uint64_t memory_slot;                     /* the insert that takes it calls memory_due; UINT64_MAX: none */
    void (*memory_due)(struct rhumb__writer *writer); /* private memory is to be looked at; NULL as checkpoint_due */
    _Atomic uint64_t newest_slot;                     /* that of the insert that has ended last, about */
    _Atomic uint64_t rows_slot_limit; /* from this slot on the gate delays operations; UINT64_MAX: never */
    void (*deleted)(rhumb__graph *graph, uint64_t dead_count); /* every few deletes; NULL without a compactor */
};

/* Makes a writer without a store, a log or a thread. RHUMB_E_NOMEM. */
rhumb_status rhumb__writer_new(const rhumb__graph_options *options, rhumb__writer **writer_out) RHUMB_NODISCARD;

/* Releases the writer. Its log and thread have ended. NULL is allowed. */
void rhumb__writer_free(rhumb__writer *writer);

/* Enter and leave the gate. Between the two calls the graph is not exchanged. Must not be nested. Entering delays the
 * operation while operations come faster than they can be carried over or their rows be written ahead; no lock is held
 * then. */
void rhumb__writer_enter(rhumb__writer *writer);
void rhumb__writer_leave(rhumb__writer *writer);

/* Reports that an operation of so many bytes was written to the log. Calls checkpoint_due when the limit is passed. */
void rhumb__writer_note_logged(rhumb__writer *writer, uint64_t bytes);

/* Reports that an insert which took this slot has ended. Cheap. */
static inline void rhumb__writer_note_slot(rhumb__writer *writer, uint32_t slot) {
    atomic_store_explicit(&writer->newest_slot, slot, memory_order_relaxed);
    if (atomic_load(&writer->memory_slot) == slot) writer->memory_due(writer);
}

/* Reports the same of the slots [begin, end), for an operation that inserts many vectors within the gate. Then waits, a
 * short time at most, while private memory that was due before them has not been looked at. */
void rhumb__writer_note_slots(rhumb__writer *writer, uint64_t begin, uint64_t end);

/* Reports that a node of `graph` was deleted, the `dead_count`-th. Cheap. */
void rhumb__writer_note_deleted(rhumb__graph *graph, uint64_t dead_count);

#endif /* RHUMB_ENGINE_BUILD_WRITER_H */
