/* salvage_log.c - see salvage_log.h.
 *
 * The scan stops where the chain of records ends, whether that is the end of the log, damage, a record of an unknown
 * kind or a place that the disk cannot read. What it has found until then is sound in each of these cases, so the
 * reason is noted and the rest is as in a log that simply ends there; batches whose commit lies behind it do not count.
 *
 * A log that begins behind the version continues a newer one, which cannot be read any more. Its operations are counted
 * and left out: without those between, they would give an index that never was.
 */
#include "engine/upkeep/repair/salvage_log.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

static void note_last_error(rhumb__salvage_log *log) {
    if (log->note[0] == '\0') snprintf(log->note, sizeof log->note, "%.500s", rhumb__error_last()->message);
}

/* The scan counts the operations of committed batches when it has come to a good end; otherwise they are counted here.
 */
static uint64_t count_operations(const rhumb__log_scan *scan, bool ended_well) {
    uint64_t count = scan->operation_count;
    for (uint64_t i = 0; !ended_well && i < scan->batch_capacity; i++) {
        if (scan->batches[i].committed) count += scan->batches[i].operation_count;
    }
    return count;
}

static rhumb_status read_log(const rhumb__salvage_file *file, uint64_t checkpoint_lsn, rhumb__salvage_log *log) {
    rhumb__log_header header;
    bool found = false;
    rhumb_status status = rhumb__log_header_read(log->io, &header, &found);
    if (status != RHUMB_OK || !found) return status;
    status = rhumb__log_header_check_owner(&header, file->superblock.uuid, checkpoint_lsn, log->io->path);
    const bool follows = status == RHUMB_OK;
    if (!follows) note_last_error(log);
    if (memcmp(header.uuid, file->superblock.uuid, sizeof header.uuid) != 0) return RHUMB_OK;
    status = rhumb__log_scan_run(log->io, &header, checkpoint_lsn, &log->scan);
    const uint64_t count = count_operations(&log->scan, status == RHUMB_OK);
    if (follows) {
        log->operation_count = count;
    } else {
        log->left_out_count = count;
    }
    return status;
}

rhumb_status rhumb__salvage_log_open(const rhumb__salvage_file *file, uint64_t checkpoint_lsn,
                                     rhumb__salvage_log *log) {
    rhumb_error before;
    memset(log, 0, sizeof *log);
    rhumb__error_save(&before);
    char *path = rhumb__log_path_make(file->path);
    if (path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the log's path");
    rhumb_status status = rhumb__io_open(NULL, path, RHUMB__IO_READ, &log->io);
    rhumb__free(path);
    if (status == RHUMB_OK) {
        status = read_log(file, checkpoint_lsn, log);
    } else if (status == RHUMB_E_NOTFOUND) {
        status = RHUMB_OK;
    }
    if (status == RHUMB_E_NOMEM) return status;
    if (status != RHUMB_OK) note_last_error(log);
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
