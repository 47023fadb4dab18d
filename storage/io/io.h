/* io.h - everything that rhumb does to a file, behind one table of functions, so that the same storage code runs on
 * io_uring, on plain system calls, and in tests on a simulated disk that loses, reorders and tears what was not synced.
 *
 * Implemented in io.c, which passes each call to the handle's backend: "uring" (io_uring.c: liburing) or "plain"
 * (io_plain.c: pread, pwrite, fdatasync). rhumb__io_open picks uring and falls back to plain when no ring can be made
 * (containers often forbid it); the environment variable RHUMB_IO (uring, plain) forces one.
 *
 * Writes may be asynchronous. The contract, the same for every backend:
 *
 *   1. rhumb__io_write queues; the bytes must stay unchanged until the next rhumb__io_drain or rhumb__io_sync returns.
 *      It fails only for its arguments. A failure of the disk is kept for the next drain, and the other queued writes
 *      are carried out all the same.
 *   2. rhumb__io_drain returns when every queued write has finished completely (short writes are continued, EINTR and
 *      EAGAIN retried). It returns the first failure, if there was one, with the byte of the file at which that write
 *      stopped. The failure is then cleared and the handle can be used as before: a full disk may have room again.
 *   3. rhumb__io_sync drains *first* and only then submits the sync: io_uring guarantees no order between the two, and
 *      a short write breaks a linked chain. If the drain fails, its failure is returned and no sync is issued. After
 *      RHUMB_OK all earlier writes and size changes survive a power cut.
 *   4. Nothing is ever retried after a failed sync: the kernel may have dropped the dirty pages and report success for
 *      the next one. The failed sync and every later one of the handle return RHUMB_E_FATAL; no other call does.
 *   5. Queued writes have no order among themselves: two that overlap need a drain between them. rhumb__io_read is sure
 *      to see a queued write only after a drain. The calls on the file's size (size, resize, allocate, punch) wait for
 *      the queue first and leave its failure for the drain.
 *
 * A handle belongs to one thread at a time; callers serialise. It may move between threads, also with writes queued,
 * but not to a forked child, where its descriptors are closed and its mappings are not. rhumb__io_read, rhumb__io_map
 * and rhumb__io_lock_test may be called by several threads at once, also while another thread writes.
 */
#ifndef RHUMB_STORAGE_IO_IO_H
#define RHUMB_STORAGE_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bus_guard.h"
#include "include/rhumb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The largest write that one rhumb__io_write accepts. */
#define RHUMB__IO_WRITE_BYTES_MAX (UINT64_C(1) << 30)

typedef enum rhumb__io_mode {
    RHUMB__IO_READ = 0,          /* must exist; read-only */
    RHUMB__IO_WRITE = 1,         /* must exist; read and write */
    RHUMB__IO_CREATE = 2,        /* must not exist (O_EXCL); read and write; permissions 0666 less the umask */
    RHUMB__IO_CREATE_PRIVATE = 3 /* the same with permissions 0600, until rhumb__io_access_set gives others */
} rhumb__io_mode;

/* Who may use a file. */
typedef struct rhumb__io_access {
    bool known; /* false: the backend has no such thing */
    uint32_t permissions;
    uint32_t owner;
    uint32_t group;
} rhumb__io_access;

typedef enum rhumb__io_lock { RHUMB__IO_LOCK_SHARED = 0, RHUMB__IO_LOCK_EXCLUSIVE = 1 } rhumb__io_lock;

typedef enum rhumb__io_map_kind {
    RHUMB__IO_MAP_SHARED_READ = 0, /* PROT_READ, MAP_SHARED: readers */
    RHUMB__IO_MAP_PRIVATE = 1      /* PROT_READ | PROT_WRITE, MAP_PRIVATE: the writer; changes stay in memory */
} rhumb__io_map_kind;

typedef struct rhumb__io rhumb__io;

