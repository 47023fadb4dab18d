/* epoch_watch.c - see epoch_watch.h.
 *
 * The word that is waited on is the lower half of the epoch in the second copy of the superblock that the next version
 * will have: the last thing that a publication writes. It is read before the superblocks are, and the kernel compares
 * it again before it puts a thread to sleep, so a version that comes in between is not missed.
 *
 * Owns a file handle and a mapping for each watch. Locks: none; a watch belongs to one thread. How it fails: with the
 * status of what cannot be opened or read, and the watch can still be closed. A writer that is killed between writing
 * and waking, a file that is replaced, and file systems whose mappings cannot be waited on cost time: a sleep ends
 * after half a second, or after some milliseconds where it cannot be woken.
 */
#define _GNU_SOURCE
#include "storage/epoch_watch.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/status.h"
#include "storage/frame/format.h"
#include "storage/frame/frame_reader.h"
#include "storage/frame/superblock.h"

/* How long a thread sleeps at most before it looks at the path; and where nothing can wake it. */
#define SLEEP_NS_MAX UINT64_C(500000000)
#define POLL_NS UINT64_C(5000000)

static const _Atomic uint32_t *word_at(const rhumb__file_mapping *superblocks, uint64_t epoch) {
    const uint32_t index = (uint32_t)(epoch % RHUMB__SUPERBLOCK_COUNT);
    const uint64_t offset = rhumb__superblock_offset(index, RHUMB__SUPERBLOCK_COPY_COUNT - 1);
    return (const _Atomic uint32_t *)(superblocks->base + offset + offsetof(rhumb__superblock, epoch));
}

static void release(rhumb__epoch_watch *watch) {
    rhumb__file_mapping_drop(&watch->superblocks);
    rhumb__io_close(watch->io);
    watch->io = NULL;
}

/* The newest version of the watched file, if it is that of the index. */
static rhumb_status find_newest(const rhumb__epoch_watch *watch, uint64_t *newest_out) {
    rhumb__frame_versions found;
    const rhumb_status status = rhumb__frame_find(watch->io, RHUMB__FRAME_PARTIAL, &found);
    if (status != RHUMB_OK) return status;
    if (memcmp(found.items[0].uuid, watch->uuid, sizeof watch->uuid) != 0) {
        return rhumb__fail_at(RHUMB_E_NOTFOUND, watch->path, RHUMB_OFFSET_NONE, "another index is at this path now");
    }
    *newest_out = found.items[0].epoch;
    return RHUMB_OK;
}

/* Takes the file that is at the path now. */
static rhumb_status take_file(rhumb__epoch_watch *watch) {
    rhumb_status status;
    uint64_t newest = 0;
    release(watch);
    RHUMB_TRY(rhumb__io_open(NULL, watch->path, RHUMB__IO_READ, &watch->io));
    RHUMB_TRY(find_newest(watch, &newest)); /* a file without superblocks may be too short to be mapped */
    status = rhumb__file_mapping_make(watch->io, RHUMB__CONTENT_OFFSET, &watch->superblocks);
done:
    if (status != RHUMB_OK) release(watch);
    return status;
}

rhumb_status rhumb__epoch_watch_open(rhumb__epoch_watch *watch, const char *path, const uint8_t uuid[16]) {
    *watch = (rhumb__epoch_watch){.path = path};
    memcpy(watch->uuid, uuid, sizeof watch->uuid);
    return take_file(watch);
}

void rhumb__epoch_watch_close(rhumb__epoch_watch *watch) { release(watch); }

static struct timespec timespec_of(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* Sleeps while the word has that value, `ns` at most. */
static void sleep_on(const _Atomic uint32_t *word, uint32_t value, uint64_t ns) {
    const struct timespec limit = timespec_of(rhumb__min_u64(ns, SLEEP_NS_MAX));
    if (syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0) == 0) return;
    if (errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT) return;
    const struct timespec pause = timespec_of(rhumb__min_u64(ns, POLL_NS));
    nanosleep(&pause, NULL);
}

rhumb_status rhumb__epoch_watch_wait(rhumb__epoch_watch *watch, uint64_t epoch, uint64_t deadline_ns,
                                     uint64_t *newest_out) {
    rhumb_status status;
    bool is_there = true;
    uint64_t newest = 0;
    for (;;) {
        uint32_t values[RHUMB__SUPERBLOCK_COUNT];
        for (uint32_t i = 0; i < RHUMB__SUPERBLOCK_COUNT; i++) {
            values[i] = atomic_load_explicit(word_at(&watch->superblocks, i), memory_order_acquire);
        }
        RHUMB_TRY(find_newest(watch, &newest));
        const uint64_t now_ns = rhumb__clock_now_ns();
        if (newest >= epoch || now_ns >= deadline_ns) break;
        RHUMB_TRY(rhumb__io_is_at(watch->io, watch->path, &is_there));
        if (!is_there) {
            RHUMB_TRY(take_file(watch));
            continue;
        }
        const uint64_t left_ns = deadline_ns == UINT64_MAX ? SLEEP_NS_MAX : deadline_ns - now_ns;
        sleep_on(word_at(&watch->superblocks, newest + 1), values[(newest + 1) % RHUMB__SUPERBLOCK_COUNT], left_ns);
    }
    *newest_out = newest;
done:
    return status;
}

void rhumb__epoch_announce(rhumb__io *io, uint64_t epoch) {
    rhumb__file_mapping superblocks = {.base = NULL};
    rhumb_error before;
    rhumb__error_save(&before);
    if (rhumb__file_mapping_make(io, RHUMB__CONTENT_OFFSET, &superblocks) == RHUMB_OK) {
        (void)syscall(SYS_futex, word_at(&superblocks, epoch), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
    rhumb__file_mapping_drop(&superblocks);
    rhumb__error_restore(&before);
}
