/* log_examine.c - see log_examine.h.
 *
 * The writer appends, and from time to time writes a new header and releases space. So what looks like damage may be a
 * record that was being written while the scan passed it, or one that a checkpoint has cut off: damage is reported only
 * when two readings under the same header find it at the same place. Takes no lock and owns nothing between calls.
 * Fails only if the file cannot be read or memory is lacking.
 */
#include "storage/log/log_examine.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "storage/log/log_reader.h"

#define ATTEMPT_COUNT_MAX 8u

/* The result of one reading. */
typedef struct finding {
    bool moved; /* the log changed so much during the reading that the result means nothing */
    uint64_t generation;
    uint64_t record_count;
    uint64_t operation_count;
    uint64_t left_bytes;
    uint64_t end_offset;
    rhumb__log_damage damage;
    rhumb_error error; /* status RHUMB_OK: none */
} finding;

/* Sorts a failure to read: into the log's own faults, changes by the writer, and real failures, which are returned. */
static rhumb_status judge_failure(const rhumb_error *error, finding *found) {
    switch (error->status) {
    case RHUMB_OK: return RHUMB_OK;
    case RHUMB_E_CORRUPT:
    case RHUMB_E_VERSION:
    case RHUMB_E_LOG: found->error = *error; return RHUMB_OK;
    case RHUMB_E_TRUNCATED: /* the writer cut the tail off */ found->moved = true; return RHUMB_OK;
    default: rhumb__error_restore(error); return error->status;
    }
}

/* Notes whether the writer has replaced the header since the reading began. */
static rhumb_status check_header_again(rhumb__io *io, finding *found) {
    rhumb__log_header after;
    rhumb__log_damage damage;
    const rhumb_status status = rhumb__log_header_read(io, &after, &damage);
    if (status != RHUMB_OK) return judge_failure(rhumb__error_last(), found);
    found->moved = found->moved || after.generation != found->generation;
    return RHUMB_OK;
}

static rhumb_status read_once(rhumb__io *io, const rhumb__log_owner *owner, finding *found) {
    rhumb_status status;
    rhumb__log_reading log;
    memset(found, 0, sizeof *found);
    RHUMB_TRY(rhumb__log_read(io, owner, RHUMB__LOG_READ_LENIENT, &log));
    found->generation = log.header.generation;
    found->damage = log.damage;
    RHUMB_TRY(judge_failure(&log.error, found));
    if (log.follows && (log.error.status == RHUMB_OK || log.error.status == RHUMB_E_CORRUPT)) {
        found->record_count = log.scan.record_count;
        found->operation_count = log.scan.operation_count;
        found->left_bytes = log.scan.left_bytes;
        found->end_offset = log.scan.end.offset;
        status = check_header_again(io, found);
    }
done:
    rhumb__log_reading_clear(&log);
    return status;
}

static bool same_error(const finding *a, const finding *b) {
    return a->error.status == b->error.status && a->error.file_offset == b->error.file_offset &&
           a->generation == b->generation;
}

/* Reads until two readings agree or one finds nothing wrong. A log that keeps moving is not damaged. */
static rhumb_status read_until_sure(rhumb__io *io, const rhumb__log_owner *owner, finding *found) {
    finding before = {.moved = true};
    for (uint32_t attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
        const rhumb_status status = read_once(io, owner, found);
        if (status != RHUMB_OK) return status;
        if (!found->moved && found->error.status == RHUMB_OK) return RHUMB_OK;
        if (!found->moved && !before.moved && same_error(found, &before)) return RHUMB_OK;
        before = *found;
    }
    found->error.status = RHUMB_OK;
    return RHUMB_OK;
}

static void note_error(rhumb__log_report *report, const char *message) {
    report->error_count = 1;
    snprintf(report->first_error, sizeof report->first_error, "%s", message);
}

/* What the reading passed over. A writer that is at work may have left bytes that are not a record yet. */
static void note_warnings(const char *path, const finding *found, bool written_to, rhumb__log_report *report) {
    if (found->left_bytes > 0 && !written_to) {
        report->warning_count++;
        snprintf(report->first_warning, sizeof report->first_warning,
                 "%.200s: %llu bytes after the last whole record, from byte %llu on, are no records", path,
                 (unsigned long long)found->left_bytes, (unsigned long long)found->end_offset);
    }
    if (found->damage.copy_count > 0) {
        report->warning_count += found->damage.copy_count;
        snprintf(report->first_warning, sizeof report->first_warning,
                 "%.200s: a copy of a header, at byte %llu, is damaged; the other one is used", path,
                 (unsigned long long)found->damage.copy_offset);
    }
}

rhumb_status rhumb__log_examine(const rhumb__io_backend *backend, const char *index_path, const rhumb__log_owner *owner,
                                bool written_to, rhumb__log_report *report) {
    rhumb_status status;
    rhumb_error before;
    rhumb__io *io = NULL;
    finding found = {.moved = false};
    rhumb__error_save(&before);
    memset(report, 0, sizeof *report);
    RHUMB_TRY(rhumb__log_open_to_read(backend, index_path, &io));
    if (io == NULL) {
        if (owner->log_expected && rhumb__log_fail_missing(owner, index_path) != RHUMB_OK) {
            note_error(report, rhumb__error_last()->message);
        }
        goto done;
    }
    report->exists = true;
    RHUMB_TRY(read_until_sure(io, owner, &found));
    report->record_count = found.record_count;
    report->pending_count = found.operation_count;
    if (found.error.status != RHUMB_OK) note_error(report, found.error.message);
    note_warnings(io->path, &found, written_to, report);
done:
    if (status == RHUMB_OK) rhumb__error_restore(&before);
    rhumb__io_close(io);
    return status;
}

rhumb_status rhumb__log_exists(const rhumb__io_backend *backend, const char *index_path, bool *exists_out) {
    rhumb__io *io = NULL;
    const rhumb_status status = rhumb__log_open_to_read(backend, index_path, &io);
    if (status == RHUMB_OK) *exists_out = io != NULL;
    rhumb__io_close(io);
    return status;
}
