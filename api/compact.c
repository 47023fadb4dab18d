/* compact.c - a compacted copy of an index: argument checks, and the report in the caller's words. */
#include <string.h>

#include "api/handle.h"
#include "base/status.h"
#include "engine/compact.h"

static rhumb_status choose_order(rhumb_order order, rhumb__order_kind *kind_out) {
    switch (order) {
    case RHUMB_ORDER_DEFAULT:
    case RHUMB_ORDER_WINDOW: *kind_out = RHUMB__ORDER_WINDOW; return RHUMB_OK;
    case RHUMB_ORDER_KEEP: *kind_out = RHUMB__ORDER_KEEP; return RHUMB_OK;
    case RHUMB_ORDER_BREADTH: *kind_out = RHUMB__ORDER_BREADTH; return RHUMB_OK;
    case RHUMB_ORDER_RCM: *kind_out = RHUMB__ORDER_RCM; return RHUMB_OK;
    }
    return rhumb__fail(RHUMB_E_INVALID, "order: %u is none of them", (unsigned)order);
}

rhumb_status rhumb_index_compact_into(const char *path, const char *new_path, const rhumb_compact_options *options,
                                      rhumb_compact_report *report, size_t report_size) {
    rhumb_status status;
    rhumb__compact_result result;
    rhumb_compact_options resolved;
    rhumb_compact_options_init(&resolved, sizeof resolved);
    if (path == NULL || path[0] == '\0') return rhumb__fail(RHUMB_E_INVALID, "path is NULL or empty");
    if (new_path == NULL || new_path[0] == '\0') return rhumb__fail(RHUMB_E_INVALID, "new_path is NULL or empty");
    if (report != NULL && report_size < sizeof report_size) {
        return rhumb__fail(RHUMB_E_INVALID, "report is of size %zu", report_size);
    }
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_compact_options"));
    rhumb__compact_spec spec = {
        .path = path,
        .new_path = new_path,
        .creator_version = rhumb_version(),
        .thread_count = resolved.thread_count,
        .second_pass = resolved.second_pass,
        .progress = resolved.progress,
        .progress_context = resolved.progress_context,
    };
    RHUMB_TRY(
        rhumb__custom_take(resolved.custom_name, resolved.custom_distance, resolved.custom_context, &spec.custom));
    RHUMB_TRY(choose_order(resolved.order, &spec.order));
    RHUMB_TRY(rhumb__compact(&spec, &result));
    if (report != NULL) {
        const rhumb_compact_report filled = {
            .size = report_size,
            .epoch = result.epoch,
            .count = result.count,
            .dropped_count = result.dropped_count,
            .repaired_count = result.repaired_count,
            .reconnected_count = result.reconnected_count,
            .unreachable_count = result.unreachable_count,
        };
        memcpy(report, &filled, report_size < sizeof filled ? report_size : sizeof filled);
    }
done:
    return status;
}
