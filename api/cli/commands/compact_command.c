/* compact_command.c - `rhumb compact`: an index without deleted vectors and in a better order. With --into it is a new
 * file, and the old one, which may be in use, is only read; without, the index is compacted where it is. */
#include <stdio.h>
#include <string.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/codes_choice.h"
#include "api/cli/console/units.h"
#include "api/cli/key_filter.h"

static const struct {
    const char *name;
    rhumb_order order;
} orders[] = {
    {"bisection", RHUMB_ORDER_BISECTION}, {"window", RHUMB_ORDER_WINDOW},
    {"breadth", RHUMB_ORDER_BREADTH},     {"rcm", RHUMB_ORDER_RCM},
    {"keep", RHUMB_ORDER_KEEP},
};

static int choose_order(struct cli *cli, const char *name, rhumb_order *order) {
    if (!name) return CLI_OK;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(orders[i].name, name) != 0) continue;
        *order = orders[i].order;
        return CLI_OK;
    }
    return cli_fail(cli, CLI_USAGE, "--order must be bisection, window, breadth, rcm or keep; found '%s'", name);
}

/* The report of both ways of compacting. */
static void print_counts(struct cli *cli, const rhumb_compact_report *report) {
    struct json_writer *json = &cli->writer;
    struct units_text a, b;
    json_u64(json, "count", report->count);
    json_u64(json, "dropped_count", report->dropped_count);
    json_u64(json, "repaired_count", report->repaired_count);
    json_u64(json, "reconnected_count", report->reconnected_count);
    json_u64(json, "unreachable_count", report->unreachable_count);
    json_u64(json, "left_out_count", report->left_out_count);
    if (cli->json) return;
    printf("dropped      %s deleted nodes; %s lists had named them\n", units_count(&a, report->dropped_count),
           units_count(&b, report->repaired_count));
    printf("reconnected  %s nodes that no path had led to\n", units_count(&a, report->reconnected_count));
}

static void print(struct cli *cli, const char *path, const char *new_path, const rhumb_compact_report *report,
                  double seconds) {
    struct json_writer *json = &cli->writer;
    struct units_text a, b;
    json_text(json, "index", path);
    json_text(json, "into", new_path);
    json_u64(json, "epoch", report->epoch);
    if (!cli->json) printf("index        %s: checkpoint %llu\n", path, (unsigned long long)report->epoch);
    print_counts(cli, report);
    json_double(json, "seconds", seconds);
    if (cli->json) return;
    printf("new index    %s: %s vectors (%s)\n", new_path, units_count(&a, report->count), units_duration(&b, seconds));
}

static void print_in_place(struct cli *cli, const char *path, const rhumb_compact_report *report,
                           const uint64_t file_bytes[2], double seconds) {
    struct json_writer *json = &cli->writer;
    struct units_text a, b;
    json_text(json, "index", path);
    print_counts(cli, report);
    json_u64(json, "file_bytes_before", file_bytes[0]);
    json_u64(json, "file_bytes", file_bytes[1]);
    json_double(json, "seconds", seconds);
    if (cli->json) return;
    printf("index        %s: %s vectors (%s)\n", path, units_count(&a, report->count), units_duration(&b, seconds));
    printf("file         %s, before %s\n", units_bytes(&a, file_bytes[1]), units_bytes(&b, file_bytes[0]));
}

static rhumb_status file_bytes_of(rhumb_index *index, uint64_t *file_bytes) {
    rhumb_index_stats stats;
    const rhumb_status status = rhumb_index_stats_get(index, &stats, sizeof stats);
    if (status == RHUMB_OK) *file_bytes = stats.file_bytes;
    return status;
}

static int compact_in_place(struct cli *cli, const char *path, const rhumb_compact_options *options,
                            struct call_progress *progress) {
    rhumb_index *index = NULL;
    rhumb_compact_report report;
    uint64_t file_bytes[2] = {0, 0};
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.compact_dead_share = 1; /* once is enough */
    const double start = units_now();
    rhumb_status status = rhumb_index_open(path, &open_options, &index);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot open the index");
    status = file_bytes_of(index, &file_bytes[0]);
    if (status == RHUMB_OK) status = rhumb_index_compact(index, options, &report, sizeof report);
    if (status == RHUMB_OK) status = file_bytes_of(index, &file_bytes[1]);
    call_progress_end(progress);
    int exit_code = CLI_OK;
    if (status == RHUMB_E_CANCELLED) exit_code = cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s is as it was", path);
    if (status != RHUMB_OK && exit_code == CLI_OK) exit_code = cli_fail_index(cli, status, "cannot compact");
    exit_code = cli_close_index(cli, index, exit_code);
    if (exit_code == CLI_OK) print_in_place(cli, path, &report, file_bytes, units_now() - start);
    return exit_code;
}

