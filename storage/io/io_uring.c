/* io_uring.c - the backend whose writes and syncs go through a ring, so that several are in flight at once.
 *
 * Each handle that may write owns one ring, made with the oldest setup flags only, so that kernels from 5.6 on support
 * it. Reading, mapping, locking and names are plain system calls (io_file.c), which several threads may make at once;
 * the ring belongs to the one thread that has the handle.
 *
 * Invariants:
 *   1. An entry is submitted as soon as it is prepared, so the ring's submission queue is empty between calls.
 *   2. writes[i] is in flight exactly when i is not among free_indexes[0 .. free_count - 1]; a completion carries the
 *      index of its write. No more are in flight than the ring has entries, so the completion queue (twice that) never
 *      overflows.
 *   3. A sync is submitted only when nothing is in flight. No entry is ever linked to another.
 *
 * How it fails: a write that the ring does not complete (a short write, EINTR, EAGAIN, a write cancelled because the
 * thread that queued it has ended, an operation that the kernel does not know) is finished by pwrite when its
 * completion is reaped. When the ring accepts no entry any more (a filter has come to forbid the call, no memory), the
 * handle stops using it and works as the plain backend does.
 */
#include "storage/io/io_file.h"

#include <errno.h>
#include <liburing.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log_message.h"

#define RING_ENTRIES 64u
/* Larger writes are cut at multiples of this, so that one call keeps several parts in flight. A part is as large as a
 * large page, and aligned like one: the page cache keeps what arrives together in one folio, which a mapping can then
 * cover with one entry. */
#define PART_BYTES_MAX (UINT32_C(2) << 20)
#define WAIT_PAUSE_NS 1000000

typedef struct queued_write {
    const uint8_t *bytes; /* the caller's */
    uint32_t bytes_count;
    uint64_t offset;
} queued_write;

typedef struct uring_file {
    rhumb__io_file file;
    struct io_uring ring;
    rhumb__fork_descriptor fork_entry; /* of the ring's descriptor */
    bool ring_usable;                  /* takes entries; completions are reaped either way */
    uint32_t free_count;
    uint32_t free_indexes[RING_ENTRIES];
    queued_write writes[RING_ENTRIES];
} uring_file;

/* Submits the one prepared entry. When the kernel does not accept it, the entry stays in the submission queue, where a
 * later submission would pick it up; hence none follows. */
static bool submit_entry(uring_file *uring) {
    int submitted;
    do {
        submitted = io_uring_submit(&uring->ring);
    } while (submitted == -EINTR);
    if (submitted != 1) uring->ring_usable = false;
    return submitted == 1;
}

/* Waits for a completion and takes it. To be called only while something is in flight. When the kernel refuses the wait
 * itself, completions still arrive in the shared memory, which is then polled. */
static int wait_completion(uring_file *uring, uint64_t *index_out) {
    struct io_uring_cqe *completion;
    int error = io_uring_wait_cqe(&uring->ring, &completion);
    while (error != 0) {
        if (error != -EINTR) nanosleep(&(struct timespec){.tv_nsec = WAIT_PAUSE_NS}, NULL);
        error = io_uring_wait_cqe(&uring->ring, &completion);
    }
    const int result = completion->res;
    *index_out = completion->user_data;
    io_uring_cqe_seen(&uring->ring, completion);
    return result;
}

/* Errors that concern the ring or are temporary, and not the file: the write has not been tried, or may be tried again.
 */
static bool means_not_done_here(int os_errno) {
    return os_errno == EINTR || os_errno == EAGAIN || os_errno == ECANCELED || os_errno == EINVAL ||
           os_errno == EOPNOTSUPP;
}

/* Reaps one completion, and finishes its write or keeps its failure. */
static void reap_write(uring_file *uring) {
    uint64_t index;
    const int result = wait_completion(uring, &index);
    RHUMB_ASSERT_DEBUG(index < RING_ENTRIES && uring->free_count < RING_ENTRIES);
    const queued_write write = uring->writes[index];
    uring->free_indexes[uring->free_count++] = (uint32_t)index;
    if (result > 0 || means_not_done_here(-result)) {
        const uint32_t done_bytes = result > 0 ? (uint32_t)result : 0;
        rhumb__io_file_write_now(&uring->file, write.bytes + done_bytes, write.bytes_count - done_bytes,
                                 write.offset + done_bytes);
    } else {
        rhumb__io_file_write_failed(&uring->file, -result, write.bytes_count, write.offset);
    }
}

static void reap_all(uring_file *uring) {
    while (uring->free_count < RING_ENTRIES) reap_write(uring);
}

/* Puts one write in flight; false when the ring does not accept it. */
static bool queue_write(uring_file *uring, const queued_write *write) {
    if (uring->free_count == 0) reap_write(uring);
    struct io_uring_sqe *entry = uring->ring_usable ? io_uring_get_sqe(&uring->ring) : NULL;
    if (entry == NULL) return false;
    const uint32_t index = uring->free_indexes[uring->free_count - 1];
    uring->writes[index] = *write;
    io_uring_prep_write(entry, uring->file.fd, write->bytes, write->bytes_count, write->offset);
    io_uring_sqe_set_data64(entry, index);
    if (!submit_entry(uring)) return false;
    uring->free_count--;
    return true;
}

