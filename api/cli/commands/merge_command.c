/* merge_command.c - `rhumb merge`: a new index of what several have. They are only read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/codes_choice.h"
#include "api/cli/console/units.h"

static int choose_duplicates(struct cli *cli, const char *name, rhumb_duplicates *duplicates) {
    static const char *const names[] = {"error", "first", "last"}; /* from RHUMB_DUPLICATES_ERROR on */
    if (!name) return CLI_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *duplicates = (rhumb_duplicates)(RHUMB_DUPLICATES_ERROR + i);
        return CLI_OK;
    }
    return cli_fail(cli, CLI_USAGE, "--duplicates must be error, first or last; found '%s'", name);
}

static void print_json(struct json_writer *json, const char *const *paths, size_t path_count,
                       const rhumb_merge_report *report) {
    json_array_begin(json, "indexes");
    for (size_t i = 0; i < path_count; i++) json_text(json, NULL, paths[i]);
    json_end(json);
    json_u64(json, "count", report->count);
    json_u64(json, "dropped_count", report->dropped_count);
    json_u64(json, "duplicate_count", report->duplicate_count);
    json_u64(json, "reconnected_count", report->reconnected_count);
    json_u64(json, "unreachable_count", report->unreachable_count);
}

static void print_text(const char *new_path, size_t path_count, const rhumb_merge_report *report, double seconds) {
    struct units_text a, b;
    printf("merged       %s indexes; %s deleted vectors left out\n", units_count(&a, path_count),
           units_count(&b, report->dropped_count));
    if (report->duplicate_count > 0)
        printf("duplicates   %s vectors whose key another index has\n", units_count(&a, report->duplicate_count));
    printf("new index    %s: %s vectors (%s)\n", new_path, units_count(&a, report->count), units_duration(&b, seconds));
}

static int merge(struct cli *cli, const char *const *paths, size_t path_count, const char *new_path,
                 const rhumb_merge_options *options) {
    rhumb_merge_report report;
    const double start = units_now();
    const rhumb_status status = rhumb_index_merge_into(paths, path_count, new_path, options, &report, sizeof report);
    call_progress_end(options->progress_context);
    if (status == RHUMB_E_CANCELLED)
        return cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made, the indexes are as they were", new_path);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot merge");
    if (cli->json) {
        print_json(&cli->writer, paths, path_count, &report);
        json_text(&cli->writer, "into", new_path);
        json_double(&cli->writer, "seconds", units_now() - start);
    } else {
        print_text(new_path, path_count, &report, units_now() - start);
    }
    return CLI_OK;
}

static int run_with(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts,
                    const char **paths) {
    struct call_progress progress = {.cli = cli};
    const char *new_path = NULL;
    const char *duplicates_name = NULL;
    const char *codes_name = NULL;
    const char *fused_name = NULL;
    rhumb_merge_options merge_options;
    rhumb_merge_options_init(&merge_options, sizeof merge_options);
    merge_options.progress = call_progress_tell;
    merge_options.progress_context = &progress;
    const struct args_option options[] = {
        {"into", 0, ARGS_TEXT, &new_path, "NEW", "the index to make; it must not exist. Required"},
        {"duplicates", 0, ARGS_TEXT, &duplicates_name, "CHOICE",
         "whose vector counts where several have one key: error\n(default: nothing is made), first or last"},
        {"M", 0, ARGS_U32, &merge_options.M, "N", "neighbours per node and level. Default: as the first INDEX"},
        {"M0", 0, ARGS_U32, &merge_options.M0, "N",
         "neighbours on level 0. Default: twice M if that is given,\notherwise as the first INDEX"},
        {"ef-construction", 0, ARGS_U32, &merge_options.ef_construction, "N",
         "for later insertions. Default: as the first INDEX"},
        {"codes", 0, ARGS_TEXT, &codes_name, "CODES",
         "codes of vectors that NEW has: none, 4 or 8. Default: as\nthe first INDEX"},
        {"fused", 0, ARGS_TEXT, &fused_name, "BITS",
         "fused rows that it has: none, 1 or 2 bits. Default: as the\nfirst INDEX"},
        {"threads", 't', ARGS_U32, &merge_options.thread_count, "N", "default: one per processor"},
        CLI_COMMON_OPTIONS(cli),
    };
    int exit_code;
    size_t path_count;
    if (!cli_parse_some(cli, command, options, argument_count, argument_texts, paths, 1, &path_count, &exit_code))
        return exit_code;
    exit_code = choose_duplicates(cli, duplicates_name, &merge_options.duplicates);
    if (exit_code == CLI_OK) exit_code = codes_choice_read(cli, codes_name, &merge_options.codes);
    if (exit_code == CLI_OK) exit_code = fused_choice_read(cli, fused_name, &merge_options.fused);
    if (exit_code != CLI_OK) return exit_code;
    if (!new_path) return cli_fail(cli, CLI_USAGE, "--into NEW is missing: a merge never changes an index");
    return merge(cli, paths, path_count, new_path, &merge_options);
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    const char **paths = calloc((size_t)argument_count + 1, sizeof *paths);
    if (!paths) return cli_fail_memory(cli, (uint64_t)argument_count * sizeof *paths);
    const int exit_code = run_with(cli, command, argument_count, argument_texts, paths);
    free(paths);
    return exit_code;
}

const struct cli_command cli_merge_command = {
    .name = "merge",
    .summary = "make one index of several",
    .usage = "[OPTIONS] INDEX... --into NEW",
    .description =
        "Makes the index NEW of the vectors of all INDEXes, under the keys that they have there. The graphs are taken\n"
        "over and joined, which takes a fraction of the time of building NEW from the vectors; deleted vectors are\n"
        "left out. Metric, element type and dimension must be the same; other options, and the metadata, are those of\n"
        "the first INDEX.\n"
        "\n"
        "The indexes are only read, at their newest checkpoints, and may be open for writing. After a failure, a\n"
        "crash or Ctrl-C there is no NEW.\n",
    .examples = "  rhumb merge monday.rhumb tuesday.rhumb --into week.rhumb\n"
                "  rhumb merge old.rhumb corrections.rhumb --into new.rhumb --duplicates last\n",
    .run = run,
};
