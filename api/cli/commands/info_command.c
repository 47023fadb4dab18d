/* info_command.c - `rhumb info`: describes an index. What the file and its log say of themselves is read without a
 * handle, so that damaged files are described too; a reader adds what only a handle knows. Works while another process
 * writes. Fails with the exit codes of cli.h, after it has printed what is known.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/cli/cli.h"
#include "api/cli/codes_choice.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"
#include "api/cli/curve.h"
#include "api/cli/residency.h"
#include "api/cli/users.h"
#include "api/cli/watch.h"

struct description {
    const char *path;
    rhumb_index_info file;
    rhumb_index_stats stats; /* of a reader, if has_stats */
    bool has_stats;
    rhumb_recall_curve curve; /* if it has points */
    bool knows_residency;
    uint64_t resident_bytes;
    char uuid[40], created[40], creator[32], metric[80];
};

/* Names are NULL for numbers that this library does not know. */
static const char *or_unknown(const char *name) { return name ? name : "unknown"; }

static bool knows(const struct description *index, uint32_t what) { return (index->file.known & what) != 0; }

static void make_texts(struct description *index) {
    const rhumb_index_info *file = &index->file;
    char *out = index->uuid;
    for (int i = 0; i < 16; i++)
        out += sprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", file->uuid[i]);
    const time_t seconds = (time_t)(file->created_unix_ns / 1000000000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || !strftime(index->created, sizeof index->created, "%Y-%m-%dT%H:%M:%SZ", &utc))
        strcpy(index->created, "unknown");
    snprintf(index->creator, sizeof index->creator, "%u.%u.%u", file->creator_version / 1000000,
             file->creator_version / 1000 % 1000, file->creator_version % 1000);
    snprintf(index->metric, sizeof index->metric, "%s%s%s", or_unknown(rhumb_metric_name(file->metric)),
             file->custom_name[0] ? " " : "", file->custom_name);
}

/* ---- JSON: members that are not known are left out ---- */

static void print_json_content(struct json_writer *json, const struct description *index) {
    const rhumb_index_info *file = &index->file;
    json_object_begin(json, "options");
    json_u64(json, "dim", file->dim);
    json_text(json, "metric", or_unknown(rhumb_metric_name(file->metric)));
    if (file->custom_name[0]) json_text(json, "custom_name", file->custom_name);
    json_text(json, "element", or_unknown(rhumb_element_name(file->element)));
    json_u64(json, "M", file->M);
    json_u64(json, "M0", file->M0);
    json_u64(json, "ef_construction", file->ef_construction);
    json_u64(json, "ef_search", file->ef_search);
    json_u64(json, "level_max", file->level_max);
    json_double(json, "level_scale", file->level_scale);
    json_u64(json, "seed", file->seed);
    json_bool(json, "extend_candidates", file->extend_candidates);
    json_bool(json, "keep_pruned", file->keep_pruned);
    json_bool(json, "normalise", file->normalise);
    json_text(json, "codes", codes_choice_name(file->codes));
    json_text(json, "fused", fused_choice_name(file->fused));
    json_end(json);
    json_u64(json, "count", file->count);
    json_u64(json, "deleted_count", file->deleted_count);
    json_u64(json, "slot_count", file->count + file->deleted_count);
    json_u64(json, "level_top", file->level_top);
    json_u64(json, "lsn", file->lsn);
    json_u64(json, "key_next", file->key_next);
}

static void print_json_handle(struct json_writer *json, const rhumb_index_stats *stats) {
    json_array_begin(json, "level_counts");
    for (uint32_t level = 0; level <= stats->level_top && level <= RHUMB_LEVEL_MAX; level++)
        json_u64(json, NULL, stats->level_counts[level]);
    json_end(json);
    json_u64(json, "fused_row_count", stats->fused_row_count);
    json_u64(json, "fused_stale_count", stats->fused_stale_count);
    json_u64(json, "mapping_count", stats->mapping_count);
    json_text(json, "io_backend", stats->io_backend);
    json_text(json, "simd", stats->simd);
}

