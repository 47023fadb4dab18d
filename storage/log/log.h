/* log.h - the write-ahead log NAME.rhumb-wal: every operation since the newest checkpoint, in order, so that
 * acknowledged operations survive although no checkpoint has them yet. The layout is in FORMAT.md, section 14.
 *
 * Operations are numbered from 1, without gaps, over the whole life of an index; the number is the LSN. The log keeps
 * the type and the bytes of an operation without interpreting them. It knows a checkpoint by the LSN of its last
 * operation; opening the log with that number makes the later ones available to rhumb__log_replay.
 *
 * WRITING has three steps, so that an operation cannot fail once it has begun: rhumb__log_reserve takes room (it may
 * wait for the disk, and may fail), rhumb__log_append numbers the operation and cannot fail, rhumb__log_wait makes it
 * as durable as the mode promises. Appends go to a buffer in memory. The first thread that waits writes and syncs for
 * all threads that have appended by then, while others append to a second buffer: group commit.
 *
 * MODES   full      rhumb__log_wait returns when the operation is on the disk.
 *         interval  a thread of the log writes and syncs at intervals; rhumb__log_wait does not wait.
 *         none      nothing is written; operations are numbered, and durable once they are in a checkpoint.
 *
 * FAILURE A write or sync that failed is never retried. From then on reserve, wait, sync and cut return RHUMB_E_FATAL,
 *         with the first cause in the message.
 *
 * THREADS Every function may be called by any thread, except open, replay and close. The log has two locks of its own
 *         (log_state.h) and takes no other lock inside them.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_H
#define RHUMB_STORAGE_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"
#include "storage/io/io.h"
#include "storage/log/log_header.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers in the file; never reused. A batch consists of the records that carry the LSN of its begin record as their
 * `batch`; they are effective if its commit record is in the log too. */
typedef enum rhumb__log_type {
    RHUMB__LOG_INSERT = 1,
    RHUMB__LOG_UPSERT = 2,
    RHUMB__LOG_DELETE = 3,
    RHUMB__LOG_BATCH_BEGIN = 4,
    RHUMB__LOG_BATCH_COMMIT = 5
} rhumb__log_type;

/* The longest payload: a key and a vector of 65,535 components of 8 bytes. */
#define RHUMB__LOG_PAYLOAD_BYTES_MAX (8u + 65535u * 8u)

typedef struct rhumb__log rhumb__log;

/* What the index has to say durably of its log: its history, up to which record it has been synced, and whether one is
 * expected.
 * Called before the first record of an opening is written, and with `expected` false before the file is removed; never
 * with the log's lock held. Nothing is written after a failure. */
typedef rhumb_status (*rhumb__log_announce)(void *context, uint64_t history, uint64_t log_lsn, bool expected);

typedef struct rhumb__log_spec {
    const rhumb__io_backend *backend; /* NULL: the default */
    rhumb__io *index_io;              /* of the index; outlives the log */
    const char *index_path;           /* where that file is; the log's path is this and "-wal" */
    rhumb__log_owner owner;           /* what the newest version of the index says */
    rhumb_durability durability;
    uint64_t interval_ns; /* between two syncs in mode interval */
    bool discard;         /* do without the log if it is missing or does not belong to the index, instead of failing */
    rhumb__log_announce announce; /* NULL: the index need not know */
    void *announce_context;
} rhumb__log_spec;

/* Opens the log of an index whose writer's lock this process holds; reads and checks the records. Changes nothing. A
 * log that does not exist is created when room for the first operation is reserved, and then, or when one that was
 * found is written to for the first time, this opening draws its history. A torn tail, which was never acknowledged, is
 * cut off then.
 *   RHUMB_E_LOG      the log belongs to another index (UUID) or another history of this one, lacks operations after the
 *                    checkpoint, or is expected and missing
 *   RHUMB_E_CORRUPT  a record that had been synced is damaged, as a later record proves; or the newest header
 *   RHUMB_E_VERSION  written by a newer library
 *   RHUMB_E_IO, RHUMB_E_NOMEM */
rhumb_status rhumb__log_open(const rhumb__log_spec *spec, rhumb__log **log_out) RHUMB_NODISCARD;

/* Whether the opening has to begin its history at once, by rhumb__log_begin: a log was found, so that the first
 * operation need not wait for it to be made durable again; or `discard` has left one out, which must not be taken for
 * this index's when it is put back. */
bool rhumb__log_begins_at_once(const rhumb__log *log);

/* Begins the history of this opening, which the first rhumb__log_reserve does otherwise; removes what `discard` has
 * left out, or makes the file ready that was found. Fails as reserve does. */
rhumb_status rhumb__log_begin(rhumb__log *log) RHUMB_NODISCARD;

/* What a version that is published now has to say of its history, for modes without a log too; changes nothing while
 * this opening has none. */
void rhumb__log_describe(rhumb__log *log, rhumb__superblock *superblock);

/* One operation of the log; `payload` is valid during the visit. */
typedef struct rhumb__log_record {
    rhumb__log_type type; /* INSERT, UPSERT or DELETE: replay does not visit the records of batches */
    uint64_t lsn;
    uint64_t batch; /* 0: none */
    const uint8_t *payload;
    uint32_t payload_bytes;
} rhumb__log_record;

