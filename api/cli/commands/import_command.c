/* import_command.c - `rhumb import`: a new index from a file of another library, and what that library's own graph
 * could not reach. The file is only read. */
#include <stdio.h>
#include <string.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/codes_choice.h"
#include "api/cli/console/units.h"

/* What is typed as text. */
struct import_texts {
    const char *format, *metric, *element, *codes;
};

static void print_json(struct json_writer *json, const char *path, const char *new_path,
                       const rhumb_import_report *report, double seconds) {
    json_text(json, "source", path);
    json_text(json, "index", new_path);
    json_text(json, "format", rhumb_import_format_name(report->format));
    json_text(json, "described", report->source);
    json_text(json, "metric", rhumb_metric_name(report->metric));
    json_text(json, "element", rhumb_element_name(report->element));
    json_u64(json, "dim", report->dim);
    json_u64(json, "M", report->M);
    json_u64(json, "M0", report->M0);
    json_u64(json, "ef_construction", report->ef_construction);
    json_u64(json, "source_count", report->source_count);
    json_u64(json, "deleted_count", report->deleted_count);
    json_u64(json, "absent_count", report->absent_count);
    json_u64(json, "count", report->count);
    json_bool(json, "has_links", report->has_links);
    json_bool(json, "links_used", report->links_used);
    json_bool(json, "levels_kept", report->levels_kept);
    json_u64(json, "link_count", report->link_count);
    json_u64(json, "broken_link_count", report->broken_link_count);
    json_u64(json, "source_unreachable_count", report->source_unreachable_count);
    json_u64(json, "first_unreachable_key", report->first_unreachable_key);
    json_u64(json, "relinked_count", report->relinked_count);
    json_u64(json, "unreachable_count", report->unreachable_count);
    json_text(json, "notes", report->notes);
    json_double(json, "seconds", seconds);
}

static void print_links(const rhumb_import_report *report) {
    struct units_text a, b;
    if (!report->has_links) {
        printf("links        the file has none; all %s nodes linked\n", units_count(&a, report->count));
        return;
    }
    printf("unreached    %s of %s vectors could not be reached in the file's own graph; now all can\n",
           units_count(&a, report->source_unreachable_count), units_count(&b, report->count));
    if (report->source_unreachable_count > 0)
        printf("             the first of them has key %llu\n", (unsigned long long)report->first_unreachable_key);
    if (report->broken_link_count > 0)
        printf("broken       %s links lead nowhere\n", units_count(&a, report->broken_link_count));
    printf("links        %s taken as candidates, %s nodes linked again%s\n", units_count(&a, report->link_count),
           units_count(&b, report->relinked_count), report->levels_kept ? ", levels kept" : "");
}

static void print_text(const char *path, const char *new_path, const rhumb_import_report *report, double seconds) {
    struct units_text a, b;
    printf("source       %s: %s, %s vectors of %u x %s, %s\n", path, report->source,
           units_count(&a, report->source_count), report->dim, rhumb_element_name(report->element),
           rhumb_metric_name(report->metric));
    if (report->deleted_count > 0)
        printf("deleted      %s are marked as deleted, and left out\n", units_count(&a, report->deleted_count));
    print_links(report);
    for (const char *line = report->notes; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        printf("note         %.*s\n", (int)length, line);
        line += length + (line[length] == '\n' ? 1 : 0);
    }
    printf("new index    %s: %s vectors, M %u, ef_construction %u (%s)\n", new_path, units_count(&a, report->count),
           report->M, report->ef_construction, units_duration(&b, seconds));
}

