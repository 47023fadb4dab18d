/* log_examine.c - looking at a log from outside, while its writer may be at work.
 *
 * The writer appends, and now and then writes a new header and gives space back. So what looks like damage may be a
 * record that was being written while the scan passed it, or one that has been cut off: damage is reported when two
 * scans under the same header find it at the same place. Takes no lock; changes nothing.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "storage/log/log_file.h"

#define ATTEMPT_COUNT_MAX 8u

/* What one scan says. */
typedef struct finding {
    bool exists;
    bool moved; /* the log changed so much meanwhile that the scan means nothing */
    rhumb__log_header header;
    uint64_t record_count;
    uint64_t operation_count;
    rhumb_error error; /* status RHUMB_OK: none */
} finding;

static bool says_something_about_the_log(rhumb_status status) {
    return status == RHUMB_E_CORRUPT || status == RHUMB_E_VERSION || status == RHUMB_E_LOG;
}

static rhumb_status look(rhumb__io *io, const uint8_t uuid[16], uint64_t checkpoint_lsn, finding *found) {
    rhumb_status status;
    rhumb__log_scan scan = {0};
    rhumb__log_header after;
    bool still_exists = false;
    memset(found, 0, sizeof *found);
    RHUMB_TRY(rhumb__log_header_read(io, &found->header, &found->exists));
    if (!found->exists) return RHUMB_OK;
    RHUMB_TRY(rhumb__log_header_check_owner(&found->header, uuid, checkpoint_lsn, io->path));
    status = rhumb__log_scan_run(io, &found->header, checkpoint_lsn, &scan);
    if (status == RHUMB_E_CORRUPT) rhumb__error_save(&found->error);
    if (status != RHUMB_OK && status != RHUMB_E_CORRUPT) goto done;
    found->record_count = scan.record_count;
    found->operation_count = scan.operation_count;
    RHUMB_TRY(rhumb__log_header_read(io, &after, &still_exists));
    found->moved = !still_exists || after.generation != found->header.generation;
done:
    if (says_something_about_the_log(status)) {
        rhumb__error_save(&found->error);
        found->exists = true;
        status = RHUMB_OK;
    }
    if (status == RHUMB_E_TRUNCATED) { /* the writer cut the tail off */
        found->moved = true;
        status = RHUMB_OK;
    }
    rhumb__log_scan_clear(&scan);
    return status;
}

static bool same_error(const finding *a, const finding *b) {
    return a->error.status == b->error.status && a->error.file_offset == b->error.file_offset &&
           a->header.generation == b->header.generation;
}

/* Looks until two scans agree or one finds nothing wrong. What goes on moving is not damaged. */
static rhumb_status look_until_sure(rhumb__io *io, const uint8_t uuid[16], uint64_t checkpoint_lsn, finding *found) {
    finding before = {.moved = true};
    for (uint32_t attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
        const rhumb_status status = look(io, uuid, checkpoint_lsn, found);
        if (status != RHUMB_OK) return status;
        if (!found->moved && found->error.status == RHUMB_OK) return RHUMB_OK;
        if (!found->moved && !before.moved && same_error(found, &before)) return RHUMB_OK;
        before = *found;
    }
    found->error.status = RHUMB_OK;
    return RHUMB_OK;
}

rhumb_status rhumb__log_examine(const rhumb__io_backend *backend, const char *index_path, const uint8_t uuid[16],
                                uint64_t checkpoint_lsn, rhumb__log_report *report) {
    rhumb_status status;
    rhumb_error before;
    rhumb__io *io = NULL;
    finding found = {0};
    char *path = rhumb__log_path_make(index_path);
    rhumb__error_save(&before);
    memset(report, 0, sizeof *report);
    if (path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the log's path");
    status = rhumb__io_open(backend, path, RHUMB__IO_READ, &io);
    if (status == RHUMB_E_NOTFOUND) {
        status = RHUMB_OK;
        goto done;
    }
    if (status != RHUMB_OK) goto done;
    RHUMB_TRY(look_until_sure(io, uuid, checkpoint_lsn, &found));
    report->exists = found.exists;
    report->record_count = found.record_count;
    report->pending_count = found.operation_count;
    if (found.error.status != RHUMB_OK) {
        report->error_count = 1;
        snprintf(report->first_error, sizeof report->first_error, "%s", found.error.message);
    }
done:
    if (status == RHUMB_OK) rhumb__error_restore(&before);
    rhumb__io_close(io);
    rhumb__free(path);
    return status;
}

rhumb_status rhumb__log_exists(const rhumb__io_backend *backend, const char *index_path, bool *exists_out) {
    rhumb_error before;
    rhumb__io *io = NULL;
    char *path = rhumb__log_path_make(index_path);
    rhumb__error_save(&before);
    if (path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the log's path");
    rhumb_status status = rhumb__io_open(backend, path, RHUMB__IO_READ, &io);
    if (status == RHUMB_OK || status == RHUMB_E_NOTFOUND) {
        *exists_out = status == RHUMB_OK;
        rhumb__error_restore(&before);
        status = RHUMB_OK;
    }
    rhumb__io_close(io);
    rhumb__free(path);
    return status;
}
