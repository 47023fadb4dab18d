/* lock_ranks.h - every lock of the library, in the order in which a thread may take them.
 *
 * A thread that holds a lock takes only locks from further down this table. A rank that is `ASCENDING` belongs to many
 * locks, of which a thread may hold several: it takes them in ascending order of their addresses. Of every other rank
 * it holds one lock at a time. A lock that is tried (rhumb__mutex_trylock) may be taken whatever is held, since nothing
 * waits for it; once taken it is held like any other.
 *
 * Builds with debug asserts check the order at every acquisition (lock.h). Searches take no lock of the table.
 */
#ifndef RHUMB_BASE_LOCK_RANKS_H
#define RHUMB_BASE_LOCK_RANKS_H

/* X(rank, name in messages, SINGLE or ASCENDING), outermost first. */
#define RHUMB__LOCK_RANKS(X)                                                                                           \
    /* engine/build/writer.h: one compaction at a time */                                                              \
    X(COMPACT, "compact_lock", SINGLE)                                                                                 \
    /* engine/build/writer.h: one checkpoint at a time, and which operations the newest one holds */                   \
    X(CHECKPOINT, "checkpoint_lock", SINGLE)                                                                           \
    /* engine/graph/key_table.h: the number of buckets; inserts only try it */                                         \
    X(SPLIT, "key_table.split_lock", SINGLE)                                                                           \
    /* api/handle.h: the graph of a handle, for as long as it is exchanged */                                          \
    X(REFRESH, "refresh_lock", SINGLE)                                                                                 \
    /* engine/build/writer.h: operations, against exchanges of the graph */                                            \
    X(GATE, "gate", SINGLE)                                                                                            \
    /* engine/durability/background.c, engine/upkeep/compact/carry_over.c: one block being linked at a time */         \
    X(LINK, "link_lock", SINGLE)                                                                                       \
    /* engine/graph/graph.h: deletes, upserts and the ends of batches, against the beginning of a checkpoint */        \
    X(REMOVAL, "removal_lock", SINGLE)                                                                                 \
    /* engine/graph/graph.h: no insert begins while it is held */                                                      \
    X(PAUSE, "pause_lock", SINGLE)                                                                                     \
    /* storage/store.h: the store's versions and free blocks, and the published part of every section */               \
    X(PUBLISH, "publish_lock", SINGLE)                                                                                 \
    /* storage/section.h: the rows of one chunk of key_buckets */                                                      \
    X(CHUNK_KEY_BUCKETS, "chunk of key_buckets", ASCENDING)                                                            \
    /* engine/graph/key_table.h: which rows of key_overflow are in use */                                              \
    X(OVERFLOW, "key_table.overflow_lock", SINGLE)                                                                     \
    /* storage/section.h: the rows of one chunk of key_overflow */                                                     \
    X(CHUNK_KEY_OVERFLOW, "chunk of key_overflow", ASCENDING)                                                          \
    /* engine/graph/graph.h: the numbers of slots, upper rows and operations */                                        \
    X(APPEND, "append_lock", SINGLE)                                                                                   \
    /* storage/section.h: the size of one section */                                                                   \
    X(GROWTH, "growth_lock", SINGLE)                                                                                   \
    /* storage/log/log_state.h: the log's buffers and numbers */                                                       \
    X(LOG, "log.lock", SINGLE)                                                                                         \
    /* engine/graph/graph.h: the list of removals to be caught up with */                                              \
    X(REMOVALS, "removals.lock", SINGLE)                                                                               \
    /* engine/build/carry.h: the list of operations to be carried over */                                              \
    X(CARRY, "carry.lock", SINGLE)                                                                                     \
    /* api/lease.c: which graphs a lease holds */                                                                      \
    X(LEASE, "lease.lock", SINGLE)                                                                                     \
    /* engine/build/writer.h: the statistics, and a graph's metadata */                                                \
    X(STATS, "stats_lock", SINGLE)                                                                                     \
    /* storage/store_stats.c: a copy of the store's numbers */                                                         \
    X(STORE_STATS, "store.stats_lock", SINGLE)                                                                         \
    /* engine/upkeep/compact/compactor.c: what the compacting thread is to do */                                       \
    X(COMPACTOR, "compactor.lock", SINGLE)                                                                             \
    /* engine/durability/background.c: what the background thread is to do */                                          \
    X(BACKGROUND, "background.lock", SINGLE)                                                                           \
    /* storage/section.h: the rows of one chunk of any other section */                                                \
    X(CHUNK, "chunk of a section", ASCENDING)                                                                          \
    /* storage/section.h: the rows of one chunk of changed */                                                          \
    X(CHUNK_CHANGED, "chunk of changed", SINGLE)                                                                       \
    /* engine/topology/link_spool.h: the links that have come */                                                       \
    X(LINK_SPOOL, "spool of links", SINGLE)                                                                            \
    /* base/row_failure.h: which row of a batch failed first */                                                        \
    X(ROW_FAILURE, "row failure lock", SINGLE)                                                                         \
    /* base/log_message.c: the function that receives messages, also while it runs */                                  \
    X(LOG_MESSAGE, "log message lock", SINGLE)                                                                         \
    /* base/bus_guard.c: the guarded ranges; the function that receives messages may close an index */                 \
    X(BUS_GUARD, "bus guard lock", SINGLE)                                                                             \
    /* base/fork.c: descriptors that a child closes; a fork takes it, and any callback may fork */                     \
    X(FORK, "fork lock", SINGLE)

/* Ranks begin at 1: memory of zeros is not an initialised lock. */
typedef enum rhumb__lock_rank {
    RHUMB__RANK_NONE,
#define RHUMB__RANK_VALUE(rank, name, several) RHUMB__RANK_##rank,
    RHUMB__LOCK_RANKS(RHUMB__RANK_VALUE)
#undef RHUMB__RANK_VALUE
        RHUMB__RANK_LIMIT
} rhumb__lock_rank;

#endif /* RHUMB_BASE_LOCK_RANKS_H */
