/* io_file.h - the part that the uring and the plain backend share: a descriptor, its kept failure, and the calls that
 * go straight to the kernel. For the backends alone; all other code uses io.h, which has the contract.
 */
#ifndef RHUMB_STORAGE_IO_IO_FILE_H
#define RHUMB_STORAGE_IO_IO_FILE_H

#include "storage/io/io.h"

#include "base/fork.h"
#include "base/status.h"

/* The head of both backends' handles. */
typedef struct rhumb__io_file {
    rhumb__io io;
    char *path;                        /* io.path, owned */
    int fd;                            /* -1 in a forked child */
    rhumb__fork_descriptor fork_entry; /* of fd */
    bool writable;
    bool sync_failed;        /* for good: see rule 4 of io.h */
    bool write_failed;       /* write_error waits for the next drain */
    rhumb_error write_error; /* the first failure since the last drain */
} rhumb__io_file;

/* Fills a zeroed handle. A failure leaves nothing behind, not even a file that was created. */
rhumb_status rhumb__io_file_open(rhumb__io_file *file, const rhumb__io_backend *backend, const char *path,
                                 rhumb__io_mode mode) RHUMB_NODISCARD;

/* Closes the descriptor and frees the path, not the handle. */
void rhumb__io_file_close(rhumb__io_file *file);

/* Whether such a write may be queued: RHUMB_OK, RHUMB_E_READONLY or RHUMB_E_INVALID. */
rhumb_status rhumb__io_file_write_check(const rhumb__io_file *file, size_t bytes_count,
                                        uint64_t offset) RHUMB_NODISCARD;

/* Writes all of it before returning. A failure is kept for the next drain. */
void rhumb__io_file_write_now(rhumb__io_file *file, const void *bytes, size_t bytes_count, uint64_t offset);

/* Keeps a failure for the next drain, unless one is kept already: with `left_bytes` still to be written at `offset` the
 * kernel returned `os_errno`, or 0 when it wrote nothing without an error. The thread's error record stays as it is.
 */
void rhumb__io_file_write_failed(rhumb__io_file *file, int os_errno, uint64_t left_bytes, uint64_t offset);

/* Returns the kept failure, if there is one, and clears it. */
rhumb_status rhumb__io_file_failure_take(rhumb__io_file *file) RHUMB_NODISCARD;

/* RHUMB_E_FATAL when an earlier sync of this handle failed. To be called before every sync. */
rhumb_status rhumb__io_file_sync_check(const rhumb__io_file *file) RHUMB_NODISCARD;

/* The status of a sync that ended with `os_errno` (0: success); marks the handle when it failed. */
rhumb_status rhumb__io_file_sync_result(rhumb__io_file *file, int os_errno) RHUMB_NODISCARD;

/* Calls fdatasync and returns its status as rhumb__io_file_sync_result does. */
rhumb_status rhumb__io_file_sync_now(rhumb__io_file *file) RHUMB_NODISCARD;

/* The functions that both backends share. Those on the size expect that no write is in flight. */
rhumb_status rhumb__io_file_size(rhumb__io *io, uint64_t *bytes_out) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_resize(rhumb__io *io, uint64_t bytes) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;
void rhumb__io_file_forget(rhumb__io *io, uint64_t offset, uint64_t bytes);
void rhumb__io_file_read_exactly(rhumb__io *io, bool exactly);

/* See rhumb__io_direct_descriptor. */
int rhumb__io_file_open_direct(rhumb__io *io);
void rhumb__io_file_gather(rhumb__io *io, uint64_t offset, uint64_t bytes);
rhumb_status rhumb__io_file_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset,
                                rhumb__io_map_kind kind) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_lock(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind,
                                 bool *taken_out) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_unlock(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_lock_test(rhumb__io *io, uint64_t offset, uint64_t bytes,
                                      bool *held_by_other_out) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_sync_directory(const char *path) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_remove(const char *path) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_take_name(rhumb__io *io, const char *path) RHUMB_NODISCARD;
rhumb_status rhumb__io_file_is_at(rhumb__io *io, const char *path, bool *is_at_out) RHUMB_NODISCARD;
void rhumb__io_file_access_get(rhumb__io *io, rhumb__io_access *access);
void rhumb__io_file_access_set(rhumb__io *io, const rhumb__io_access *access);

#endif /* RHUMB_STORAGE_IO_IO_FILE_H */
