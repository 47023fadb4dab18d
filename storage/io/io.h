/* io.h - everything that rhumb does to a file, behind one table of functions, so that the same storage code runs on
 * io_uring, on plain system calls, and in tests on a simulated disk that loses, reorders and tears what was not synced.
 *
 * Backends: "uring" (liburing) and "plain" (pread, pwrite, fdatasync). rhumb__io_open picks uring and falls back to
 * plain when a ring cannot be had (containers often forbid it); the environment variable RHUMB_IO (uring, plain) forces
 * one.
 *
 * Writes may be asynchronous. The contract, the same for every backend:
 *
 *   1. rhumb__io_write queues; the bytes must stay unchanged until the next rhumb__io_drain or rhumb__io_sync returns.
 *      It fails only for its arguments. Whatever the disk says is kept for the next drain, and the writes queued
 *      beside or after the one that failed are carried out all the same.
 *   2. rhumb__io_drain returns when every queued write has finished whole (short writes are continued, EINTR and EAGAIN
 *      retried), with the first failure noticed if there was one, naming the byte of the file at which that write
 *      stopped. The failure is then cleared, and the handle is as good as before: a full disk may have room again.
 *   3. rhumb__io_sync drains *first* and only then submits the sync: io_uring promises no order between the two, and a
 *      short write breaks a linked chain. When the drain fails, that is the result and no sync is issued. After
 *      RHUMB_OK all earlier writes and size changes survive a power cut.
 *   4. Nothing is ever retried after a failed sync: the kernel may have dropped the dirty pages and call the next one
 *      good. The failed sync and every later one of the handle return RHUMB_E_FATAL, and nothing else of a handle does.
 *   5. Queued writes have no order among themselves: two that overlap need a drain between them. rhumb__io_read sees a
 *      queued write for certain only after a drain. The calls on the file's size (size, resize, allocate, punch) wait
 *      for the queue first and leave its failure for the drain.
 *
 * A handle belongs to one thread at a time; callers serialise. It may move between threads, also with writes queued,
 * but not to a forked child. rhumb__io_read, rhumb__io_map and rhumb__io_lock_test may be called by several threads at
 * once, also beside one writer.
 */
#ifndef RHUMB_STORAGE_IO_IO_H
#define RHUMB_STORAGE_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/rhumb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most that one rhumb__io_write takes. */
#define RHUMB__IO_WRITE_BYTES_MAX (UINT64_C(1) << 30)

typedef enum rhumb__io_mode {
    RHUMB__IO_READ = 0,  /* must exist; read-only */
    RHUMB__IO_WRITE = 1, /* must exist; read and write */
    RHUMB__IO_CREATE = 2 /* must not exist (O_EXCL); read and write; permissions 0666 less the umask */
} rhumb__io_mode;

typedef enum rhumb__io_lock { RHUMB__IO_LOCK_SHARED = 0, RHUMB__IO_LOCK_EXCLUSIVE = 1 } rhumb__io_lock;

typedef enum rhumb__io_map_kind {
    RHUMB__IO_MAP_SHARED_READ = 0, /* PROT_READ, MAP_SHARED: readers */
    RHUMB__IO_MAP_PRIVATE = 1      /* PROT_READ | PROT_WRITE, MAP_PRIVATE: the writer; changes stay in memory */
} rhumb__io_map_kind;

typedef struct rhumb__io rhumb__io;

/* The functions of a backend. Each corresponds to the rhumb__io_* call of the same name below. */
typedef struct rhumb__io_backend {
    const char *name;
    rhumb_status (*open)(const char *path, rhumb__io_mode mode, rhumb__io **io_out);
    void (*close)(rhumb__io *io);
    rhumb_status (*size)(rhumb__io *io, uint64_t *bytes_out);
    rhumb_status (*resize)(rhumb__io *io, uint64_t bytes);
    rhumb_status (*allocate)(rhumb__io *io, uint64_t offset, uint64_t bytes);
    rhumb_status (*punch)(rhumb__io *io, uint64_t offset, uint64_t bytes);
    rhumb_status (*read)(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset);
    rhumb_status (*write)(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset);
    rhumb_status (*drain)(rhumb__io *io);
    rhumb_status (*sync)(rhumb__io *io);
    rhumb_status (*map)(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset, rhumb__io_map_kind kind);
    rhumb_status (*lock)(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind, bool *taken_out);
    rhumb_status (*unlock)(rhumb__io *io, uint64_t offset, uint64_t bytes);
    rhumb_status (*lock_test)(rhumb__io *io, uint64_t offset, uint64_t bytes, bool *held_by_other_out);
    rhumb_status (*sync_directory)(const char *path);
    rhumb_status (*remove)(const char *path);
    rhumb_status (*rename)(const char *from, const char *to);
    void (*forget)(rhumb__io *io, uint64_t offset, uint64_t bytes); /* NULL: nothing to forget */
} rhumb__io_backend;

/* What every backend's handle begins with. */
struct rhumb__io {
    const rhumb__io_backend *backend;
    const char *path; /* owned by the backend; for messages */
};

/* The backend that RHUMB_IO names, or uring when a ring can be made here, or plain. Decided once per process. */
const rhumb__io_backend *rhumb__io_backend_default(void);

