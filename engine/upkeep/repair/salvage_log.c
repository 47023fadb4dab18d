/* salvage_log.c - see salvage_log.h.
 *
 * Reads with storage/log in its lenient mode: whatever ends the chain of records, those before it are sound.
 *
 * A log that begins after the version continues a newer one, which cannot be read any more. Its operations are counted
 * and left out: without those between, they would give an index that never existed.
 */
#include "engine/upkeep/repair/salvage_log.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* Takes over what a reading of the log has found; the scan becomes the salvage log's. */
static void take_reading(rhumb__salvage_log *log, const rhumb__log_reading *reading) {
    log->scan = reading->scan;
    if (reading->follows) {
        log->operation_count = reading->scan.operation_count;
    } else {
        log->left_out_count = reading->scan.operation_count;
    }
    if (reading->error.status != RHUMB_OK) {
        snprintf(log->note, sizeof log->note, "%.500s", reading->error.message);
    } else if (reading->scan.left_bytes > 0) {
        snprintf(log->note, sizeof log->note,
                 "%llu bytes after the last whole record, from byte %llu on, are no records: an interrupted write, or "
                 "damage",
                 (unsigned long long)reading->scan.left_bytes, (unsigned long long)reading->scan.end.offset);
    }
}

rhumb_status rhumb__salvage_log_open(const rhumb__salvage_file *file, uint64_t checkpoint_lsn,
                                     rhumb__salvage_log *log) {
    rhumb_error before;
    rhumb__log_reading reading;
    const rhumb__log_owner owner = rhumb__log_owner_of(&file->superblock, checkpoint_lsn);
    memset(log, 0, sizeof *log);
    rhumb__error_save(&before);
    rhumb_status status = rhumb__log_open_to_read(NULL, file->path, &log->io);
    if (status == RHUMB_OK && log->io != NULL) {
        status = rhumb__log_read(log->io, &owner, RHUMB__LOG_READ_LENIENT, &reading);
        take_reading(log, &reading);
    } else if (status == RHUMB_OK && owner.log_expected) {
        status = rhumb__log_fail_missing(&owner, file->path);
    }
    if (status == RHUMB_E_NOMEM) return status;
    if (status != RHUMB_OK) snprintf(log->note, sizeof log->note, "%.500s", rhumb__error_last()->message);
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

rhumb_status rhumb__salvage_log_visit(rhumb__salvage_log *log, rhumb__log_visit visit, void *context) {
    if (log->operation_count == 0) return RHUMB_OK;
    return rhumb__log_scan_visit(log->io, &log->scan, visit, context);
}

void rhumb__salvage_log_close(rhumb__salvage_log *log) {
    rhumb__io_close(log->io);
    rhumb__log_scan_clear(&log->scan);
    log->io = NULL;
}
