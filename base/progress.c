/* progress.c - see progress.h. */
#include "base/progress.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/status.h"

#define PROGRESS_INTERVAL_NS 100000000u

rhumb_status rhumb__progress_report(rhumb__progress *progress, uint64_t done_count) {
    progress->done_count = done_count;
    if (progress->report == NULL) return RHUMB_OK;
    /* Called after steps as short as the search of a small index; may be older than the moment of the first report. */
    const uint64_t now_ns = rhumb__clock_coarse_ns();
    if (now_ns < progress->reported_ns + PROGRESS_INTERVAL_NS && done_count < progress->total_count) return RHUMB_OK;
    progress->reported_ns = now_ns;
    if (progress->report(progress->context, done_count, progress->total_count)) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_CANCELLED, "stopped by the caller");
}

rhumb_status rhumb__progress_advance(rhumb__progress *progress, uint64_t step_count) {
    if (progress == NULL) return RHUMB_OK;
    const uint64_t done_count = progress->done_count + step_count;
    return rhumb__progress_report(progress, rhumb__min_u64(done_count, rhumb__max_u64(progress->total_count, 1) - 1));
}