typedef rhumb_status (*rhumb__log_visit)(void *context, const rhumb__log_record *record);

/* Visits the effective operations after the checkpoint, in the order of their numbers; those of batches without a
 * commit are skipped. A batch takes effect with its commit record: where that lies after the checkpoint and some of the
 * batch's operations before it, these are visited, too, and so are all effective deletes at or before the checkpoint,
 * since they may have deleted what those inserted. Call it before the first append; it may be repeated.
 * Ends at the first visit that fails, with its status. */
rhumb_status rhumb__log_replay(rhumb__log *log, rhumb__log_visit visit, void *context) RHUMB_NODISCARD;

/* Returns the number of operations that replay visits. */
uint64_t rhumb__log_replay_count(const rhumb__log *log);

/* Reserves room for one record. Writes (or waits for another thread that does) when the buffer is full, or when the
 * file has to be created or made durable again first.
 *   RHUMB_E_NOMEM, RHUMB_E_NOSPACE, RHUMB_E_IO  the file cannot be created; it may be tried again
 *   RHUMB_E_FULL     the numbers are used up
 *   RHUMB_E_INVALID  the payload is too long
 *   RHUMB_E_FATAL    the log has failed */
rhumb_status rhumb__log_reserve(rhumb__log *log, uint32_t payload_bytes) RHUMB_NODISCARD;

/* Releases room that was reserved and is not going to be used. */
void rhumb__log_release(rhumb__log *log, uint32_t payload_bytes);

/* A place between two records. */
typedef struct rhumb__log_mark {
    uint64_t lsn; /* of the last record before it */
    uint64_t offset;
    uint32_t previous_crc;
} rhumb__log_mark;

/* An operation to append. Its payload is the head and then the body; either may be empty. */
typedef struct rhumb__log_operation {
    rhumb__log_type type;
    uint64_t batch; /* 0: none; also for BATCH_BEGIN, whose batch is its own LSN */
    const void *head;
    uint32_t head_bytes;
    const void *body;
    uint32_t body_bytes;
} rhumb__log_operation;

/* Numbers an operation and copies it to the buffer, into room that was reserved for its payload. Returns its LSN.
 * Cannot fail. */
uint64_t rhumb__log_append(rhumb__log *log, const rhumb__log_operation *operation);

/* The same; *before_out is the place before the record. */
uint64_t rhumb__log_append_marked(rhumb__log *log, const rhumb__log_operation *operation, rhumb__log_mark *before_out);

/* Returns when the operation is as durable as the mode promises. RHUMB_E_FATAL. */
rhumb_status rhumb__log_wait(rhumb__log *log, uint64_t lsn) RHUMB_NODISCARD;

/* Makes all operations durable that have been appended, also in mode interval. In mode none, where only a checkpoint
 * can: RHUMB_E_UNSUPPORTED unless all are durable already. RHUMB_E_FATAL. */
rhumb_status rhumb__log_sync(rhumb__log *log) RHUMB_NODISCARD;

/* Return the last operation that has been numbered, and the last that survives a power cut. */
uint64_t rhumb__log_lsn(rhumb__log *log);
uint64_t rhumb__log_durable_lsn(rhumb__log *log);

/* Returns the place after the last operation numbered. If other threads may append, the caller excludes them. */
rhumb__log_mark rhumb__log_mark_now(rhumb__log *log);

/* Notes that a checkpoint has been published which holds every operation up to this one; those are durable now, also
 * while the log still has them. Call it before rhumb__log_cut when that is to keep some of them. */
void rhumb__log_cover(rhumb__log *log, uint64_t lsn);

/* Durably makes the log begin at the mark, then releases the space before it. Call it once a checkpoint that holds
 * everything before the mark has been published. Other threads may append in the meantime. A log that becomes empty is
 * restarted under a new salt. RHUMB_E_FATAL, RHUMB_E_IO. */
rhumb_status rhumb__log_cut(rhumb__log *log, const rhumb__log_mark *mark) RHUMB_NODISCARD;

typedef struct rhumb__log_stats {
    uint64_t bytes;        /* of the records since the mark of the last cut, written or not */
    uint64_t sync_count;   /* syncs that made records durable */
    uint64_t synced_count; /* records that they made durable; divided by sync_count: the mean size of a group */
} rhumb__log_stats;

rhumb__log_stats rhumb__log_stats_get(rhumb__log *log);

/* Returns whether the log has failed. Takes no lock. */
bool rhumb__log_failed(const rhumb__log *log);

/* RHUMB_E_FATAL, with the first cause, if the log has failed. */
rhumb_status rhumb__log_check(rhumb__log *log) RHUMB_NODISCARD;

/* Ends the log's thread, writes and syncs the records that are still in memory (unless the mode is none or the log has
 * failed), and closes. With `remove`, removes the file if the log is empty. NULL is allowed. RHUMB_E_FATAL. */
rhumb_status rhumb__log_close(rhumb__log *log, bool remove);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_LOG_LOG_H */
