/* exchange.c - a new index from a file of another library, and the reverse: argument checks, and the engine's result as
 * the interface's report. Stateless; a report is written only on success.
 *
 * An export from a handle that writes makes a checkpoint and reads that through a graph of its own, so that it holds up
 * neither a refresh nor a compaction.
 */
#include <string.h>

#include "api/handle.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/exchange/export_hnswlib.h"
#include "engine/exchange/import.h"
#include "engine/open.h"

static_assert((int)RHUMB_IMPORT_ANNOY == (int)RHUMB__SOURCE_ANNOY && RHUMB__SOURCE_KIND_COUNT == 8,
              "the numbers of formats are those of the engine");

const char *rhumb_import_format_name(rhumb_import_format format) {
    const rhumb__source_format *found = rhumb__source_format_of((rhumb__source_kind)format);
    return found != NULL ? found->name : NULL;
}

rhumb_import_format rhumb_import_format_from_name(const char *name) {
    for (uint32_t kind = 1; name != NULL && kind < RHUMB__SOURCE_KIND_COUNT; kind++) {
        if (strcmp(name, rhumb__source_format_of((rhumb__source_kind)kind)->name) == 0)
            return (rhumb_import_format)kind;
    }
    return RHUMB_IMPORT_AUTO;
}

void rhumb_import_options_init(rhumb_import_options *options, size_t size) {
    const rhumb_import_options defaults = {.size = size, .M = 16, .ef_construction = 200};
    if (options != NULL) rhumb__struct_give(options, size, &defaults, sizeof defaults);
}

static void fill_report(const rhumb__source *source, const rhumb__params *params, const rhumb__import_result *result,
                        rhumb_import_report *report) {
    *report = (rhumb_import_report){
        .format = (rhumb_import_format)source->kind,
        .metric = params->metric,
        .element = params->element,
        .dim = params->dim,
        .M = params->M,
        .M0 = params->M0,
        .ef_construction = params->ef_construction,
        .source_count = source->count - result->absent_count,
        .deleted_count = result->deleted_count,
        .absent_count = result->absent_count,
        .count = result->count,
        .has_links = source->has_links,
        .links_used = result->links_used,
        .levels_kept = result->levels_kept,
        .link_count = result->link_count,
        .broken_link_count = result->broken_link_count,
        .source_unreachable_count = result->source_unreachable_count,
        .first_unreachable_key = result->first_unreachable_key,
        .relinked_count = result->relinked_count,
        .unreachable_count = result->unreachable_count,
    };
    static_assert(sizeof report->notes == sizeof source->notes && sizeof report->source == sizeof source->described,
                  "texts of the engine");
    memcpy(report->notes, source->notes, sizeof report->notes);
    memcpy(report->source, source->described, sizeof report->source);
}

static rhumb_status check_options(const rhumb_import_options *options) {
    if ((unsigned)options->format >= RHUMB__SOURCE_KIND_COUNT) {
        return rhumb__fail(RHUMB_E_INVALID, "format: %u is none of the formats", (unsigned)options->format);
    }
    if (options->metric != 0 && (rhumb_metric_name(options->metric) == NULL || options->metric == RHUMB_METRIC_CUSTOM ||
                                 options->metric == RHUMB_METRIC_LEVENSHTEIN)) {
        return rhumb__fail(RHUMB_E_INVALID, "metric: %u is not a metric for vectors of a file",
                           (unsigned)options->metric);
    }
    if (options->element != 0 && rhumb_element_name(options->element) == NULL) {
        return rhumb__fail(RHUMB_E_INVALID, "element: %u is not an element type", (unsigned)options->element);
    }
    return RHUMB_OK;
}

static rhumb_status import(rhumb__source *source, const char *new_path, const rhumb_import_options *options,
                           rhumb_import_report *report) {
    rhumb_status status;
    rhumb__import_result result;
    rhumb_index_options defaults;
    rhumb_index_options_init(&defaults, sizeof defaults);
    rhumb__params params = rhumb__params_from_options(&defaults);
    const rhumb__import_spec spec = {
        .source = source,
        .new_path = new_path,
        .creator_version = rhumb_version(),
        .thread_count = options->thread_count,
        .renumber = options->renumber,
        .first_key = options->first_key,
        .ignore_links = options->ignore_links,
        .progress = options->progress,
        .progress_context = options->progress_context,
    };
    RHUMB_TRY(rhumb__import_params(source, options->M, options->ef_construction, &params));
    RHUMB_TRY(rhumb__derived_resolve(options->codes, RHUMB_FUSED_NONE, &params));
    RHUMB_TRY(rhumb__import(&spec, &params, &result));
    fill_report(source, &params, &result, report);
done:
    return status;
}

rhumb_status rhumb_index_import(const char *path, const char *new_path, const rhumb_import_options *options,
                                rhumb_import_report *report, size_t report_size) {
    rhumb_status status;
    rhumb__source source = {.kind = RHUMB__SOURCE_AUTO};
    rhumb_import_options resolved;
    rhumb_import_report filled;
    rhumb_import_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__path_check(path, "path"));
    RHUMB_TRY(rhumb__path_check(new_path, "new_path"));
    if (report != NULL) RHUMB_TRY(rhumb__struct_check(report, report_size, "report"));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_import_options"));
    RHUMB_TRY(check_options(&resolved));
    const rhumb__source_spec spec = {.path = path,
                                     .kind = (rhumb__source_kind)resolved.format,
                                     .metric = resolved.metric,
                                     .element = resolved.element,
                                     .dim = resolved.dim};
    RHUMB_TRY(rhumb__source_open(&spec, &source));
    RHUMB_TRY(import(&source, new_path, &resolved, &filled));
    filled.size = report_size;
    if (report != NULL) rhumb__struct_give(report, report_size, &filled, sizeof filled);
done:
    rhumb__source_close(&source);
    return status;
}

void rhumb_export_options_init(rhumb_export_options *options, size_t size) {
    const rhumb_export_options defaults = {.size = size};
    if (options != NULL) rhumb__struct_give(options, size, &defaults, sizeof defaults);
}

rhumb_status rhumb_index_export(rhumb_index *index, const char *path, const rhumb_export_options *options) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__graph *snapshot = NULL;
    rhumb_export_options resolved;
    rhumb_export_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_export_options"));
    RHUMB_TRY(rhumb__path_check(path, "path"));
    if (resolved.format != RHUMB_EXPORT_DEFAULT && resolved.format != RHUMB_EXPORT_HNSWLIB) {
        status = rhumb__fail(RHUMB_E_INVALID, "format: %u is none of the formats", (unsigned)resolved.format);
        goto done;
    }
    rhumb__progress progress = {.report = resolved.progress, .context = resolved.progress_context};
    if (!index->read_only) RHUMB_TRY(rhumb_index_checkpoint(index));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    if (!index->read_only) {
        RHUMB_TRY(rhumb__handle_reopen(graph, &snapshot));
        status = rhumb__handle_leave(scratch, RHUMB_OK);
        scratch = NULL;
        if (status != RHUMB_OK) goto done;
    }
    status = rhumb__export_hnswlib(snapshot != NULL ? snapshot : graph, path, &progress);
done:
    rhumb__engine_close(snapshot);
    return rhumb__handle_leave(scratch, status);
}
