/* log_state.h - the log's state, shared by log.c (opening, appending, waiting) and log_flush.c (everything that touches
 * the file after that).
 *
 * There are two locks. The *inner lock* is a mutex, held for a few instructions or one memcpy, and never while the disk
 * is at work. The *flusher's role* is the flag `flushing`: who has set it owns the handle, the file's state and the
 * spare buffer until he clears it, with or without the inner lock. It is taken and given back under the inner lock, and
 * `changed` is signalled when it is given back. Fields that only the flusher changes, and others read, he changes
 * under the inner lock.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_STATE_H
#define RHUMB_STORAGE_LOG_LOG_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "storage/log/log_file.h"

/* What has to happen to the file before records can be written to it. */
typedef enum rhumb__log_file_state {
    RHUMB__LOG_FILE_ABSENT = 0, /* to be created */
    RHUMB__LOG_FILE_FOUND = 1,  /* holds operations behind the checkpoint, which are to be made durable again */
    RHUMB__LOG_FILE_STALE = 2,  /* holds none; is to get the header in memory, with the next generation */
    RHUMB__LOG_FILE_READY = 3   /* nothing */
} rhumb__log_file_state;

struct rhumb__log {
    /* never change after open */
    const rhumb__io_backend *backend;
    char *path;
    rhumb_durability durability;
    uint64_t interval_ns;

    rhumb__mutex lock;
    pthread_cond_t changed; /* the role is free; what waits looks again */
    atomic_bool failed;     /* changes under the lock, and only to true */

    /* the flusher's */
    rhumb__io *io;
    rhumb__log_file_state file_state;
    bool remove_leftover; /* a creation that was cut short left a file */
    bool name_durable;    /* the directory has been synced since the file was created */
    bool unsynced;        /* records have been written that no sync has covered */
    uint8_t *spare;       /* as large as `buffer` */
    rhumb__log_scan found;

    /* under the lock */
    bool flushing;
    bool ready;               /* file_state is READY, or will be once a cut under way has ended */
    rhumb_error cause;        /* of failure, if failed */
    rhumb__log_header header; /* in the file, unless absent or stale */
    uint8_t *buffer;          /* records that are not in the file; `used_bytes + reserved_bytes <= capacity_bytes` */
    uint64_t capacity_bytes;
    uint64_t used_bytes;
    uint64_t reserved_bytes;
    uint64_t lsn;         /* the last operation numbered */
    uint32_t crc;         /* of the last record */
    uint64_t end_offset;  /* where the next record goes, in the file or to be */
    uint64_t synced_lsn;  /* every record of the log up to this one has been synced */
    uint64_t durable_lsn; /* the same, but counting what a checkpoint holds, and not what was only found at open */
    uint64_t cut_lsn;     /* what the last cut, or the checkpoint at open, covers */
    uint64_t sync_count;
    uint64_t synced_count;

    /* mode interval; under the lock */
    pthread_t thread;
    pthread_cond_t tick;
    bool thread_started;
    bool thread_idle; /* waits for the first operation that is not durable */
    bool stopping;
};

/* All of these are called with the inner lock held, and hold it when they return; those that take the role let go of it
 * meanwhile. */

/* Fails with the first cause, as RHUMB_E_FATAL. The log has failed. */
rhumb_status rhumb__log_fail_again(const rhumb__log *log) RHUMB_NODISCARD;

/* Waits until nobody has the role. */
void rhumb__log_await_role(rhumb__log *log);

/* Makes the file ready, so that nothing that can fail without harm is left for later. What fails here before anything
 * has been promised (no memory; no space, no right to create the file) fails the caller's operation and nothing else;
 * the rest is RHUMB_E_FATAL for good. Nobody has the role. */
rhumb_status rhumb__log_get_ready(rhumb__log *log) RHUMB_NODISCARD;

/* Writes what has been appended, after making the file ready; with `sync`, until it is durable. Nobody has the role.
 * RHUMB_E_FATAL. */
rhumb_status rhumb__log_flush(rhumb__log *log, bool sync) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_LOG_LOG_STATE_H */