/* Makes another backend the default for whatever is opened from now on; NULL: back to the choice above. For tests. */
void rhumb__io_backend_set_default(const rhumb__io_backend *backend);

/* The backend of that name ("uring", "plain"), or NULL. */
const rhumb__io_backend *rhumb__io_backend_named(const char *name);

extern const rhumb__io_backend rhumb__io_plain;
extern const rhumb__io_backend rhumb__io_uring;

/* Whether this process can make a ring now. */
bool rhumb__io_uring_available(void);

/* Opens or creates. `backend` NULL means the default. Falls back from uring to plain when the ring cannot be made, and
 * for RHUMB__IO_READ, which has nothing to queue; io->backend then says so. Anything but a regular file is refused,
 * without waiting (a fifo) and without being read. *io_out is set only on success. RHUMB_E_NOTFOUND, RHUMB_E_EXISTS,
 * RHUMB_E_INVALID (not a regular file), RHUMB_E_IO, RHUMB_E_NOMEM, RHUMB_E_NOSPACE. */
rhumb_status rhumb__io_open(const rhumb__io_backend *backend, const char *path, rhumb__io_mode mode,
                            rhumb__io **io_out) RHUMB_NODISCARD;

/* Waits for what is queued, discarding its results, and closes. NULL is fine. Locks of the handle go with it. */
void rhumb__io_close(rhumb__io *io);

rhumb_status rhumb__io_size(rhumb__io *io, uint64_t *bytes_out) RHUMB_NODISCARD;

/* This call and the others that change the file return RHUMB_E_READONLY on a handle of RHUMB__IO_READ.
 * ftruncate: grows with a hole, or cuts. */
rhumb_status rhumb__io_resize(rhumb__io *io, uint64_t bytes) RHUMB_NODISCARD;

/* Makes the range exist on the disk, growing the file if needed, so that a later write cannot meet a full disk
 * (fallocate). Where the file system cannot, grows the file as resize does. RHUMB_E_NOSPACE when the disk is full; a
 * part of the range may then exist. */
rhumb_status rhumb__io_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;

/* Gives the range back to the disk; it reads as zeros from then on. Where the file system cannot: RHUMB_OK, nothing
 * done. */
rhumb_status rhumb__io_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;

/* Tells the kernel that the range will not be read again soon, so that its pages need not push out others. Those that
 * somebody has mapped stay. Advice only. */
void rhumb__io_forget(rhumb__io *io, uint64_t offset, uint64_t bytes);

/* Reads exactly that many bytes. RHUMB_E_TRUNCATED when the file ends before. */
rhumb_status rhumb__io_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) RHUMB_NODISCARD;

/* Queues a write of at most RHUMB__IO_WRITE_BYTES_MAX; see the contract above. May wait for room in the queue.
 * RHUMB_E_INVALID, RHUMB_E_READONLY. */
rhumb_status rhumb__io_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) RHUMB_NODISCARD;

rhumb_status rhumb__io_drain(rhumb__io *io) RHUMB_NODISCARD;
rhumb_status rhumb__io_sync(rhumb__io *io) RHUMB_NODISCARD;

/* Maps a part of the file over `address` (MAP_FIXED: whatever was there is replaced). All three are page multiples. The
 * caller knows that the file reaches that far; touching a page behind its end raises SIGBUS. Private maps are not
 * counted against the memory that may be committed (MAP_NORESERVE): an index may be larger than RAM. */
rhumb_status rhumb__io_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset,
                           rhumb__io_map_kind kind) RHUMB_NODISCARD;

/* Open-file-description locks (F_OFD_SETLK): they belong to the handle, not to the process, and the kernel releases
 * them however the process dies. Never waits: *taken_out tells. Replaces what the handle held on the range before.
 * `bytes` is at least 1, and the range ends below 2^63; it need not lie inside the file. An exclusive lock needs a
 * handle that may write (RHUMB_E_READONLY). */
rhumb_status rhumb__io_lock_range(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind,
                                  bool *taken_out) RHUMB_NODISCARD;
rhumb_status rhumb__io_unlock_range(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;

/* rhumb__io_lock_range, repeated for up to 80 milliseconds while another handle holds the lock. The kernel releases the
 * locks of a killed process only after the last of its io_uring writes has ended, because these may hit blocks that the
 * next holder has begun to use; that takes some milliseconds. */
rhumb_status rhumb__io_lock_patiently(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind,
                                      bool *taken_out) RHUMB_NODISCARD;

/* Whether another handle, of this process or any, holds a lock that would refuse an exclusive one on this range. The
 * handle may be read-only. */
rhumb_status rhumb__io_lock_test(rhumb__io *io, uint64_t offset, uint64_t bytes,
                                 bool *held_by_other_out) RHUMB_NODISCARD;

/* Makes the directory entry of `path` itself survive a power cut (fsync of its directory). RHUMB_OK where the file
 * system does not sync directories. */
rhumb_status rhumb__io_sync_directory(const rhumb__io_backend *backend, const char *path) RHUMB_NODISCARD;

/* unlink and rename (the latter replaces `to`). Neither is durable before rhumb__io_sync_directory. */
rhumb_status rhumb__io_remove(const rhumb__io_backend *backend, const char *path) RHUMB_NODISCARD;
rhumb_status rhumb__io_rename(const rhumb__io_backend *backend, const char *from, const char *to) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_IO_IO_H */
