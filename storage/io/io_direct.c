/* io_direct.c - see io_direct.h.
 *
 * Owns a ring and the memory that is read into. All ranges of a call are submitted together,
 * which costs one system call and one notification of the device, and then waited for together. Ranges are read in
 * whole pages; ranges of one page are read once.
 *
 * Invariant: between calls nothing is in flight. A direct reader that has failed once fails for good.
 *
 * Locking: none; it belongs to one thread at a time.
 */
#include "storage/io/io_direct.h"

#include <errno.h>
#include <liburing.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/fork.h"

#define PAGE_BYTES 4096u
#define WAIT_PAUSE_NS 1000000

struct rhumb__io_direct {
    int fd; /* the opener's */
    struct io_uring ring;
    rhumb__fork_descriptor fork_entry; /* of the ring's descriptor */
    void *allocated;                   /* `buffers` begin in it at a multiple of a page */
    uint8_t *buffers;
    uint32_t range_bytes;
    uint32_t buffer_bytes; /* each of RHUMB__IO_DIRECT_COUNT_MAX */
    bool failed;
};

int rhumb__io_direct_descriptor(rhumb__io *io) {
    if (io->backend->open_direct == NULL || rhumb__io_backend_default() != &rhumb__io_uring) return -1;
    return io->backend->open_direct(io);
}

rhumb__io_direct *rhumb__io_direct_open(int descriptor, uint32_t range_bytes) {
    rhumb__io_direct *direct = rhumb__alloc_zeroed(1, sizeof *direct);
    if (direct == NULL) return NULL;
    direct->fd = descriptor;
    direct->range_bytes = range_bytes;
    direct->buffer_bytes = (uint32_t)rhumb__round_up((uint64_t)range_bytes, PAGE_BYTES) + PAGE_BYTES;
    direct->allocated =
        rhumb__alloc_zeroed(RHUMB__IO_DIRECT_COUNT_MAX * (uint64_t)direct->buffer_bytes + PAGE_BYTES, 1);
    direct->buffers = (uint8_t *)rhumb__round_up((uintptr_t)direct->allocated, PAGE_BYTES);
    if (direct->allocated == NULL || io_uring_queue_init(RHUMB__IO_DIRECT_COUNT_MAX, &direct->ring, 0) != 0) {
        rhumb__free(direct->allocated);
        rhumb__free(direct);
        return NULL;
    }
    (void)io_uring_ring_dontfork(&direct->ring);
    rhumb__fork_hold();
    rhumb__fork_descriptor_add(&direct->fork_entry, &direct->ring.ring_fd);
    rhumb__fork_release();
    return direct;
}

void rhumb__io_direct_close(rhumb__io_direct *direct) {
    if (direct == NULL) return;
    rhumb__fork_hold();
    rhumb__fork_descriptor_remove(&direct->fork_entry);
    io_uring_queue_exit(&direct->ring);
    rhumb__fork_release();
    rhumb__free(direct->allocated);
    rhumb__free(direct);
}

/* ---- reading ---- */

typedef struct direct_range {
    uint64_t begin; /* in the file, whole pages */
    uint64_t end;
} direct_range;

/* Submits what has been prepared, and waits for all of it. The completions say how much of each range is there. */
static bool wait_for_all(rhumb__io_direct *direct, const direct_range *ranges, uint32_t count) {
    uint32_t submitted_count = 0;
    while (submitted_count < count) {
        const int result = io_uring_submit_and_wait(&direct->ring, count);
        if (result == -EINTR) continue;
        if (result <= 0) break;
        submitted_count += (uint32_t)result;
    }
    bool is_complete = submitted_count == count;
    for (uint32_t i = 0; i < submitted_count;) {
        struct io_uring_cqe *completion;
        const int error = io_uring_wait_cqe(&direct->ring, &completion);
        if (error != 0) {
            if (error != -EINTR) nanosleep(&(struct timespec){.tv_nsec = WAIT_PAUSE_NS}, NULL);
            continue;
        }
        const uint64_t index = completion->user_data;
        if (completion->res < 0 || (uint64_t)completion->res < ranges[index].end - ranges[index].begin) {
            is_complete = false;
        }
        io_uring_cqe_seen(&direct->ring, completion);
        i++;
    }
    return is_complete;
}

/* Returns the place among the ranges of one that holds [begin, end), or the count. */
static uint32_t find_range(const direct_range *ranges, uint32_t count, uint64_t begin, uint64_t end) {
    uint32_t i = 0;
    while (i < count && (begin < ranges[i].begin || end > ranges[i].end)) i++;
    return i;
}

bool rhumb__io_direct_read(rhumb__io_direct *direct, const uint64_t *offsets, uint32_t count, const void **where) {
    direct_range ranges[RHUMB__IO_DIRECT_COUNT_MAX];
    uint32_t range_count = 0;
    RHUMB_ASSERT_DEBUG(count <= RHUMB__IO_DIRECT_COUNT_MAX);
    if (direct->failed) return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t begin = rhumb__round_down(offsets[i], PAGE_BYTES);
        const uint64_t end = rhumb__round_up(offsets[i] + direct->range_bytes, PAGE_BYTES);
        const uint32_t place = find_range(ranges, range_count, begin, end);
        uint8_t *buffer = direct->buffers + (uint64_t)place * direct->buffer_bytes;
        if (place == range_count) {
            struct io_uring_sqe *entry = io_uring_get_sqe(&direct->ring);
            RHUMB_ASSERT(entry != NULL); /* the ring has an entry for each range, and nothing is in flight */
            ranges[range_count++] = (direct_range){begin, end};
            io_uring_prep_read(entry, direct->fd, buffer, (unsigned)(end - begin), begin);
            io_uring_sqe_set_data64(entry, place);
        }
        where[i] = buffer + (offsets[i] - ranges[place].begin);
    }
    if (!wait_for_all(direct, ranges, range_count)) direct->failed = true;
    return !direct->failed;
}