static rhumb_status uring_open(const char *path, rhumb__io_mode mode, rhumb__io **io_out) {
    if (mode == RHUMB__IO_READ) return rhumb__io_plain.open(path, mode, io_out);
    uring_file *uring = rhumb__alloc_zeroed(1, sizeof *uring);
    if (uring == NULL) return rhumb__fail_at(RHUMB_E_NOMEM, path, RHUMB_OFFSET_NONE, "no memory for a file handle");
    if (io_uring_queue_init(RING_ENTRIES, &uring->ring, 0) != 0) {
        rhumb__free(uring);
        rhumb__log_message(RHUMB_LOG_WARNING, path, "no ring can be made; plain system calls are used");
        return rhumb__io_plain.open(path, mode, io_out);
    }
    const rhumb_status status = rhumb__io_file_open(&uring->file, &rhumb__io_uring, path, mode);
    if (status != RHUMB_OK) {
        io_uring_queue_exit(&uring->ring);
        rhumb__free(uring);
        return status;
    }
    /* A child would keep the ring, not the file; so a fork just before this leaves nothing worse than memory in use. */
    (void)io_uring_ring_dontfork(&uring->ring);
    rhumb__fork_hold();
    rhumb__fork_descriptor_add(&uring->fork_entry, &uring->ring.ring_fd);
    rhumb__fork_release();
    uring->ring_usable = true;
    while (uring->free_count < RING_ENTRIES) {
        uring->free_indexes[uring->free_count] = uring->free_count;
        uring->free_count++;
    }
    *io_out = &uring->file.io;
    return RHUMB_OK;
}

static void uring_close(rhumb__io *io) {
    uring_file *uring = (uring_file *)io;
    reap_all(uring);
    rhumb__fork_hold();
    rhumb__fork_descriptor_remove(&uring->fork_entry);
    io_uring_queue_exit(&uring->ring);
    rhumb__fork_release();
    rhumb__io_file_close(&uring->file);
    rhumb__free(uring);
}

static rhumb_status uring_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) {
    uring_file *uring = (uring_file *)io;
    const rhumb_status status = rhumb__io_file_write_check(&uring->file, bytes_count, offset);
    if (status != RHUMB_OK) return status;
    queued_write part = {.bytes = bytes, .bytes_count = 0, .offset = offset};
    for (size_t left_bytes = bytes_count; left_bytes > 0; left_bytes -= part.bytes_count) {
        part.bytes += part.bytes_count;
        part.offset += part.bytes_count;
        const uint32_t room_bytes = PART_BYTES_MAX - (uint32_t)(part.offset % PART_BYTES_MAX);
        part.bytes_count = left_bytes < room_bytes ? (uint32_t)left_bytes : room_bytes;
        if (!queue_write(uring, &part))
            rhumb__io_file_write_now(&uring->file, part.bytes, part.bytes_count, part.offset);
    }
    return RHUMB_OK;
}

static rhumb_status uring_drain(rhumb__io *io) {
    uring_file *uring = (uring_file *)io;
    reap_all(uring);
    return rhumb__io_file_failure_take(&uring->file);
}

/* Syncs through the ring. Falls back to fdatasync only on results that mean that no sync was carried out. */
static rhumb_status sync_file(uring_file *uring) {
    struct io_uring_sqe *entry = uring->ring_usable ? io_uring_get_sqe(&uring->ring) : NULL;
    if (entry == NULL) return rhumb__io_file_sync_now(&uring->file);
    io_uring_prep_fsync(entry, uring->file.fd, IORING_FSYNC_DATASYNC);
    if (!submit_entry(uring)) return rhumb__io_file_sync_now(&uring->file);
    uint64_t index_unused;
    const int result = wait_completion(uring, &index_unused);
    if (result == -ECANCELED || result == -EINVAL || result == -EOPNOTSUPP || result == -EINTR)
        return rhumb__io_file_sync_now(&uring->file);
    return rhumb__io_file_sync_result(&uring->file, result < 0 ? -result : 0);
}

static rhumb_status uring_sync(rhumb__io *io) {
    uring_file *uring = (uring_file *)io;
    rhumb_status status;
    RHUMB_TRY(uring_drain(io));
    RHUMB_TRY(rhumb__io_file_sync_check(&uring->file));
    RHUMB_TRY(sync_file(uring));
done:
    return status;
}

static rhumb_status uring_size(rhumb__io *io, uint64_t *bytes_out) {
    reap_all((uring_file *)io);
    return rhumb__io_file_size(io, bytes_out);
}

static rhumb_status uring_resize(rhumb__io *io, uint64_t bytes) {
    reap_all((uring_file *)io);
    return rhumb__io_file_resize(io, bytes);
}

static rhumb_status uring_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    reap_all((uring_file *)io);
    return rhumb__io_file_allocate(io, offset, bytes);
}

static rhumb_status uring_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    reap_all((uring_file *)io);
    return rhumb__io_file_punch(io, offset, bytes);
}

bool rhumb__io_uring_available(void) {
    struct io_uring ring;
    if (io_uring_queue_init(RING_ENTRIES, &ring, 0) != 0) return false;
    io_uring_queue_exit(&ring);
    return true;
}

const rhumb__io_backend rhumb__io_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .size = uring_size,
    .resize = uring_resize,
    .allocate = uring_allocate,
    .punch = uring_punch,
    .read = rhumb__io_file_read,
    .write = uring_write,
    .drain = uring_drain,
    .sync = uring_sync,
    .map = rhumb__io_file_map,
    .lock = rhumb__io_file_lock,
    .unlock = rhumb__io_file_unlock,
    .lock_test = rhumb__io_file_lock_test,
    .sync_directory = rhumb__io_file_sync_directory,
    .remove = rhumb__io_file_remove,
    .take_name = rhumb__io_file_take_name,
    .is_at = rhumb__io_file_is_at,
    .access_get = rhumb__io_file_access_get,
    .access_set = rhumb__io_file_access_set,
    .forget = rhumb__io_file_forget,
    .gather = rhumb__io_file_gather,
    .read_exactly = rhumb__io_file_read_exactly,
    .open_direct = rhumb__io_file_open_direct,
};
