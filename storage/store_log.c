/* store_log.c - see store_log.h.
 *
 * A writer that begins changes the log first and then the superblock, and a reader's copy of the superblock may be from
 * before. So the superblock is read again each time, and a log that does not fit is examined again if the superblock
 * has changed in the meantime. Owns nothing; takes the publishing lock for each reading.
 */
#include "storage/store_log.h"

#include <string.h>

#include "base/status.h"
#include "storage/frame/file_locks.h"
#include "storage/frame/frame_reader.h"

/* No process opens an index for writing as often in a row. */
#define ATTEMPT_COUNT_MAX 8

static bool same_stamp(const rhumb__superblock *a, const rhumb__superblock *b) {
    return a->epoch == b->epoch && a->stamp == b->stamp;
}

static rhumb_status read_newest(rhumb__store *store, rhumb__superblock *newest) {
    rhumb__frame_versions found;
    const rhumb_status status = rhumb__store_versions(store, &found);
    if (status == RHUMB_OK) *newest = found.items[0];
    return status;
}

rhumb_status rhumb__store_examine_log(rhumb__store *store, uint64_t checkpoint_lsn, rhumb__log_report *report,
                                      bool *newer_out) {
    rhumb_status status;
    rhumb__superblock before;
    rhumb__superblock after;
    memset(report, 0, sizeof *report);
    RHUMB_TRY(read_newest(store, &after));
    for (uint32_t attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
        bool written_to = store->writable;
        before = after;
        RHUMB_TRY(rhumb__store_has_newer(store, newer_out));
        if (*newer_out && !store->writable) goto done;
        if (!written_to) RHUMB_TRY(rhumb__writer_lock_test(store->io, &written_to));
        const rhumb__log_owner owner = rhumb__log_owner_of(&before, checkpoint_lsn);
        RHUMB_TRY(rhumb__log_examine(store->io->backend, store->path, &owner, written_to, report));
        RHUMB_TRY(read_newest(store, &after));
        if (report->error_count == 0 || same_stamp(&before, &after)) break;
    }
    *newer_out = before.epoch != after.epoch;
done:
    if (status == RHUMB_OK && *newer_out) memset(report, 0, sizeof *report);
    return status;
}
