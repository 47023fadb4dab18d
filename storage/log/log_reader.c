/* log_reader.c - see log_reader.h.
 *
 * Owns nothing but the memory of the scan. Takes no lock: a log that a writer changes while it is read may look damaged
 * (log_examine.c reads it again then). No number of the file is trusted; log_header.c and log_scan.c check them.
 */
#include "storage/log/log_reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "storage/log/log_file.h"

rhumb_status rhumb__log_open_to_read(const rhumb__io_backend *backend, const char *index_path, rhumb__io **io_out) {
    char *path = rhumb__log_path_make(index_path);
    *io_out = NULL;
    if (path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the log's path");
    const rhumb_status status = rhumb__log_file_open(backend, path, RHUMB__IO_READ, io_out);
    rhumb__free(path);
    return status;
}

/* Whether the records can be read together with the owner at all, whatever else is wrong. */
static bool is_owners(const rhumb__log_header *header, const rhumb__log_owner *owner) {
    return memcmp(header->uuid, owner->uuid, sizeof header->uuid) == 0 &&
           (header->history == owner->history || header->previous_history == owner->history);
}

/* Reads until something is wrong. A lenient reading continues after a log that begins too late has been noted. */
static rhumb_status log_read_parts(rhumb__io *io, const rhumb__log_owner *owner, rhumb__log_read_mode mode,
                                   rhumb__log_reading *log) {
    rhumb_status status;
    RHUMB_TRY(rhumb__log_header_read(io, &log->header, &log->damage));
    status = rhumb__log_header_check_owner(&log->header, owner, io->path);
    log->follows = status == RHUMB_OK;
    if (status != RHUMB_OK && mode == RHUMB__LOG_READ_LENIENT) rhumb__error_save(&log->error);
    if (status != RHUMB_OK && (mode == RHUMB__LOG_READ_STRICT || !is_owners(&log->header, owner))) return status;
    RHUMB_TRY(rhumb__log_scan_run(io, &log->header, owner->checkpoint_lsn, &log->scan));
    status = rhumb__log_header_check_end(&log->header, owner, log->scan.end.lsn, io->path);
    if (status != RHUMB_OK) log->follows = false;
done:
    return status;
}

rhumb_status rhumb__log_read(rhumb__io *io, const rhumb__log_owner *owner, rhumb__log_read_mode mode,
                             rhumb__log_reading *log) {
    rhumb_error before;
    rhumb__error_save(&before);
    memset(log, 0, sizeof *log);
    const rhumb_status status = log_read_parts(io, owner, mode, log);
    if (mode == RHUMB__LOG_READ_STRICT || status == RHUMB_E_NOMEM) return status;
    if (status != RHUMB_OK && log->error.status == RHUMB_OK) rhumb__error_save(&log->error);
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

void rhumb__log_reading_clear(rhumb__log_reading *log) { rhumb__log_scan_clear(&log->scan); }
