/* progress.h - reporting how far a long operation is to a caller that may cancel it.
 */
#ifndef RHUMB_BASE_PROGRESS_H
#define RHUMB_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* Used by one thread. */
typedef struct rhumb__progress {
    /* Returns false to cancel; NULL: nothing is reported. */
    bool (*report)(void *context, uint64_t done_count, uint64_t total_count);
    void *context;
    uint64_t total_count;
    uint64_t done_count;  /* of the last report */
    uint64_t reported_ns; /* when the last report was made */
} rhumb__progress;

/* Reports, unless the last report was made less than a tenth of a second ago and more is to come. RHUMB_E_CANCELLED. */
rhumb_status rhumb__progress_report(rhumb__progress *progress, uint64_t done_count) RHUMB_NODISCARD;

/* The same for `step_count` steps more than in the last report; the end of the whole is for rhumb__progress_report.
 * 0 asks whether to stop and nothing else. NULL is fine. RHUMB_E_CANCELLED. */
rhumb_status rhumb__progress_advance(rhumb__progress *progress, uint64_t step_count) RHUMB_NODISCARD;

#endif /* RHUMB_BASE_PROGRESS_H */