static int read_texts(struct cli *cli, const struct import_texts *texts, rhumb_import_options *options) {
    if (texts->format && strcmp(texts->format, "auto") != 0) {
        options->format = rhumb_import_format_from_name(texts->format);
        if (options->format == RHUMB_IMPORT_AUTO)
            return cli_fail(cli, CLI_USAGE,
                            "--format is auto, hnswlib, chroma, voyager, faiss, usearch, hnsw_rs or annoy, not '%s'",
                            texts->format);
    }
    if (texts->metric) {
        options->metric = rhumb_metric_from_name(texts->metric);
        if (options->metric == 0) return cli_fail(cli, CLI_USAGE, "--metric: '%s' is not a metric", texts->metric);
    }
    if (texts->element) {
        options->element = rhumb_element_from_name(texts->element);
        if (options->element == 0)
            return cli_fail(cli, CLI_USAGE, "--element: '%s' is not an element type", texts->element);
    }
    return codes_choice_read(cli, texts->codes, &options->codes);
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether the last failure is about the new index, which has another name while it is made, and not about the file that
 * is imported. The library's path is absolute. */
static bool is_about(const char *new_path) {
    const char *name = name_of(new_path);
    return strncmp(name_of(rhumb_error_last()->path), name, strlen(name)) == 0;
}

static int import(struct cli *cli, const char *path, const char *new_path, const rhumb_import_options *options,
                  struct call_progress *progress) {
    rhumb_import_report report;
    const double start = units_now();
    const rhumb_status status = rhumb_index_import(path, new_path, options, &report, sizeof report);
    call_progress_end(progress);
    if (status == RHUMB_E_CANCELLED) return cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made", new_path);
    if (status != RHUMB_OK) {
        const bool is_of_system = status == RHUMB_E_IO || status == RHUMB_E_NOSPACE || status == RHUMB_E_NOMEM ||
                                  status == RHUMB_E_FATAL || status == RHUMB_E_FULL;
        if (is_of_system || is_about(new_path)) return cli_fail_index(cli, status, "cannot import");
        return cli_fail_index_as(cli, CLI_INPUT, status, "cannot import");
    }
    if (cli->json)
        print_json(&cli->writer, path, new_path, &report, units_now() - start);
    else
        print_text(path, new_path, &report, units_now() - start);
    return CLI_OK;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct call_progress progress = {.cli = cli};
    struct import_texts texts = {.format = NULL};
    const char *new_path = NULL;
    rhumb_import_options import_options;
    rhumb_import_options_init(&import_options, sizeof import_options);
    import_options.first_key = RHUMB_KEY_NONE;
    import_options.progress = call_progress_tell;
    import_options.progress_context = &progress;
    const struct args_option options[] = {
        {"into", 0, ARGS_TEXT, &new_path, "NEW", "the index to make; it must not exist. Required"},
        {"format", 'f', ARGS_TEXT, &texts.format, "NAME",
         "auto, hnswlib, chroma, voyager, faiss, usearch, hnsw_rs or annoy. Default: auto"},
        {"metric", 'm', ARGS_TEXT, &texts.metric, "NAME", "required for hnswlib, chroma and annoy"},
        {"element", 'e', ARGS_TEXT, &texts.element, "NAME", "for hnswlib, if it is not f32"},
        {"dim", 0, ARGS_U32, &import_options.dim, "N", "required for annoy"},
        {"M", 'M', ARGS_U32, &import_options.M, "N", "for files without a graph. Default: 16"},
        {"ef-construction", 0, ARGS_U32, &import_options.ef_construction, "N", "likewise. Default: 200"},
        {"codes", 0, ARGS_TEXT, &texts.codes, "N", "default, none, 4 or 8: bits of the codes of the new index"},
        {"first-key", 0, ARGS_U64, &import_options.first_key, "KEY",
         "give vectors new keys from KEY on, in the order of the file"},
        {"ignore-links", 0, ARGS_FLAG, &import_options.ignore_links, NULL, "make the graph from the vectors alone"},
        {"threads", 't', ARGS_U32, &import_options.thread_count, "N", "default: one per processor"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *path;
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    if (!new_path) return cli_fail(cli, CLI_USAGE, "--into NEW is missing");
    exit_code = read_texts(cli, &texts, &import_options);
    if (exit_code != CLI_OK) return exit_code;
    import_options.renumber = import_options.first_key != RHUMB_KEY_NONE;
    if (!import_options.renumber) import_options.first_key = 0;
    return import(cli, path, new_path, &import_options, &progress);
}

const struct cli_command cli_import_command = {
    .name = "import",
    .summary = "make an index of a file of another library",
    .usage = "[OPTIONS] FILE --into NEW",
    .description =
        "Reads an index of hnswlib, Chroma (its folder), Voyager, FAISS (HNSWFlat, HNSWSQ, Flat, scalar quantizers,\n"
        "IDMap), USearch, hnsw_rs (versions 2 to 4 of its dumps) or Annoy, and makes an index with the same vectors,\n"
        "keys, metric, M and ef_construction. The links of FILE are candidates: what lacks links is linked again. The\n"
        "output says how many vectors the graph of FILE could not reach. FILE is not changed.\n",
    .examples = "  rhumb import index.bin --metric cosine --into images.rhumb\n"
                "  rhumb import index.faiss --into images.rhumb --json\n"
                "  rhumb import old.ann --format annoy --metric cosine --dim 100 --into words.rhumb\n",
    .run = run,
};