static void print_json(struct cli *cli, const struct description *index) {
    struct json_writer *json = &cli->writer;
    const rhumb_index_info *file = &index->file;
    char history[20];
    snprintf(history, sizeof history, "%016" PRIx64, file->history);
    json_text(json, "index", index->path);
    if (knows(index, RHUMB_INFO_VERSION)) {
        json_text(json, "uuid", index->uuid);
        json_text(json, "created", index->created);
        json_text(json, "creator_version", index->creator);
        json_u64(json, "format_version", file->format_version);
        json_u64(json, "epoch", file->epoch);
        json_text(json, "history", history);
        json_bool(json, "log_expected", file->log_expected);
    }
    if (knows(index, RHUMB_INFO_CONTENT)) print_json_content(json, index);
    json_u64(json, "file_bytes", file->file_bytes);
    if (knows(index, RHUMB_INFO_SPACE)) json_u64(json, "file_free_bytes", file->file_free_bytes);
    if (index->knows_residency) json_u64(json, "resident_bytes", index->resident_bytes);
    if (knows(index, RHUMB_INFO_CONTENT)) {
        json_bool(json, "log_present", file->log_present);
        json_u64(json, "log_bytes", file->log_bytes);
    }
    if (knows(index, RHUMB_INFO_LOG)) json_u64(json, "log_pending_count", file->log_pending_count);
    if (knows(index, RHUMB_INFO_WRITER)) json_bool(json, "writer_open", file->writer_open);
    if (knows(index, RHUMB_INFO_PINS)) users_json_pins(json, file);
    if (index->has_stats) print_json_handle(json, &index->stats);
    if (index->curve.point_count > 0) curve_print(cli, &index->curve, NULL);
    json_u64(json, "damaged_copy_count", file->damaged_copy_count);
    json_u64(json, "problem_count", file->problem_count);
    json_text(json, "first_problem", file->first_problem);
}

/* ---- text ---- */

static void print_content(const struct description *index) {
    const rhumb_index_info *file = &index->file;
    struct units_text count;
    printf("vectors      %s of %u x %s, metric %s%s\n", units_count(&count, file->count), file->dim,
           or_unknown(rhumb_element_name(file->element)), index->metric, file->normalise ? ", normalised" : "");
    printf("deleted      %s vectors, whose space a compaction releases\n", units_count(&count, file->deleted_count));
    printf("graph        M %u, M0 %u, ef_construction %u, ef_search %u, seed %" PRIu64 "%s%s\n", file->M, file->M0,
           file->ef_construction, file->ef_search, file->seed, file->extend_candidates ? ", extend_candidates" : "",
           file->keep_pruned ? ", keep_pruned" : "");
    printf("codes        %s%s\n", codes_choice_name(file->codes),
           file->codes == RHUMB_CODES_NONE ? "" : " bits for each component");
    if (!index->has_stats) return;
    const rhumb_index_stats *stats = &index->stats;
    struct units_text stale;
    if (stats->fused_row_count > 0)
        printf("fused rows   %s, of these %s stale\n", units_count(&count, stats->fused_row_count),
               units_count(&stale, stats->fused_stale_count));
    printf("levels      ");
    for (uint32_t level = 0; level <= stats->level_top && level <= RHUMB_LEVEL_MAX; level++)
        printf(" %u: %s", level, units_count(&count, stats->level_counts[level]));
    printf("\n");
}

static void print_file(const struct description *index) {
    const rhumb_index_info *file = &index->file;
    struct units_text bytes, unused, resident;
    printf("file         %s", units_bytes(&bytes, file->file_bytes));
    if (knows(index, RHUMB_INFO_SPACE)) printf(", of these %s free", units_bytes(&unused, file->file_free_bytes));
    if (knows(index, RHUMB_INFO_VERSION))
        printf("; checkpoint %" PRIu64 ", history %016" PRIx64, file->epoch, file->history);
    printf("\n");
    if (index->knows_residency)
        printf("in memory    %s of the file (%.0f%%)\n", units_bytes(&resident, index->resident_bytes),
               file->file_bytes ? 100.0 * (double)index->resident_bytes / (double)file->file_bytes : 0.0);
}

static void print_text(struct cli *cli, const struct description *index) {
    const rhumb_index_info *file = &index->file;
    printf("index        %s\n", index->path);
    if (knows(index, RHUMB_INFO_VERSION))
        printf("identity     %s, created %s by rhumb %s, format %u\n", index->uuid, index->created, index->creator,
               file->format_version);
    if (knows(index, RHUMB_INFO_CONTENT)) print_content(index);
    if (index->curve.point_count > 0) curve_print(cli, &index->curve, NULL);
    print_file(index);
    users_print_log(file);
    users_print(file);
    if (file->damaged_copy_count > 0)
        printf("passed over  %u of the copies of superblocks: damaged, as a crash may leave them too\n",
               file->damaged_copy_count);
    if (index->has_stats)
        printf("here         %" PRIu64 " mappings, io %s, simd %s\n", index->stats.mapping_count,
               index->stats.io_backend, index->stats.simd);
    if (file->problem_count > 0)
        printf("DAMAGED      %s (problems in all: %u)\n", file->first_problem, file->problem_count);
}

