/* salvage_log.h - the operations that the log next to a damaged index has beyond the version that was taken.
 *
 * Reads only. Of a damaged log the operations before the damage are used. Those after it are not, because what lies
 * between is unknown.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_LOG_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_LOG_H

#include "engine/upkeep/repair/salvage_file.h"
#include "storage/log/log_reader.h"

typedef struct rhumb__salvage_log {
    rhumb__io *io; /* NULL: nothing to visit */
    rhumb__log_scan scan;
    uint64_t operation_count; /* that rhumb__salvage_log_visit visits */
    uint64_t left_out_count;  /* operations that can be read and do not follow the version */
    char note[512];           /* what is wrong with the log, or "" */
} rhumb__salvage_log;

/* Finds the log of an index and reads it. A log that is missing or cannot be used is not a failure; there is nothing to
 * visit then. `log` is to be closed in every case. RHUMB_E_NOMEM. */
rhumb_status rhumb__salvage_log_open(const rhumb__salvage_file *file, uint64_t checkpoint_lsn,
                                     rhumb__salvage_log *log) RHUMB_NODISCARD;

/* Visits the operations after the version, in order; see rhumb__log_replay. */
rhumb_status rhumb__salvage_log_visit(rhumb__salvage_log *log, rhumb__log_visit visit, void *context) RHUMB_NODISCARD;

void rhumb__salvage_log_close(rhumb__salvage_log *log);

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_LOG_H */
