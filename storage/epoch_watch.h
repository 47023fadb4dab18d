/* epoch_watch.h - learning of a new version without asking for it again and again.
 *
 * A new version shows in the epoch field of a superblock. A thread that waits for one maps the superblocks, shared and
 * read-only: what a writer of any process writes to a file appears there at once, and the kernel can wait for such a
 * word to change (futex). The writer wakes those who wait when it has published. Neither side writes anything for it,
 * and a file that is waited for costs a writer a system call for each version.
 *
 * What the word says is a hint: the superblocks themselves are read and checked before an epoch is reported.
 */
#ifndef RHUMB_STORAGE_EPOCH_WATCH_H
#define RHUMB_STORAGE_EPOCH_WATCH_H

#include "storage/file_mapping.h"
#include "storage/io/io.h"

typedef struct rhumb__epoch_watch {
    const char *path; /* the caller's */
    uint8_t uuid[16];
    rhumb__io *io; /* of the file that was at the path when it was last looked at */
    rhumb__file_mapping superblocks;
} rhumb__epoch_watch;

/* Begins to watch the index of that uuid at `path`, which stays valid until the watch is closed. RHUMB_E_NOTFOUND:
 * another index, or none, is at the path; what rhumb__frame_find returns. */
rhumb_status rhumb__epoch_watch_open(rhumb__epoch_watch *watch, const char *path,
                                     const uint8_t uuid[16]) RHUMB_NODISCARD;

/* Waits until the file at the path has a version of `epoch` or a later one, or until rhumb__clock_now_ns has reached
 * `deadline_ns` (UINT64_MAX: never). *newest_out is the epoch of the newest version, below `epoch` if the time ran out.
 * A file that is moved to the path is found within half a second. The statuses of rhumb__epoch_watch_open. */
rhumb_status rhumb__epoch_watch_wait(rhumb__epoch_watch *watch, uint64_t epoch, uint64_t deadline_ns,
                                     uint64_t *newest_out) RHUMB_NODISCARD;

/* Releases what the watch has. A zeroed one is fine. */
void rhumb__epoch_watch_close(rhumb__epoch_watch *watch);

/* Wakes all who wait for the version of `epoch`, both copies of whose superblock have just been written. Cannot fail:
 * those who were not woken look again within half a second. */
void rhumb__epoch_announce(rhumb__io *io, uint64_t epoch);

#endif /* RHUMB_STORAGE_EPOCH_WATCH_H */
