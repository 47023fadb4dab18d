/* log_reader.h - reads a log as a whole: header, owner and records. Recovery uses the strict mode; verification and
 * repair the lenient one, in which a fault of the log is a finding. Internal to the log and to repair.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_READER_H
#define RHUMB_STORAGE_LOG_LOG_READER_H

#include <stdbool.h>

#include "storage/io/io.h"
#include "storage/log/log_header.h"
#include "storage/log/log_scan.h"

typedef enum rhumb__log_read_mode {
    RHUMB__LOG_READ_STRICT = 0, /* the first thing that is wrong ends the reading and is returned */
    RHUMB__LOG_READ_LENIENT = 1 /* it is noted in `error`, and what was read before it can be used */
} rhumb__log_read_mode;

/* What is in a log. */
typedef struct rhumb__log_reading {
    bool follows; /* it belongs to the owner, and lacks no operation after the owner's checkpoint */
    rhumb__log_header header;
    rhumb__log_damage damage; /* what was passed over */
    rhumb__log_scan scan;     /* the valid records; none if the log is another index's */
    rhumb_error error;        /* LENIENT: the first thing that is wrong; status RHUMB_OK: nothing */
} rhumb__log_reading;

/* Opens the log of the index at that path for reading; *io_out is NULL when there is none. RHUMB_E_NOMEM; the failures
 * of rhumb__io_open. */
rhumb_status rhumb__log_open_to_read(const rhumb__io_backend *backend, const char *index_path,
                                     rhumb__io **io_out) RHUMB_NODISCARD;

/* Reads the log in `io`. The caller clears `log` in every case.
 *
 * LENIENT reads the records also of a log that begins too late, which does not follow. When damage, a record of an
 * unknown type or a part that the disk cannot read ends the chain of records, those before it are valid, and a batch
 * whose commit lies after it is not effective.
 *
 * RHUMB_E_NOMEM in both modes. STRICT:
 *   RHUMB_E_LOG      another index's, of another history, or it begins after the operation that follows the checkpoint
 *   RHUMB_E_CORRUPT  the header, or a record that had been synced, is damaged
 *   RHUMB_E_VERSION  written by a newer library
 *   RHUMB_E_IO, RHUMB_E_TRUNCATED */
rhumb_status rhumb__log_read(rhumb__io *io, const rhumb__log_owner *owner, rhumb__log_read_mode mode,
                             rhumb__log_reading *log) RHUMB_NODISCARD;

void rhumb__log_reading_clear(rhumb__log_reading *log);

#endif /* RHUMB_STORAGE_LOG_LOG_READER_H */
