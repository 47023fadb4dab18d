/* delete_command.c - `rhumb delete`: takes keys out of an index, all or none: as one batch, after all were looked up.
 * Fails with the exit codes of cli.h. */
#include <inttypes.h>

#include "api/cli/cli.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/units.h"
#include "api/cli/key_list.h"

struct deletion {
    const char *index_path;
    struct key_source source;
    bool ignores_absent;
    uint64_t deleted_count, absent_count;
};

static bool go_on(void *context, uint64_t done_count, uint64_t total_count) {
    (void)context, (void)done_count, (void)total_count;
    return !interrupt_requested();
}

static int delete_keys(struct cli *cli, rhumb_index *index, const struct key_list *list, struct deletion *deletion) {
    uint64_t absent_first = 0;
    const int exit_code = key_list_count_absent(list, cli, index, &deletion->absent_count, &absent_first);
    if (exit_code != CLI_OK) return exit_code;
    if (deletion->absent_count > 0 && !deletion->ignores_absent)
        return cli_fail(cli, CLI_PROBLEM,
                        "%" PRIu64 " of %zu keys are not in the index, the first is %" PRIu64
                        "; nothing was deleted (--ignore-absent passes over such keys)",
                        deletion->absent_count, list->count, absent_first);
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.progress = go_on;
    rhumb_write_report report;
    const rhumb_status status =
        rhumb_index_delete_batch(index, list->keys, list->count, &options, &report, sizeof report);
    if (status == RHUMB_E_CANCELLED) return cli_fail(cli, CLI_INTERRUPTED, "interrupted: nothing was deleted");
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot delete");
    deletion->deleted_count = report.deleted_count;
    return CLI_OK;
}

static void abandon_checkpoint(void *context) {
    struct cli *cli = context;
    cli_fail(
        cli, CLI_INTERRUPTED,
        "interrupted: all deletes are durable in the log, and the next opening for writing brings them to the index");
    cli_abandon(cli);
}

/* Makes the deletes, which are durable, a part of the index. */
static int finish(struct cli *cli, rhumb_index *index) {
    interrupt_call_begin(abandon_checkpoint, cli);
    const rhumb_status status = rhumb_index_checkpoint(index);
    interrupt_call_end();
    if (status == RHUMB_OK) return CLI_OK;
    const rhumb_error cause = *rhumb_error_last();
    return cli_fail(cli, CLI_PROBLEM,
                    "all deletes are durable in the log, and the next opening for writing brings them to the index; "
                    "only the checkpoint at the end has failed: %s: %s",
                    cause.path, cause.message);
}

static void report(struct cli *cli, const struct deletion *deletion, rhumb_index *index) {
    struct units_text deleted, absent, count;
    json_text(&cli->writer, "index", deletion->index_path);
    json_u64(&cli->writer, "deleted", deletion->deleted_count);
    json_u64(&cli->writer, "absent", deletion->absent_count);
    json_u64(&cli->writer, "count", rhumb_index_count(index));
    if (cli->json) return;
    printf("deleted      %s vectors\n", units_count(&deleted, deletion->deleted_count));
    if (deletion->absent_count > 0) printf("absent       %s keys\n", units_count(&absent, deletion->absent_count));
    printf("index        %s vectors\n", units_count(&count, rhumb_index_count(index)));
}

static int delete_run(struct cli *cli, struct deletion *deletion) {
    struct key_list list;
    rhumb_index *index = NULL;
    int exit_code = key_list_open(&list, cli, &deletion->source);
    if (exit_code == CLI_OK) exit_code = cli_open_index(cli, deletion->index_path, false, &index);
    if (exit_code == CLI_OK) {
        key_list_sort(&list);
        exit_code = delete_keys(cli, index, &list, deletion);
        if (exit_code == CLI_OK) exit_code = finish(cli, index);
        if (exit_code == CLI_OK) report(cli, deletion, index);
        exit_code = cli_close_index(cli, index, exit_code);
        if (exit_code != CLI_OK) cli_tell_state(cli, deletion->index_path);
    }
    key_list_close(&list);
    return exit_code;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct deletion deletion = {.index_path = NULL};
    const struct args_option options[] = {
        KEY_LIST_OPTIONS(&deletion.source),
        {"ignore-absent", 0, ARGS_FLAG, &deletion.ignores_absent, NULL,
         "pass over keys that the index lacks; without it they are a\nfailure, and nothing is deleted"},
        CLI_COMMON_OPTIONS(cli),
    };
    const struct cli_typed typed = {command, argument_count, argument_texts};
    int exit_code;
    if (key_source_parse(&deletion.source, cli, &typed, options, &exit_code)) {
        deletion.index_path = deletion.source.index_path;
        exit_code = delete_run(cli, &deletion);
    }
    key_source_close(&deletion.source);
    return exit_code;
}

const struct cli_command cli_delete_command = {
    .name = "delete",
    .summary = "delete the vectors of keys",
    .usage = "[OPTIONS] INDEX [KEY...]",
    .description =
        "Deletes the vectors of the keys that are named and of those in --keys FILE, all or none. Their space in the\n"
        "file is used again after a compaction ('rhumb compact'), which also begins by itself when many are deleted.\n"
        "Exit code 1: the index lacks one of the keys, and nothing was deleted; or all is durable in the log, and "
        "only\n"
        "the checkpoint at the end has failed.\n",
    .examples = "  rhumb delete shop.rhumb 7 42\n"
                "  rhumb delete shop.rhumb --keys gone_ids.npy --ignore-absent\n",
    .run = run,
};