/* The functions of a backend. Each implements the rhumb__io_* call of the same name below. */
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
    rhumb_status (*take_name)(rhumb__io *io, const char *path);
    rhumb_status (*is_at)(rhumb__io *io, const char *path, bool *is_at_out);
    void (*access_get)(rhumb__io *io, rhumb__io_access *access);
    void (*access_set)(rhumb__io *io, const rhumb__io_access *access);
    void (*forget)(rhumb__io *io, uint64_t offset, uint64_t bytes); /* NULL: nothing to forget */
    void (*gather)(rhumb__io *io, uint64_t offset, uint64_t bytes); /* NULL: there are no large pages */
    void (*read_exactly)(rhumb__io *io, bool exactly);              /* NULL: there is no read-ahead */
    int (*open_direct)(rhumb__io *io); /* NULL: there are no reads past the page cache. See io_direct.h */
} rhumb__io_backend;

/* The beginning of every backend's handle. */
struct rhumb__io {
    const rhumb__io_backend *backend;
    const char *path;          /* owned by the backend; for messages */
    bool unlocked;             /* no lock is taken or found: no process writes the file. Set right after opening */
    rhumb__bus_flag bus_flag;  /* raised when a page of a mapping could not be read */
    uint64_t mapped_end_bytes; /* of the file; so long has it been, or nothing would have been mapped there. Atomic */
};

/* The backend that RHUMB_IO names, or uring when a ring can be made here, or plain. Decided once per process. */
const rhumb__io_backend *rhumb__io_backend_default(void);

/* Makes another backend the default for files opened from now on; NULL restores the choice above. For tests. */
void rhumb__io_backend_set_default(const rhumb__io_backend *backend);

/* The backend of that name ("uring", "plain"), or NULL. */
const rhumb__io_backend *rhumb__io_backend_named(const char *name);

extern const rhumb__io_backend rhumb__io_plain;
extern const rhumb__io_backend rhumb__io_uring;

/* Whether this process can make a ring. */
bool rhumb__io_uring_available(void);

/* Opens or creates. `backend` NULL means the default. Falls back from uring to plain when the ring cannot be made, and
 * for RHUMB__IO_READ, which has nothing to queue; io->backend is then the plain one. Anything but a regular file is
 * refused, without waiting (a fifo) and without being read. *io_out is set only on success. RHUMB_E_NOTFOUND,
 * RHUMB_E_EXISTS, RHUMB_E_INVALID (not a regular file), RHUMB_E_IO, RHUMB_E_NOMEM, RHUMB_E_NOSPACE. */
rhumb_status rhumb__io_open(const rhumb__io_backend *backend, const char *path, rhumb__io_mode mode,
                            rhumb__io **io_out) RHUMB_NODISCARD;

/* Waits for queued writes, discards their results, and closes. Releases the locks of the handle. NULL is fine. */
void rhumb__io_close(rhumb__io *io);

rhumb_status rhumb__io_size(rhumb__io *io, uint64_t *bytes_out) RHUMB_NODISCARD;

/* Sets the length of the file (ftruncate): grows it with a hole, or cuts it. This call and the others that change the
 * file return RHUMB_E_READONLY on a handle of RHUMB__IO_READ. */
rhumb_status rhumb__io_resize(rhumb__io *io, uint64_t bytes) RHUMB_NODISCARD;

/* Allocates the range on the disk, growing the file if needed, so that a later write cannot find the disk full
 * (fallocate). If the file system does not support that, grows the file as resize does. RHUMB_E_NOSPACE when the disk
 * is full; a part of the range may then be allocated. */
rhumb_status rhumb__io_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;

/* Releases the blocks of the range; it reads as zeros from then on. If the file system does not support that: RHUMB_OK,
 * and nothing is done. */
rhumb_status rhumb__io_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) RHUMB_NODISCARD;

/* Advises the kernel to drop the range from the page cache, because it will not be read again soon. Pages that a
 * process has mapped stay. Advice only. */
void rhumb__io_forget(rhumb__io *io, uint64_t offset, uint64_t bytes);

/* Reads the range into the page cache: as one large page, unless the cache has a part of it already. What is
 * written there later, in however small parts, is then in that page. `bytes` is the size of a large page, `offset` a
 * multiple of it, and the file is long enough. Advice only. Thread-safe. */
void rhumb__io_gather(rhumb__io *io, uint64_t offset, uint64_t bytes);

