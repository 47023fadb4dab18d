/* log_state.h - the log's state, shared by log.c (opening, appending, waiting) and log_flush.c (all writing to the
 * file), which implements the functions below.
 *
 * There are two locks. The *inner lock* is a mutex, held for a few instructions or one memcpy, and never during io. The
 * *flusher's role* is the flag `flushing`: the thread that has set it owns the handle, the file's state and the spare
 * buffer until it clears the flag, with or without the inner lock. The role is taken and released under the inner lock,
 * and `changed` is signalled when it is released. Fields that only the flusher changes and other threads read are
 * changed under the inner lock.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_STATE_H
#define RHUMB_STORAGE_LOG_LOG_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "storage/log/log_file.h"

/* What has to be done to the file before records can be written to it. */
typedef enum rhumb__log_file_state {
    RHUMB__LOG_FILE_ABSENT = 0, /* to be created */
    RHUMB__LOG_FILE_FOUND = 1,  /* has operations after the checkpoint, which are to be made durable again */
    RHUMB__LOG_FILE_STALE = 2,  /* has none; is to get the header that is in memory, with the next generation */
    RHUMB__LOG_FILE_READY = 3   /* nothing is to be done */
} rhumb__log_file_state;

struct rhumb__log {
    /* never change after open */
    const rhumb__io_backend *backend;
    char *path;
    char *index_path;
    rhumb__io *index_io;
    rhumb__log_announce announce; /* may be NULL */
    void *announce_context;
    rhumb_durability durability;
    uint64_t interval_ns;
    bool lost; /* opened without what `discard` allows to be left out */

    rhumb__mutex lock;
    pthread_cond_t changed; /* the role has been released */
    atomic_bool failed;     /* changes under the lock, and only to true */

    /* the flusher's */
    rhumb__io *io;
    rhumb__log_file_state file_state;
    bool announced;       /* the index says durably that it expects the file */
    rhumb__io *discarded; /* a log that is not the index's, to be removed when this opening begins; or NULL */
    bool name_durable;    /* the directory has been synced since the file was created */
    bool unsynced;        /* records have been written since the last sync */
    uint8_t *spare;       /* as large as `buffer` */
    rhumb__log_scan found;
    rhumb__log_header found_header; /* the newest in the file when it was opened */

    /* under the lock */
    bool flushing;
    bool begun;               /* `header` has this opening's history */
    bool file_begun;          /* and so has the file */
    bool ready;               /* begun, and file_state is READY or will be once the current cut has ended; in mode none
                                 ABSENT will do */
    rhumb_error cause;        /* of failure, if failed */
    rhumb__log_header header; /* in the file, unless absent or stale */
    uint64_t index_history;   /* what the index's superblock says */
    uint8_t *buffer;          /* records that are not in the file; `used_bytes + reserved_bytes <= capacity_bytes` */
    uint64_t capacity_bytes;
    uint64_t used_bytes;
    uint64_t reserved_bytes;
    uint64_t lsn;         /* the last operation numbered */
    uint32_t crc;         /* of the last record */
    uint64_t end_offset;  /* of the next record in the file, which may not exist yet */
    uint64_t synced_lsn;  /* every record of the log up to this one has been synced */
    uint64_t durable_lsn; /* the same, including what a checkpoint holds, and without what was only found at open */
    uint64_t cut_lsn;     /* the last operation that the last cut, or the checkpoint at open, covers */
    uint64_t sync_count;
    uint64_t synced_count;

    /* mode interval; under the lock */
    pthread_t thread;
    pthread_cond_t tick;
    bool thread_started;
    bool thread_idle; /* waits for the first operation that is not durable */
    bool stopping;
};

/* All of these are called with the inner lock held, and hold it when they return; those that take the role release it
 * in between. */

/* Returns RHUMB_E_FATAL with the first cause in the message. The log has failed. */
rhumb_status rhumb__log_fail_again(const rhumb__log *log) RHUMB_NODISCARD;

/* Waits until no thread has the role. */
void rhumb__log_await_role(rhumb__log *log);

/* Makes the file ready, so that everything that can fail harmlessly has been done. A failure to create the file (no
 * memory, no space, no permission) fails only the caller's operation; any other is RHUMB_E_FATAL from then on. No
 * thread has the role. */
rhumb_status rhumb__log_get_ready(rhumb__log *log) RHUMB_NODISCARD;

/* Begins the history of an opening that has been allowed to go on without operations of a log: the index says so, and
 * the file that is left is removed. No thread has the role. RHUMB_E_FATAL, RHUMB_E_IO. */
rhumb_status rhumb__log_forget_lost(rhumb__log *log) RHUMB_NODISCARD;

/* Makes the file ready and writes what has been appended; with `sync`, makes it durable. No thread has the role.
 * RHUMB_E_FATAL. */
rhumb_status rhumb__log_flush(rhumb__log *log, bool sync) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_LOG_LOG_STATE_H */