static int compact(struct cli *cli, const char *path, const char *new_path, const rhumb_compact_options *options,
                   struct call_progress *progress) {
    rhumb_compact_report report;
    const double start = units_now();
    const rhumb_status status = rhumb_index_compact_into(path, new_path, options, &report, sizeof report);
    call_progress_end(progress);
    if (status == RHUMB_E_CANCELLED)
        return cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made, %s is as it was", new_path, path);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot compact");
    print(cli, path, new_path, &report, units_now() - start);
    return CLI_OK;
}

/* Into a new file, of all keys or of those that a file names. */
static int compact_into(struct cli *cli, const char *path, const char *new_path, rhumb_compact_options *options,
                        const char *keys_path, bool exclude) {
    struct key_filter filter = {0};
    int exit_code = CLI_OK;
    if (keys_path) {
        exit_code = key_filter_open(&filter, cli, keys_path, exclude);
        options->filter = &filter.filter;
    }
    if (exit_code == CLI_OK) exit_code = compact(cli, path, new_path, options, options->progress_context);
    key_filter_close(&filter);
    return exit_code;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct call_progress progress = {.cli = cli};
    const char *new_path = NULL;
    const char *order_name = NULL;
    const char *codes_name = NULL;
    const char *fused_name = NULL;
    const char *filter_path = NULL;
    const char *exclude_path = NULL;
    rhumb_compact_options compact_options;
    rhumb_compact_options_init(&compact_options, sizeof compact_options);
    compact_options.progress = call_progress_tell;
    compact_options.progress_context = &progress;
    const struct args_option options[] = {
        {"into", 0, ARGS_TEXT, &new_path, "NEW", "make a new file, which must not exist, and leave INDEX alone"},
        {"order", 0, ARGS_TEXT, &order_name, "ORDER",
         "how nodes are to lie: bisection (what searches visit\ntogether, default), window (neighbours together), "
         "breadth,\nrcm, or keep (as they lie now)"},
        {"second-pass", 0, ARGS_FLAG, &compact_options.second_pass, NULL,
         "search new neighbours for every node: takes as long as building"},
        {"codes", 0, ARGS_TEXT, &codes_name, "CODES",
         "codes of vectors that the index has afterwards: none, 4 or 8.\nDefault: those that it has"},
        {"fused", 0, ARGS_TEXT, &fused_name, "BITS",
         "fused rows that it has afterwards: none, 1 or 2 bits.\nDefault: those that it has"},
        {"filter-keys", 0, ARGS_TEXT, &filter_path, "FILE", "with --into: take over the keys in FILE alone"},
        {"exclude-keys", 0, ARGS_TEXT, &exclude_path, "FILE", "with --into: take over all keys but those in FILE"},
        {"threads", 't', ARGS_U32, &compact_options.thread_count, "N", "default: one per processor"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *path;
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    exit_code = choose_order(cli, order_name, &compact_options.order);
    if (exit_code == CLI_OK) exit_code = codes_choice_read(cli, codes_name, &compact_options.codes);
    if (exit_code == CLI_OK) exit_code = fused_choice_read(cli, fused_name, &compact_options.fused);
    if (exit_code != CLI_OK) return exit_code;
    if (filter_path && exclude_path)
        return cli_fail(cli, CLI_USAGE, "--filter-keys and --exclude-keys exclude each other");
    const char *keys_path = filter_path ? filter_path : exclude_path;
    if (keys_path && !new_path) return cli_fail(cli, CLI_USAGE, "--filter-keys and --exclude-keys need --into");
    if (new_path) return compact_into(cli, path, new_path, &compact_options, keys_path, exclude_path != NULL);
    compact_options.shrink = true; /* no other caller waits for the disk, and the user sees a smaller file */
    return compact_in_place(cli, path, &compact_options, &progress);
}

const struct cli_command cli_compact_command = {
    .name = "compact",
    .summary = "drop deleted vectors and put neighbours together",
    .usage = "[OPTIONS] INDEX [--into NEW]",
    .description =
        "Compacts INDEX: deleted vectors are dropped, the links around them mended, every vector can be reached, and\n"
        "neighbours lie close together in the file, which becomes smaller. Keys stay what they are. It needs free "
        "disk\n"
        "space for the vectors once more; after a failure, a crash or Ctrl-C the index is as it was, or compacted.\n"
        "Readers may continue; no other process may have INDEX open for writing.\n"
        "\n"
        "With --into the result is a new index with an identity of its own, and INDEX is only read, at its newest\n"
        "checkpoint. It may be open for writing, so this also makes a backup of a live index. After a failure there\n"
        "is no NEW.\n",
    .examples = "  rhumb compact images.rhumb\n"
                "  rhumb compact images.rhumb --into backup.rhumb\n"
                "  rhumb compact images.rhumb --into cats.rhumb --filter-keys cat-keys.npy\n",
    .run = run,
};
