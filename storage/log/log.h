/* log.h - the write-ahead log NAME.rhumb-wal: every operation since the newest checkpoint, in order, so that what was
 * acknowledged survives although it is in no checkpoint yet. The layout is in FORMAT.md, section 14.
 *
 * Operations are numbered from 1, without gaps, over the whole life of an index: the LSN. The log does not know what
 * an operation means; it keeps a type and some bytes. What is in a checkpoint is known by one number, the LSN of its
 * last operation; opening the log with that number makes the rest available to rhumb__log_replay.
 *
 * WRITING goes in three steps, so that an operation cannot fail once it has begun: rhumb__log_reserve takes room (and
 * may wait for the disk, and may fail), rhumb__log_append numbers the operation and cannot fail, rhumb__log_wait
 * makes it as durable as the mode promises. Appends go to a buffer in memory. Whoever waits first writes and syncs for
 * all who have appended by then, while others append to a second buffer: group commit.
 *
 * MODES   full      rhumb__log_wait returns when the operation is on the disk.
 *         interval  a thread of the log's own writes and syncs every so often; rhumb__log_wait does not wait.
 *         none      nothing is written; operations are numbered, and durable once they are in a checkpoint.
 *
 * FAILURE A write or sync that failed is never tried again. From then on reserve, wait, sync and cut return
 * RHUMB_E_FATAL, with the first cause in the message.
 *
 * THREADS Every function may be called by any thread, except open, replay and close. Locks: the log's own two, the
 * inner one for a few instructions or one memcpy; nothing else is taken inside them.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_H
#define RHUMB_STORAGE_LOG_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"
#include "storage/io/io.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers in the file. Never reused. A batch is the records that carry the LSN of its begin record as their `batch`;
 * they count if its commit record is in the log too. */
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

typedef struct rhumb__log_spec {
    const rhumb__io_backend *backend; /* NULL: the default */
    const char *index_path;           /* the index's file; the log's path is this and "-wal" */
    uint8_t uuid[16];                 /* of the index */
    uint64_t checkpoint_lsn;          /* the last operation that the index's newest checkpoint holds */
    rhumb_durability durability;
    uint64_t interval_ns; /* between two syncs in mode interval */
    bool discard;         /* remove a log that does not belong to the checkpoint instead of failing */
} rhumb__log_spec;

/* Opens the log of an index that this process holds the writer's lock of; reads and checks what is there. A log that is
 * not there is created when room for the first operation is taken, and what was not whole when a creation was cut short
 * counts as not there. A torn tail is what was never acknowledged: it is cut off.
 *   RHUMB_E_LOG      the log is another index's (UUID), or it begins behind the checkpoint's LSN
 *   RHUMB_E_CORRUPT  a record that had been synced is damaged: one behind it says so
 *   RHUMB_E_VERSION  written by a newer library
 *   RHUMB_E_IO, RHUMB_E_NOMEM */
rhumb_status rhumb__log_open(const rhumb__log_spec *spec, rhumb__log **log_out) RHUMB_NODISCARD;

/* One operation of the log; `payload` is valid during the visit. */
typedef struct rhumb__log_record {
    rhumb__log_type type; /* INSERT, UPSERT or DELETE: replay keeps the batch records for itself */
    uint64_t lsn;
    uint64_t batch; /* 0: none */
    const uint8_t *payload;
    uint32_t payload_bytes;
} rhumb__log_record;

typedef rhumb_status (*rhumb__log_visit)(void *context, const rhumb__log_record *record);

/* Visits the operations behind the checkpoint's LSN that count, in the order of their numbers; those of batches without
 * a commit do not. Before the first append; may be repeated. Ends at the first visit that fails, with its status. */
rhumb_status rhumb__log_replay(rhumb__log *log, rhumb__log_visit visit, void *context) RHUMB_NODISCARD;

/* Operations that replay visits. */
uint64_t rhumb__log_replay_count(const rhumb__log *log);

/* Takes room for one record. May write (and wait for another thread that does) when the buffer is full, or when the
 * file is to be created or made durable again first. RHUMB_E_NOMEM; when the file cannot be created, RHUMB_E_NOSPACE
 * and RHUMB_E_IO, which are no failure for good; RHUMB_E_FULL when
 * the numbers are used up; RHUMB_E_FATAL. */
rhumb_status rhumb__log_reserve(rhumb__log *log, uint32_t payload_bytes) RHUMB_NODISCARD;

/* Gives back room that was taken and is not going to be used. */
void rhumb__log_release(rhumb__log *log, uint32_t payload_bytes);

/* An operation to append. Its payload is the head and then the body; either may be empty. */
typedef struct rhumb__log_operation {
    rhumb__log_type type;
    uint64_t batch; /* 0: none; also for BATCH_BEGIN, whose batch is its own LSN */
    const void *head;
    uint32_t head_bytes;
    const void *body;
    uint32_t body_bytes;
} rhumb__log_operation;

/* Numbers an operation and copies it to the buffer, into room that was reserved for its payload. Returns its LSN. Cannot
 * fail. */
uint64_t rhumb__log_append(rhumb__log *log, const rhumb__log_operation *operation);

/* Returns when the operation is as durable as the mode promises, with what went wrong if anything did. */
rhumb_status rhumb__log_wait(rhumb__log *log, uint64_t lsn) RHUMB_NODISCARD;

/* Makes everything appended so far durable, in mode interval too. In mode none: RHUMB_E_UNSUPPORTED unless everything
 * is durable already; only a checkpoint can help. */
rhumb_status rhumb__log_sync(rhumb__log *log) RHUMB_NODISCARD;

/* The last operation numbered, and the last that a power cut cannot take any more. */
uint64_t rhumb__log_lsn(rhumb__log *log);
uint64_t rhumb__log_durable_lsn(rhumb__log *log);

/* A place between two records. */
typedef struct rhumb__log_mark {
    uint64_t lsn; /* of the last record before it */
    uint64_t offset;
    uint32_t previous_crc;
} rhumb__log_mark;

/* The place behind the last operation numbered. The caller keeps appends out, if it matters. */
rhumb__log_mark rhumb__log_mark_now(rhumb__log *log);

/* To be called once a checkpoint that holds everything before the mark has been published: durably lets the log begin
 * at the mark, then gives the space before it back. Operations go on being appended. A log that becomes empty begins
 * anew under another salt. */
rhumb_status rhumb__log_cut(rhumb__log *log, const rhumb__log_mark *mark) RHUMB_NODISCARD;

typedef struct rhumb__log_stats {
    uint64_t bytes;        /* of records, written or not, since the mark of the last cut */
    uint64_t sync_count;   /* syncs of records so far */
    uint64_t synced_count; /* records that they made durable: divided by sync_count, the size of a group */
} rhumb__log_stats;

rhumb__log_stats rhumb__log_stats_get(rhumb__log *log);

/* Whether the log has failed for good; takes no lock. */
bool rhumb__log_failed(const rhumb__log *log);

/* Fails with the first cause if the log has failed. */
rhumb_status rhumb__log_check(rhumb__log *log) RHUMB_NODISCARD;

/* Ends the log's thread, writes and syncs what is still in memory (if the mode is not none and nothing has failed), and
 * closes. With `remove`, and if the log is empty, its file is removed. NULL is fine. */
rhumb_status rhumb__log_close(rhumb__log *log, bool remove);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_LOG_LOG_H */
