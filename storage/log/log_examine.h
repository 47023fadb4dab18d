/* log_examine.h - examines a log without opening it, also while a writer uses it. Changes nothing. */
#ifndef RHUMB_STORAGE_LOG_LOG_EXAMINE_H
#define RHUMB_STORAGE_LOG_LOG_EXAMINE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/io/io.h"
#include "storage/log/log_header.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rhumb__log_report {
    bool exists;            /* the index has a log */
    uint64_t record_count;  /* valid records, those that the checkpoint holds among them */
    uint64_t pending_count; /* of these, the effective operations after the checkpoint's LSN */
    uint64_t error_count;   /* what makes the log unusable, or a damaged record that had been synced: 0 or 1, since the
                               first ends the reading */
    char first_error[512];  /* what it is and where, or "" */
    uint64_t warning_count; /* what was passed over: damaged copies of headers, bytes after the last record */
    char first_warning[512];
} rhumb__log_report;

/* Reads a log and checks its chain. A log of another index or of another history, one that begins too late, and one
 * that is expected and missing, are reported as errors. A reader passes the owner of its own version, a writer that of
 * the newest. With `written_to`, a writer may be appending, and a record that is still being written is not a finding.
 * RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__log_examine(const rhumb__io_backend *backend, const char *index_path, const rhumb__log_owner *owner,
                                bool written_to, rhumb__log_report *report) RHUMB_NODISCARD;

/* Whether there is a file where the log of an index at that path would be. RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__log_exists(const rhumb__io_backend *backend, const char *index_path,
                               bool *exists_out) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_LOG_LOG_EXAMINE_H */
