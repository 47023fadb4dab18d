/* merge.c - merging indexes into a new one: argument checks, and the engine's result as the interface's report.
 * Stateless; a report is written only on success.
 */
#include "engine/upkeep/merge/merge.h"
#include "api/options.h"
#include "base/status.h"

static rhumb_status choose_duplicates(rhumb_duplicates duplicates, rhumb__merge_duplicates *chosen_out) {
    switch (duplicates) {
    case RHUMB_DUPLICATES_DEFAULT:
    case RHUMB_DUPLICATES_ERROR: *chosen_out = RHUMB__MERGE_DUPLICATES_FAIL; return RHUMB_OK;
    case RHUMB_DUPLICATES_FIRST: *chosen_out = RHUMB__MERGE_DUPLICATES_FIRST; return RHUMB_OK;
    case RHUMB_DUPLICATES_LAST: *chosen_out = RHUMB__MERGE_DUPLICATES_LAST; return RHUMB_OK;
    }
    return rhumb__fail(RHUMB_E_INVALID, "duplicates: %u is not one of the choices", (unsigned)duplicates);
}

static rhumb_status check_paths(const char *const *paths, size_t path_count) {
    rhumb_status status = RHUMB_OK;
    if (paths == NULL || path_count == 0 || path_count > RHUMB__MERGE_SOURCES_MAX) {
        return rhumb__fail(RHUMB_E_INVALID, "paths: expected 1 to %u of them, found %zu", RHUMB__MERGE_SOURCES_MAX,
                           paths == NULL ? 0 : path_count);
    }
    for (size_t i = 0; i < path_count; i++) RHUMB_TRY(rhumb__path_check(paths[i], "paths"));
done:
    return status;
}

static rhumb_status take_options(const rhumb_merge_options *options, rhumb__merge_work *work) {
    rhumb_status status;
    rhumb_merge_options resolved;
    rhumb_merge_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_merge_options"));
    work->thread_count = resolved.thread_count;
    work->M = resolved.M;
    work->M0 = resolved.M0;
    work->ef_construction = resolved.ef_construction;
    work->derived = (rhumb__derived_choice){.codes = resolved.codes, .fused = resolved.fused};
    work->report = resolved.progress;
    work->report_context = resolved.progress_context;
    RHUMB_TRY(
        rhumb__custom_take(resolved.custom_name, resolved.custom_distance, resolved.custom_context, &work->custom));
    RHUMB_TRY(choose_duplicates(resolved.duplicates, &work->duplicates));
    status = rhumb__derived_check(resolved.codes, resolved.fused);
done:
    return status;
}

rhumb_status rhumb_index_merge_into(const char *const *paths, size_t path_count, const char *new_path,
                                    const rhumb_merge_options *options, rhumb_merge_report *report,
                                    size_t report_size) {
    rhumb_status status;
    rhumb__merge_result result;
    RHUMB_TRY(check_paths(paths, path_count));
    RHUMB_TRY(rhumb__path_check(new_path, "new_path"));
    if (report != NULL) RHUMB_TRY(rhumb__struct_check(report, report_size, "report"));
    rhumb__merge_work work = {
        .paths = paths, .path_count = (uint32_t)path_count, .new_path = new_path, .creator_version = rhumb_version()};
    RHUMB_TRY(take_options(options, &work));
    RHUMB_TRY(rhumb__merge(&work, &result));
    const rhumb_merge_report filled = {
        .size = report_size,
        .count = result.count,
        .dropped_count = result.dropped_count,
        .duplicate_count = result.duplicate_count,
        .reconnected_count = result.reconnected_count,
        .unreachable_count = result.unreachable_count,
    };
    if (report != NULL) rhumb__struct_give(report, report_size, &filled, sizeof filled);
done:
    return status;
}
