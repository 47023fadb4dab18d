/* compact_command.c - `rhumb compact`: a new index of the live vectors of one, in a better order. The old file is only
 * read, and may be in use, also by a writer. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "interrupt.h"
#include "progress.h"
#include "units.h"

struct compact_run {
    struct cli *cli;
    struct progress progress;
    bool begun;
};

static bool on_progress(void *context, uint64_t done_count, uint64_t total_count) {
    struct compact_run *run = context;
    if (!run->begun) progress_begin(&run->progress, "compact", total_count, run->cli->quiet, run->cli->json);
    run->begun = true;
    progress_update(&run->progress, done_count);
    return !interrupt_requested();
}

static const struct {
    const char *name;
    rhumb_order order;
} orders[] = {
    {"window", RHUMB_ORDER_WINDOW},
    {"breadth", RHUMB_ORDER_BREADTH},
    {"rcm", RHUMB_ORDER_RCM},
    {"keep", RHUMB_ORDER_KEEP},
};

static int choose_order(struct cli *cli, const char *name, rhumb_order *order) {
    if (!name) return CLI_OK;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(orders[i].name, name) != 0) continue;
        *order = orders[i].order;
        return CLI_OK;
    }
    return cli_fail(cli, CLI_USAGE, "--order must be window, breadth, rcm or keep; found '%s'", name);
}

static void print(struct cli *cli, const char *path, const char *new_path, const rhumb_compact_report *report,
                  double seconds) {
    struct json_writer *json = &cli->writer;
    struct units_text a, b;
    json_text(json, "index", path);
    json_text(json, "into", new_path);
    json_u64(json, "epoch", report->epoch);
    json_u64(json, "count", report->count);
    json_u64(json, "dropped_count", report->dropped_count);
    json_u64(json, "repaired_count", report->repaired_count);
    json_u64(json, "reconnected_count", report->reconnected_count);
    json_u64(json, "unreachable_count", report->unreachable_count);
    json_double(json, "seconds", seconds);
    if (cli->json) return;
    printf("index        %s: checkpoint %llu\n", path, (unsigned long long)report->epoch);
    printf("dropped      %s deleted nodes; %s lists had named them\n", units_count(&a, report->dropped_count),
           units_count(&b, report->repaired_count));
    printf("reconnected  %s nodes that no path had led to\n", units_count(&a, report->reconnected_count));
    printf("new index    %s: %s vectors (%s)\n", new_path, units_count(&a, report->count), units_duration(&b, seconds));
}

static int compact(struct cli *cli, const char *path, const char *new_path, const rhumb_compact_options *options,
                   struct compact_run *run) {
    rhumb_compact_report report;
    const double start = units_now();
    const rhumb_status status = rhumb_index_compact_into(path, new_path, options, &report, sizeof report);
    if (run->begun) progress_end(&run->progress);
    if (status == RHUMB_E_CANCELLED)
        return cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made, %s is as it was", new_path, path);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, cli_no_custom(status, "cannot compact"));
    print(cli, path, new_path, &report, units_now() - start);
    return CLI_OK;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct compact_run run = {.cli = cli};
    const char *new_path = NULL;
    const char *order_name = NULL;
    rhumb_compact_options compact_options;
    rhumb_compact_options_init(&compact_options, sizeof compact_options);
    compact_options.progress = on_progress;
    compact_options.progress_context = &run;
    const struct args_option options[] = {
        {"into", 0, ARGS_TEXT, &new_path, "NEW", "the file to make; it must not exist. Required"},
        {"order", 0, ARGS_TEXT, &order_name, "ORDER",
         "how nodes lie in NEW: window (neighbours together, default),\nbreadth, rcm, or keep (as in INDEX)"},
        {"second-pass", 0, ARGS_FLAG, &compact_options.second_pass, NULL,
         "search new neighbours for every node: takes as long as building"},
        {"threads", 't', ARGS_U32, &compact_options.thread_count, "N", "default: one per processor"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *path;
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    if (!new_path) return cli_fail(cli, CLI_USAGE, "--into NEW is missing");
    exit_code = choose_order(cli, order_name, &compact_options.order);
    if (exit_code != CLI_OK) return exit_code;
    interrupt_install();
    return compact(cli, path, new_path, &compact_options, &run);
}

const struct cli_command cli_compact_command = {
    .name = "compact",
    .summary = "make a new index without deleted vectors, in a better order",
    .usage = "[OPTIONS] INDEX --into NEW",
    .description =
        "Writes the live vectors of INDEX into a new index. Deleted ones are dropped, the links around them mended,\n"
        "every vector can be reached, and neighbours lie close together in the file. INDEX is only read, at its "
        "newest\n"
        "checkpoint; it may be open for writing, so this also makes a backup of a live index. NEW has an identity of\n"
        "its own and the same keys. After a failure or Ctrl-C there is no NEW.\n",
    .examples = "  rhumb compact images.rhumb --into smaller.rhumb\n",
    .run = run,
};
