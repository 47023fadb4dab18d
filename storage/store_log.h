/* store_log.h - the log next to a store, as those see it who do not write to it.
 */
#ifndef RHUMB_STORAGE_STORE_LOG_H
#define RHUMB_STORAGE_STORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/log/log_examine.h"
#include "storage/store.h"

/* Examines the log of the version that this handle stands on, whose last operation is `checkpoint_lsn`; *newer_out is
 * whether there is a newer version, or another file at the path, to which the log belongs instead: then `report` has no
 * finding. A writer may be at work. RHUMB_E_IO, RHUMB_E_NOMEM, what rhumb__frame_find returns. */
rhumb_status rhumb__store_examine_log(rhumb__store *store, uint64_t checkpoint_lsn, rhumb__log_report *report,
                                      bool *newer_out) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_STORE_LOG_H */
