/* compact.c - compacting an index in place and into another file: argument checks, and the engine's result as the
 * interface's report. Stateless; a report is written only on success.
 */
#include "engine/upkeep/compact/compact.h"
#include "api/filter.h"
#include "api/handle.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/build/writer.h"
#include "engine/upkeep/compact/compactor.h"

static rhumb_status choose_order(rhumb_order order, rhumb__order_kind *kind_out) {
    switch (order) {
    case RHUMB_ORDER_DEFAULT:
    case RHUMB_ORDER_BISECTION: *kind_out = RHUMB__ORDER_BISECTION; return RHUMB_OK;
    case RHUMB_ORDER_WINDOW: *kind_out = RHUMB__ORDER_WINDOW; return RHUMB_OK;
    case RHUMB_ORDER_KEEP: *kind_out = RHUMB__ORDER_KEEP; return RHUMB_OK;
    case RHUMB_ORDER_BREADTH: *kind_out = RHUMB__ORDER_BREADTH; return RHUMB_OK;
    case RHUMB_ORDER_RCM: *kind_out = RHUMB__ORDER_RCM; return RHUMB_OK;
    }
    return rhumb__fail(RHUMB_E_INVALID, "order: %u is not one of them", (unsigned)order);
}

static rhumb_status take_options(const rhumb_compact_options *options, const rhumb_compact_report *report,
                                 size_t report_size, rhumb_compact_options *resolved, rhumb__compact_work *work) {
    rhumb_status status;
    rhumb_compact_options_init(resolved, sizeof *resolved);
    if (report != NULL) RHUMB_TRY(rhumb__struct_check(report, report_size, "report"));
    RHUMB_TRY(rhumb__options_take(resolved, sizeof *resolved, options, "rhumb_compact_options"));
    *work = (rhumb__compact_work){
        .thread_count = resolved->thread_count,
        .derived = {.codes = resolved->codes, .fused = resolved->fused},
        .second_pass = resolved->second_pass,
        .bytes_per_second = resolved->bytes_per_second,
        .report = resolved->progress,
        .report_context = resolved->progress_context,
    };
    RHUMB_TRY(
        rhumb__custom_take(resolved->custom_name, resolved->custom_distance, resolved->custom_context, &work->custom));
    RHUMB_TRY(choose_order(resolved->order, &work->order));
    status = rhumb__derived_check(resolved->codes, resolved->fused);
done:
    return status;
}

/* The order of keys is checked completely: no key may be left out because another one is in the wrong place. */
static rhumb_status take_filter(const rhumb_filter *given, rhumb__filter *filter) {
    const rhumb_status status = rhumb__filter_take(given, filter);
    if (status != RHUMB_OK || filter->kind != RHUMB__FILTER_KEYS) return status;
    for (uint64_t i = 1; i < filter->key_count; i++) {
        if (filter->keys[i - 1] < filter->keys[i]) continue;
        return rhumb__fail(RHUMB_E_INVALID, "filter.keys must ascend: number %llu is %llu, after %llu",
                           (unsigned long long)i, (unsigned long long)filter->keys[i],
                           (unsigned long long)filter->keys[i - 1]);
    }
    return RHUMB_OK;
}

static void fill_report(const rhumb__compact_result *result, rhumb_compact_report *report, size_t report_size) {
    if (report == NULL) return;
    const rhumb_compact_report filled = {
        .size = report_size,
        .epoch = result->epoch,
        .count = result->count,
        .dropped_count = result->dropped_count,
        .repaired_count = result->repaired_count,
        .reconnected_count = result->reconnected_count,
        .unreachable_count = result->unreachable_count,
        .carried_count = result->carried_count,
        .pause_ns = result->pause_ns,
        .left_out_count = result->left_out_count,
    };
    rhumb__struct_give(report, report_size, &filled, sizeof filled);
}

rhumb_status rhumb_index_compact(rhumb_index *index, const rhumb_compact_options *options, rhumb_compact_report *report,
                                 size_t report_size) {
    rhumb_status status;
    rhumb_compact_options resolved;
    rhumb__compact_work work;
    rhumb__compact_result result;
    RHUMB_TRY(rhumb__handle_check(index, true));
    RHUMB_TRY(take_options(options, report, report_size, &resolved, &work));
    if (resolved.filter != NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "filter: a compaction in place keeps all keys; delete those not wanted");
        goto done;
    }
    if (resolved.background) {
        status = rhumb__compactor_request(index->writer, &work, resolved.shrink);
        goto done;
    }
    RHUMB_TRY(rhumb__compact_in_place(index->writer, &work, resolved.shrink, &result));
    fill_report(&result, report, report_size);
done:
    return status;
}

rhumb_status rhumb_index_compact_cancel(rhumb_index *index) {
    const rhumb_status status = rhumb__handle_check(index, true);
    if (status == RHUMB_OK) atomic_store(&index->writer->compact_cancelled, true);
    return status;
}

rhumb_status rhumb_index_compact_into(const char *path, const char *new_path, const rhumb_compact_options *options,
                                      rhumb_compact_report *report, size_t report_size) {
    rhumb_status status;
    rhumb_compact_options resolved;
    rhumb__compact_work work;
    rhumb__compact_result result;
    rhumb__filter filter;
    RHUMB_TRY(rhumb__path_check(path, "path"));
    RHUMB_TRY(rhumb__path_check(new_path, "new_path"));
    RHUMB_TRY(take_options(options, report, report_size, &resolved, &work));
    if (resolved.filter != NULL) {
        RHUMB_TRY(take_filter(resolved.filter, &filter));
        work.filter = &filter;
    }
    RHUMB_TRY(rhumb__compact_into(path, new_path, rhumb_version(), &work, &result));
    fill_report(&result, report, report_size);
done:
    return status;
}