/* Whether the kernel should read what rhumb__io_read asks for and nothing after it. Until this is called it reads
 * ahead, on some systems by megabytes for a few kilobytes. Advice only. */
void rhumb__io_read_exactly(rhumb__io *io, bool exactly);

/* Reads exactly `bytes_count` bytes. RHUMB_E_TRUNCATED when the file ends before that. */
rhumb_status rhumb__io_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) RHUMB_NODISCARD;

/* Queues a write of at most RHUMB__IO_WRITE_BYTES_MAX; see the contract above. May wait for room in the queue.
 * RHUMB_E_INVALID, RHUMB_E_READONLY. */
rhumb_status rhumb__io_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) RHUMB_NODISCARD;

rhumb_status rhumb__io_drain(rhumb__io *io) RHUMB_NODISCARD;
rhumb_status rhumb__io_sync(rhumb__io *io) RHUMB_NODISCARD;

/* Maps a part of the file over `address` (MAP_FIXED: replaces what is mapped there). All three numbers are multiples of
 * the page. The caller makes sure that the file is long enough; touching a page after its end raises SIGBUS. Private
 * maps do not count against the memory that may be committed (MAP_NORESERVE): an index may be larger than RAM. */
rhumb_status rhumb__io_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset,
                           rhumb__io_map_kind kind) RHUMB_NODISCARD;

/* Whether a page of the file could not be read through a mapping, which reads as zeros since; see base/bus_guard.h.
 * What was computed from mappings may be wrong then. */
static inline bool rhumb__io_mapping_failed(const rhumb__io *io) { return rhumb__bus_flag_is_raised(&io->bus_flag); }

/* Fails if a page could not be read: RHUMB_E_TRUNCATED when the file is shorter than what is mapped, otherwise
 * RHUMB_E_IO. */
rhumb_status rhumb__io_check_mappings(rhumb__io *io) RHUMB_NODISCARD;

/* Takes an open-file-description lock (F_OFD_SETLK): it belongs to the handle, not to the process, and the kernel
 * releases it however the process dies. Never waits; *taken_out is whether the lock was taken. Replaces the lock that
 * the handle held on the range. `bytes` is at least 1, and the range ends below 2^63; it need not lie inside the file.
 * An exclusive lock needs a handle that may write (RHUMB_E_READONLY). RHUMB_E_UNSUPPORTED: the file system has no such
 * locks. */
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

/* Removes a file. Not durable before rhumb__io_sync_directory. */
rhumb_status rhumb__io_remove(const rhumb__io_backend *backend, const char *path) RHUMB_NODISCARD;

/* Renames the handle's file, of the name under which it was opened, to `path`, which io->path is from then on. Never
 * replaces a file. Not durable before rhumb__io_sync_directory. RHUMB_E_EXISTS when there is a file of that name;
 * RHUMB_E_NOTFOUND, RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__io_take_name(rhumb__io *io, const char *path) RHUMB_NODISCARD;

/* Whether `path` leads to the file of this handle: false when there is none, or another file has been put in its place.
 * May be called while another thread writes. RHUMB_E_IO. */
rhumb_status rhumb__io_is_at(rhumb__io *io, const char *path, bool *is_at_out) RHUMB_NODISCARD;

/* Removes the handle's file by `path` if that still leads to it, and nothing otherwise. RHUMB_E_IO. */
rhumb_status rhumb__io_remove_own(rhumb__io *io, const char *path) RHUMB_NODISCARD;

/* Reads and sets who may use the file. Setting is best effort: what the system refuses stays as it is, and a group that
 * cannot be given gets no more than all users. */
rhumb__io_access rhumb__io_access_get(rhumb__io *io);
void rhumb__io_access_set(rhumb__io *io, const rhumb__io_access *access);

/* Creates a file that may be used by those who may use `model`'s, and never by more, not even while it is being
 * created. `model` NULL: by those whom the umask lets. Fails as rhumb__io_open does. */
rhumb_status rhumb__io_create_like(const rhumb__io_backend *backend, const char *path, const rhumb__io_access *model,
                                   rhumb__io **io_out) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_IO_IO_H */
