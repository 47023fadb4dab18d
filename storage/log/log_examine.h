/* log_examine.h - examines a log without opening it, also while a writer uses it. Changes nothing. */
#ifndef RHUMB_STORAGE_LOG_LOG_EXAMINE_H
#define RHUMB_STORAGE_LOG_LOG_EXAMINE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/io/io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rhumb__log_report {
    bool exists;            /* the index has a log */
    uint64_t record_count;  /* valid records, those that the checkpoint holds among them */
    uint64_t pending_count; /* of these, the effective operations after the checkpoint's LSN */
    uint64_t error_count;   /* damaged records that had been synced: 0 or 1, since the first ends the reading */
    char first_error[512];  /* what it is and where, or "" */
} rhumb__log_report;

/* Reads a log and checks its chain. A log of another index, or one that begins after `checkpoint_lsn` + 1, is reported
 * as an error. A reader passes the LSN of its own version, a writer that of the newest; a record that is still being
 * written is treated as missing. RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__log_examine(const rhumb__io_backend *backend, const char *index_path, const uint8_t uuid[16],
                                uint64_t checkpoint_lsn, rhumb__log_report *report) RHUMB_NODISCARD;

/* Whether there is a file where the log of an index at that path would be. RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__log_exists(const rhumb__io_backend *backend, const char *index_path,
                               bool *exists_out) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_LOG_LOG_EXAMINE_H */
