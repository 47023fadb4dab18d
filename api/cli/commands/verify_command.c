/* verify_command.c - `rhumb verify`: reads all of an index and checks every rule it must keep. Opens read-only, so it
 * changes nothing. Exit code 1 when the index opened but has errors, 4 when it does not even open. */
#include <stdio.h>

#include "api/cli/call_progress.h"
#include "api/cli/cli.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"

static void print_report(struct cli *cli, const char *path, const rhumb_verify_report *report, bool whole,
                         double seconds) {
    struct json_writer *json = &cli->writer;
    json_text(json, "index", path);
    json_bool(json, "whole", whole);
    json_u64(json, "chunk_count", report->chunk_count);
    json_u64(json, "checksum_error_count", report->checksum_error_count);
    json_u64(json, "node_count", report->node_count);
    json_u64(json, "link_count", report->link_count);
    json_u64(json, "structure_error_count", report->structure_error_count);
    json_u64(json, "unreachable_count", report->unreachable_count);
    json_u64(json, "log_record_count", report->log_record_count);
    json_u64(json, "log_error_count", report->log_error_count);
    json_text(json, "first_error", report->first_error);
    json_double(json, "seconds", seconds);
    if (cli->json) return;
    struct units_text chunks, nodes, links, errors, time;
    printf("index        %s: %s (%s)\n", path, whole ? "whole" : "DAMAGED", units_duration(&time, seconds));
    printf("checksums    %s chunks, %s wrong\n", units_count(&chunks, report->chunk_count),
           units_count(&errors, report->checksum_error_count));
    printf("graph        %s nodes, %s links, %s errors\n", units_count(&nodes, report->node_count),
           units_count(&links, report->link_count), units_count(&errors, report->structure_error_count));
    printf("reachable    all but %s nodes\n", units_count(&errors, report->unreachable_count));
    if (report->log_record_count + report->log_error_count > 0)
        printf("log          %s records, %s damaged\n", units_count(&chunks, report->log_record_count),
               units_count(&errors, report->log_error_count));
    if (report->first_error[0]) printf("first error  %s\n", report->first_error);
}

static int verify(struct cli *cli, const char *path, rhumb_index *index) {
    rhumb_verify_report report = {0};
    struct call_progress progress = {.cli = cli};
    rhumb_verify_options options;
    rhumb_verify_options_init(&options, sizeof options);
    options.progress = call_progress_tell;
    options.progress_context = &progress;
    const double start = units_now();
    interrupt_call_begin(cli_abandon, cli);
    const rhumb_status status = rhumb_index_verify_with(index, &options, &report, sizeof report);
    interrupt_call_end();
    call_progress_end(&progress);
    if (status == RHUMB_E_CANCELLED) return cli_fail(cli, CLI_INTERRUPTED, "interrupted: not all was checked");
    if (status != RHUMB_OK && status != RHUMB_E_CORRUPT) return cli_fail_index(cli, status, "cannot verify");
    print_report(cli, path, &report, status == RHUMB_OK, units_now() - start);
    return status == RHUMB_OK ? CLI_OK : CLI_PROBLEM;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    const struct args_option options[] = {CLI_COMMON_OPTIONS(cli)};
    const char *path;
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &path, 1, &exit_code)) return exit_code;
    rhumb_index *index = NULL;
    exit_code = cli_open_index(cli, path, true, &index);
    if (exit_code != CLI_OK) return exit_code;
    exit_code = verify(cli, path, index);
    return cli_close_index(cli, index, exit_code);
}

const struct cli_command cli_verify_command = {
    .name = "verify",
    .summary = "check an index from end to end",
    .usage = "[OPTIONS] INDEX",
    .description =
        "Reads the whole index: the checksum of every chunk, every link of the graph, and whether every vector\n"
        "can be reached. Exit code 0: whole; 1: it has errors, and the first is printed; 4: it cannot be opened.\n"
        "Changes nothing, and works while another process writes.\n",
    .examples = "  rhumb verify images.rhumb\n"
                "  rhumb verify images.rhumb --json | python3 -m json.tool\n",
    .run = run,
};