/* ---- the command ---- */

/* What only a handle knows. A failure to get it is reported after the rest. */
static rhumb_status read_stats(struct cli *cli, struct description *index) {
    rhumb_index *handle = NULL;
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    interrupt_call_begin(cli_abandon, cli); /* it reads the log */
    rhumb_status status = rhumb_index_open(index->path, &options, &handle);
    if (status == RHUMB_OK) status = rhumb_index_stats_get(handle, &index->stats, sizeof index->stats);
    if (status == RHUMB_OK && rhumb_index_recall_get(handle, &index->curve, sizeof index->curve) != RHUMB_OK)
        index->curve.point_count = 0; /* there is none */
    interrupt_call_end();
    index->has_stats = status == RHUMB_OK;
    const rhumb_status closed = rhumb_index_close(handle);
    (void)closed; /* of a reader, which has nothing to write */
    return status;
}

static int describe(struct cli *cli, struct description *index) {
    index->knows_residency = residency_measure(index->path, &index->resident_bytes); /* before it is touched */
    interrupt_call_begin(cli_abandon, cli);                                          /* it reads the log */
    rhumb_status status = rhumb_index_info_get(index->path, &index->file, sizeof index->file);
    interrupt_call_end();
    if (status == RHUMB_E_INVALID) return cli_fail_index_as(cli, CLI_INDEX, status, "cannot describe the index");
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot describe the index");
    status = read_stats(cli, index);
    make_texts(index);
    if (cli->json)
        print_json(cli, index);
    else
        print_text(cli, index);
    /* An index with a custom metric is described like any other. */
    if (status != RHUMB_OK && status != RHUMB_E_METRIC) return cli_fail_index(cli, status, "cannot open the index");
    if (index->file.problem_count > 0)
        return cli_fail(cli, CLI_PROBLEM, "%s: the index can be opened, but has errors: %s", index->path,
                        index->file.first_problem);
    return CLI_OK;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct watch_options watch = {.interval_seconds = -1};
    bool watches = false;
    const struct args_option options[] = {
        {"watch", 'w', ARGS_FLAG, &watches, NULL, "again and again, until Ctrl-C: who uses it, and what is in memory"},
        {"interval", 'i', ARGS_DOUBLE, &watch.interval_seconds, "SECONDS", "how often, with --watch; 1 by default"},
        {"count", 'n', ARGS_U64, &watch.count, "N", "how many times, with --watch; without end by default"},
        CLI_COMMON_OPTIONS(cli)};
    struct description index = {.path = NULL};
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &index.path, 1, &exit_code)) return exit_code;
    if (!watches && (watch.count > 0 || watch.interval_seconds >= 0))
        return cli_fail(cli, CLI_USAGE, "--count and --interval are for --watch");
    if (watch.interval_seconds == -1) watch.interval_seconds = 1;
    return watches ? watch_run(cli, index.path, &watch) : describe(cli, &index);
}

const struct cli_command cli_info_command = {
    .name = "info",
    .summary = "describe an index",
    .usage = "[OPTIONS] INDEX",
    .description =
        "Prints what the index was created with, what it holds, how large it is, how much of it is in the page\n"
        "cache, what its log has, and who uses it: whether a writer has it open, and which checkpoints readers keep,\n"
        "with the processes as far as the system tells them. It reads the newest checkpoint, also while another\n"
        "process writes, and of a damaged file what can be read. It looks at no vector: 'rhumb verify' does.\n"
        "Exit code 1: there are errors, and the index can be opened; 4: it cannot.\n"
        "\n"
        "--watch shows, until Ctrl-C, what changes: checkpoints, the log, readers and what they keep, how much of "
        "each\n"
        "section is in memory, and of each process that reads the index how many pages it found there when it touched\n"
        "them for the first time, how many it had to wait for, and how much was read from the disk for it. With "
        "--json\n"
        "each look is an object on a line of its own; the last line has the exit code.\n",
    .examples = "  rhumb info images.rhumb\n"
                "  rhumb info images.rhumb --json\n"
                "  rhumb info images.rhumb --watch --interval 5\n",
    .run = run,
};
