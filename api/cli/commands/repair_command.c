/* repair_command.c - `rhumb repair`: a new index from what is left of a damaged one. The old file is only read. Exit
 * code 1 when the new index was made and something is missing in it, or may be. */
#include <stdio.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/console/units.h"

/* Whether the new index has all that the old one had, as far as can be known. */
static bool is_complete(const rhumb_repair_report *report) {
    return report->lost_count == 0 && report->duplicate_count == 0 && report->doubtful_count == 0 &&
           report->unproved_count == 0 && report->log_left_out_count == 0 && !report->older_version &&
           report->log_note[0] == '\0';
}

static void print_json(struct json_writer *json, const char *path, const char *new_path,
                       const rhumb_repair_report *report, double seconds) {
    json_text(json, "index", path);
    json_text(json, "into", new_path);
    json_bool(json, "complete", is_complete(report));
    json_u64(json, "epoch", report->epoch);
    json_bool(json, "older_version", report->older_version);
    json_text(json, "version_note", report->version_note);
    json_bool(json, "checksums_lost", report->checksums_lost);
    json_u64(json, "chunk_count", report->chunk_count);
    json_u64(json, "damaged_chunk_count", report->damaged_chunk_count);
    json_text(json, "first_damage", report->first_damage);
    json_u64(json, "slot_count", report->slot_count);
    json_u64(json, "dead_count", report->dead_count);
    json_u64(json, "saved_count", report->saved_count);
    json_u64(json, "lost_count", report->lost_count);
    json_u64(json, "lost_vector_count", report->lost_vector_count);
    json_u64(json, "lost_key_count", report->lost_key_count);
    json_u64(json, "duplicate_count", report->duplicate_count);
    json_u64(json, "doubtful_count", report->doubtful_count);
    json_u64(json, "unproved_count", report->unproved_count);
    json_u64(json, "lists_rebuilt_count", report->lists_rebuilt_count);
    json_u64(json, "relinked_count", report->relinked_count);
    json_u64(json, "log_carried_count", report->log_carried_count);
    json_u64(json, "log_left_out_count", report->log_left_out_count);
    json_text(json, "log_note", report->log_note);
    json_u64(json, "count", report->count);
    json_u64(json, "unreachable_count", report->unreachable_count);
    json_double(json, "seconds", seconds);
}

/* Only lines that say something. */
static void print_text(const char *path, const char *new_path, const rhumb_repair_report *report, double seconds) {
    struct units_text a, b, c;
    printf("index        %s: checkpoint %llu, %s chunks, %s damaged\n", path, (unsigned long long)report->epoch,
           units_count(&a, report->chunk_count), units_count(&b, report->damaged_chunk_count));
    if (report->older_version) printf("older        %s\n", report->version_note);
    if (report->first_damage[0]) printf("first damage %s\n", report->first_damage);
    printf("saved        %s of %s vectors\n", units_count(&a, report->saved_count),
           units_count(&b, report->slot_count - report->dead_count));
    if (report->lost_count > 0)
        printf("LOST         %s: %s vectors are damaged, the keys of %s\n", units_count(&a, report->lost_count),
               units_count(&b, report->lost_vector_count), units_count(&c, report->lost_key_count));
    if (report->duplicate_count > 0)
        printf("duplicates   %s keys were there twice\n", units_count(&a, report->duplicate_count));
    if (report->doubtful_count > 0)
        printf("doubtful     %s may have been deleted before\n", units_count(&a, report->doubtful_count));
    if (report->unproved_count > 0)
        printf("unproved     %s are covered by no checksum\n", units_count(&a, report->unproved_count));
    printf("links        %s nodes linked again, the lists of %s were damaged\n",
           units_count(&a, report->relinked_count), units_count(&b, report->lists_rebuilt_count));
    if (report->log_carried_count + report->log_left_out_count > 0)
        printf("log          %s operations carried over, %s left out\n", units_count(&a, report->log_carried_count),
               units_count(&b, report->log_left_out_count));
    if (report->log_note[0]) printf("log          %s\n", report->log_note);
    printf("new index    %s: %s vectors (%s)\n", new_path, units_count(&a, report->count), units_duration(&b, seconds));
}

static int repair(struct cli *cli, const char *path, const char *new_path, const rhumb_repair_options *options,
                  struct call_progress *progress) {
    rhumb_repair_report report;
    const double start = units_now();
    const rhumb_status status = rhumb_index_repair(path, new_path, options, &report, sizeof report);
    call_progress_end(progress);
    if (status == RHUMB_E_CANCELLED)
        return cli_fail(cli, CLI_INTERRUPTED, "interrupted: %s was not made, %s is as it was", new_path, path);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot repair");
    if (cli->json)
        print_json(&cli->writer, path, new_path, &report, units_now() - start);
    else
        print_text(path, new_path, &report, units_now() - start);
    return is_complete(&report) ? CLI_OK : CLI_PROBLEM;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct call_progress progress = {.cli = cli};
    const char *new_path = NULL;
    rhumb_repair_options repair_options;
    rhumb_repair_options_init(&repair_options, sizeof repair_options);
    repair_options.progress = call_progress_tell;
    repair_options.progress_context = &progress;
    const struct args_option options[] = {
        {"into", 0, ARGS_TEXT, &new_path, "NEW", "the file to make; it must not exist. Required"},
        {"threads", 't', ARGS_U32, &repair_options.thread_count, "N", "default: one per processor"},
        {"strict", 0, ARGS_FLAG, &repair_options.strict, NULL,
         "fail rather than take a vector that is doubtful or not proved"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *path;
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    if (!new_path) return cli_fail(cli, CLI_USAGE, "--into NEW is missing: a repair never changes the old file");
    return repair(cli, path, new_path, &repair_options, &progress);
}

const struct cli_command cli_repair_command = {
    .name = "repair",
    .summary = "make a new index of what is left of a damaged one",
    .usage = "[OPTIONS] INDEX --into NEW",
    .description =
        "Reads INDEX and its log without trusting them, and saves every vector that checksums prove to be intact into\n"
        "a new index. Nodes with damaged links are linked again. INDEX and its log are not changed; it must not be "
        "open "
        "for\n"
        "writing. What cannot be proved but is likely to be right is saved too and counted: 'doubtful' is what may\n"
        "have been deleted before, 'unproved' what no checksum covers.\n"
        "Exit code 0: NEW has everything; 1: NEW was made, but something is lost, doubtful, not proved or from an "
        "older\n"
        "checkpoint, and the output says what; 4: nothing can be made of INDEX, NEW exists already, or INDEX is in "
        "use.\n"
        "After a failure or Ctrl-C there is no NEW.\n",
    .examples = "  rhumb repair images.rhumb --into saved.rhumb\n"
                "  rhumb repair images.rhumb --into saved.rhumb --json | python3 -m json.tool\n",
    .run = run,
};
