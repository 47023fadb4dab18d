/* add_command.c - `rhumb add`: the rows of a file into an index that exists. Fails with the exit codes of cli.h; a
 * failure or an interruption on the way leaves the rows inserted so far in the index. */
#include <stdio.h>

#include "cli.h"
#include "ingest.h"
#include "vectors.h"

struct add_arguments {
    const char *index_path, *rows_path;
    const char *keys_path, *format_name, *hdf5_name;
    uint32_t thread_count;
    uint64_t row_limit, checkpoint_every, first_key;
    bool skip_existing;
};

/* Searches use this number for "none", so it is not a useful key. */
#define FIRST_KEY_UNSET UINT64_MAX

static int check_fit(struct cli *cli, const struct add_arguments *arguments, const rhumb_index_options *created,
                     const struct dataset_info *info) {
    const int exit_code = vectors_check(cli, info, created, arguments->index_path);
    if (exit_code != CLI_OK) return exit_code;
    const rhumb_metric metric = rhumb_metric_from_name(info->distance);
    if (metric && metric != created->metric)
        cli_note(cli, "note: %s is meant for %s, the index measures %s", info->path, info->distance,
                 rhumb_metric_name(created->metric));
    return CLI_OK;
}

/* How to continue: the keys show which rows are in the index. */
static int tell_interrupted(struct cli *cli, const struct ingest_options *ingest, const struct ingest_result *result) {
    char option[48] = "";
    if (!ingest->keys) snprintf(option, sizeof option, "--first-key %llu and ", (unsigned long long)ingest->first_key);
    return cli_fail(cli, CLI_INTERRUPTED,
                    "interrupted: %llu of %llu vectors were added and are safe; continue with the same command and "
                    "%s--skip-existing",
                    (unsigned long long)result->inserted_count, (unsigned long long)result->row_count, option);
}

static int add(struct cli *cli, const struct add_arguments *arguments) {
    struct dataset *rows = NULL, *keys = NULL;
    rhumb_index *index = NULL;
    rhumb_index_stats stats;
    rhumb_index_options created;
    int exit_code = cli_open_dataset(cli, arguments->rows_path, arguments->format_name, arguments->hdf5_name,
                                     DATASET_PART_TRAIN, &rows);
    if (exit_code != CLI_OK) goto done;
    const struct dataset_info *info = dataset_info_get(rows);
    if (arguments->keys_path) exit_code = ingest_open_keys(cli, arguments->keys_path, info->row_count, &keys);
    if (exit_code == CLI_OK) exit_code = cli_open_index(cli, arguments->index_path, false, &index);
    if (exit_code != CLI_OK) goto done;
    rhumb_status status = rhumb_index_stats_get(index, &stats, sizeof stats);
    if (status == RHUMB_OK) status = rhumb_index_options_get(index, &created, sizeof created);
    exit_code = status == RHUMB_OK ? check_fit(cli, arguments, &created, info)
                                   : cli_fail_index(cli, status, "cannot see what the index is");
    if (exit_code != CLI_OK) goto done;

    json_text(&cli->writer, "index", arguments->index_path);
    cli_json_dataset(cli, "input", rows);
    const struct ingest_options ingest = {
        .keys = keys,
        .element = created.element,
        /* As the library numbers vectors without keys. */
        .first_key = arguments->first_key == FIRST_KEY_UNSET ? stats.key_next : arguments->first_key,
        .row_limit = arguments->row_limit,
        .checkpoint_every = arguments->checkpoint_every,
        .thread_count = arguments->thread_count,
        .skip_existing = arguments->skip_existing,
    };
    struct ingest_result result;
    exit_code = ingest_run(cli, index, rows, &ingest, &result);
    ingest_report(cli, &result, index);
    if (exit_code == CLI_INTERRUPTED) exit_code = tell_interrupted(cli, &ingest, &result);
done:
    exit_code = cli_close_index(cli, index, exit_code);
    dataset_close(keys);
    dataset_close(rows);
    return exit_code;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct add_arguments arguments = {.row_limit = UINT64_MAX, .first_key = FIRST_KEY_UNSET};
    const struct args_option options[] = {
        {"keys", 0, ARGS_TEXT, &arguments.keys_path, "FILE", "a key for each row: one column of integers (npy, ivecs)"},
        {"first-key", 0, ARGS_U64, &arguments.first_key, "N",
         "keys are N, N+1, ... Default: one above the largest key ever\ninserted"},
        {"skip-existing", 0, ARGS_FLAG, &arguments.skip_existing, NULL,
         "pass over rows whose keys the index has; without it they are\na failure"},
        {"threads", 't', ARGS_U32, &arguments.thread_count, "N", "default: one per processor"},
        {"checkpoint-every", 0, ARGS_U64, &arguments.checkpoint_every, "N",
         "make the work durable after every N vectors. Default: at the\nend only"},
        {"limit", 0, ARGS_U64, &arguments.row_limit, "N", "only the first N rows"},
        {"format", 0, ARGS_TEXT, &arguments.format_name, "NAME", "of FILE, when its extension does not say it"},
        {"dataset", 0, ARGS_TEXT, &arguments.hdf5_name, "NAME", "of an HDF5 file. Default: train"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *paths[2];
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, paths, 2, &exit_code)) return exit_code;
    arguments.index_path = paths[0];
    arguments.rows_path = paths[1];
    if (arguments.keys_path && arguments.first_key != FIRST_KEY_UNSET)
        return cli_fail(cli, CLI_USAGE, "--keys and --first-key exclude each other");
    return add(cli, &arguments);
}

const struct cli_command cli_add_command = {
    .name = "add",
    .summary = "add the vectors of a file to an index",
    .usage = "[OPTIONS] INDEX FILE",
    .description =
        "Inserts every row of FILE into the index INDEX, which other processes may search concurrently. Ctrl-C\n"
        "stops in good order, as with build.\n",
    .examples = "  rhumb add images.rhumb more-images.npy\n"
                "  rhumb add shop.rhumb new-products.fvecs --keys new_product_ids.npy\n"
                "  rhumb add big.rhumb base.u8bin --first-key 0 --skip-existing    (continues an interrupted build)\n",
    .run = run,
};
