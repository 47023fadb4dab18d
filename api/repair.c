/* repair.c - a new index from a damaged one: argument checks, and the engine's result as the interface's report.
 * Stateless; a report is written only on success.
 */
#include <string.h>

#include "api/options.h"
#include "base/status.h"
#include "engine/upkeep/repair/repair.h"

static void fill_report(const rhumb__repair_result *result, size_t size, rhumb_repair_report *report) {
    rhumb_repair_report filled = {
        .size = size,
        .epoch = result->epoch,
        .older_version = result->older_version,
        .checksums_lost = result->checksums_lost,
        .chunk_count = result->chunk_count,
        .damaged_chunk_count = result->damaged_chunk_count,
        .slot_count = result->slot_count,
        .dead_count = result->dead_count,
        .saved_count = result->saved_count,
        .lost_count = result->lost_vector_count + result->lost_key_count,
        .lost_vector_count = result->lost_vector_count,
        .lost_key_count = result->lost_key_count,
        .duplicate_count = result->duplicate_count,
        .doubtful_count = result->doubtful_count,
        .unproved_count = result->unproved_count,
        .lists_rebuilt_count = result->lists_rebuilt_count,
        .relinked_count = result->relinked_count,
        .log_carried_count = result->log_carried_count,
        .log_left_out_count = result->log_left_out_count,
        .count = result->count,
        .unreachable_count = result->unreachable_count,
    };
    memcpy(filled.version_note, result->version_note, sizeof filled.version_note);
    memcpy(filled.first_damage, result->first_damage, sizeof filled.first_damage);
    memcpy(filled.log_note, result->log_note, sizeof filled.log_note);
    rhumb__struct_give(report, size, &filled, sizeof filled);
}

rhumb_status rhumb_index_repair(const char *path, const char *new_path, const rhumb_repair_options *options,
                                rhumb_repair_report *report, size_t report_size) {
    rhumb_status status;
    rhumb__repair_result result;
    rhumb_repair_options resolved;
    rhumb_repair_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__path_check(path, "path"));
    RHUMB_TRY(rhumb__path_check(new_path, "new_path"));
    if (report != NULL) RHUMB_TRY(rhumb__struct_check(report, report_size, "report"));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_repair_options"));
    rhumb__repair_spec spec = {
        .path = path,
        .new_path = new_path,
        .creator_version = rhumb_version(),
        .thread_count = resolved.thread_count,
        .strict = resolved.strict,
        .progress = resolved.progress,
        .progress_context = resolved.progress_context,
    };
    RHUMB_TRY(
        rhumb__custom_take(resolved.custom_name, resolved.custom_distance, resolved.custom_context, &spec.custom));
    RHUMB_TRY(rhumb__repair(&spec, &result));
    if (report != NULL) fill_report(&result, report_size, report);
done:
    return status;
}
