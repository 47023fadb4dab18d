/* add_command.c - `rhumb add` and `rhumb upsert`: the rows of a file into an index that exists. Fail with the exit
 * codes of cli.h; ingest.h says what a failure leaves, and cli_tell_state tells it. */
#include <stdio.h>

#include "api/cli/cli.h"
#include "api/cli/ingest.h"
#include "api/cli/vectors.h"

struct add_arguments {
    const char *index_path, *rows_path;
    const char *keys_path, *format_name, *hdf5_name;
    uint32_t thread_count;
    uint64_t row_limit, checkpoint_every, first_key;
    bool skip_existing, is_upsert;
};

/* Stands for "none" in results, so it is not a key. */
#define FIRST_KEY_UNSET UINT64_MAX

static int check_fit(struct cli *cli, const struct add_arguments *arguments, const rhumb_index_options *created,
                     const struct dataset_info *info, struct vectors_kind *kind_out) {
    const int exit_code = vectors_check(cli, info, created, arguments->index_path, kind_out);
    if (exit_code != CLI_OK) return exit_code;
    const rhumb_metric metric = rhumb_metric_from_name(info->distance);
    if (metric && metric != created->metric)
        cli_note(cli, "note: %s is meant for %s, the index measures %s", info->path, info->distance,
                 rhumb_metric_name(created->metric));
    return CLI_OK;
}

/* Keys are those of a file, of the rows, or numbers. Without any of them an added row gets the next number, as the
 * library gives it, unless the index ends with these rows already: then an earlier run has added them. */
static int choose_keys(struct cli *cli, const struct add_arguments *arguments, rhumb_index *index, struct dataset *rows,
                       uint64_t key_next, struct ingest_options *ingest) {
    if (arguments->first_key != FIRST_KEY_UNSET) ingest->first_key = arguments->first_key;
    if (ingest->keys || dataset_info_get(rows)->has_keys || arguments->first_key != FIRST_KEY_UNSET) return CLI_OK;
    uint64_t there = 0;
    const int exit_code = ingest_find_tail(cli, index, rows, ingest, key_next, &there);
    ingest->first_key = key_next - there;
    if (there == 0 || exit_code != CLI_OK) return exit_code;
    ingest->skip_existing = true;
    cli_note(cli,
             "note: the last %llu vectors of the index are the first of %s, so they are not added again "
             "(--first-key %llu does)",
             (unsigned long long)there, arguments->rows_path, (unsigned long long)key_next);
    return CLI_OK;
}

/* How to continue: the keys show which rows are in the index. */
static int tell_interrupted(struct cli *cli, const struct ingest_options *ingest, bool has_keys,
                            const struct ingest_result *result) {
    char option[48] = "";
    if (!ingest->keys && !has_keys)
        snprintf(option, sizeof option, "--first-key %llu and ", (unsigned long long)ingest->first_key);
    if (ingest->mode == INGEST_UPSERT)
        return cli_fail(cli, CLI_INTERRUPTED,
                        "interrupted: %llu of %llu vectors were written and are safe; the same "
                        "command writes all",
                        (unsigned long long)result->inserted_count, (unsigned long long)result->row_count);
    if (result->inserted_count == 0)
        return cli_fail(cli, CLI_INTERRUPTED, "interrupted: none of the %llu vectors was added",
                        (unsigned long long)result->row_count);
    return cli_fail(cli, CLI_INTERRUPTED,
                    "interrupted: %llu of %llu vectors were added and are safe; continue with the same command and "
                    "%s--skip-existing",
                    (unsigned long long)result->inserted_count, (unsigned long long)result->row_count, option);
}

static int add_rows(struct cli *cli, const struct add_arguments *arguments, struct dataset *rows,
                    struct dataset *keys) {
    rhumb_index *index = NULL;
    rhumb_index_stats stats;
    struct ingest_result result = {0};
    struct ingest_options ingest = {
        .mode = arguments->is_upsert ? INGEST_UPSERT : INGEST_ADD,
        .keys = keys,
        .row_limit = arguments->row_limit,
        .checkpoint_every = arguments->checkpoint_every,
        .thread_count = arguments->thread_count,
        .skip_existing = arguments->skip_existing,
    };
    const struct dataset_info *info = dataset_info_get(rows);
    int exit_code = cli_open_index(cli, arguments->index_path, false, &index);
    if (exit_code != CLI_OK) return exit_code;
    rhumb_index_options created;
    rhumb_status status = rhumb_index_stats_get(index, &stats, sizeof stats);
    if (status == RHUMB_OK) status = rhumb_index_options_get(index, &created, sizeof created);
    exit_code = status == RHUMB_OK ? check_fit(cli, arguments, &created, info, &ingest.kind)
                                   : cli_fail_index(cli, status, "cannot see what the index is");
    if (exit_code == CLI_OK) exit_code = choose_keys(cli, arguments, index, rows, stats.key_next, &ingest);
    if (exit_code != CLI_OK) return cli_close_index(cli, index, exit_code);

    json_text(&cli->writer, "index", arguments->index_path);
    cli_json_dataset(cli, "input", rows);
    exit_code = ingest_run(cli, index, rows, &ingest, &result);
    if (exit_code == CLI_INTERRUPTED) tell_interrupted(cli, &ingest, info->has_keys, &result);
    ingest_report(cli, &result, exit_code == CLI_OK ? index : NULL);
    const int close_code = cli_close_index(cli, index, exit_code);
    if (close_code != CLI_OK) cli_tell_state(cli, arguments->index_path);
    return close_code;
}

static int add(struct cli *cli, const struct add_arguments *arguments) {
    struct dataset *rows = NULL, *keys = NULL;
    int exit_code = cli_open_dataset(cli, arguments->rows_path, arguments->format_name, arguments->hdf5_name,
                                     DATASET_PART_TRAIN, &rows);
    if (exit_code == CLI_OK && arguments->keys_path)
        exit_code = ingest_open_keys(cli, arguments->keys_path, dataset_info_get(rows)->row_count, &keys);
    const bool is_named = keys || arguments->first_key != FIRST_KEY_UNSET;
    if (exit_code == CLI_OK && arguments->is_upsert && !is_named && !dataset_info_get(rows)->has_keys)
        exit_code = cli_fail(cli, CLI_USAGE, "the rows of %s have no keys; give them with --keys or --first-key",
                             arguments->rows_path);
    if (exit_code == CLI_OK) exit_code = add_rows(cli, arguments, rows, keys);
    dataset_close(keys);
    dataset_close(rows);
    return exit_code;
}

/* Reads the command line into `arguments`, to which the options point, and carries it out. */
static int parse_and_add(struct cli *cli, const struct cli_typed *typed, const struct args_option *options,
                         struct add_arguments *arguments) {
    const char *paths[2];
    int exit_code;
    if (!cli_parse(cli, typed->command, options, typed->count, typed->texts, paths, 2, &exit_code)) return exit_code;
    arguments->index_path = paths[0];
    arguments->rows_path = paths[1];
    if (arguments->keys_path && arguments->first_key != FIRST_KEY_UNSET)
        return cli_fail(cli, CLI_USAGE, "--keys and --first-key exclude each other");
    return add(cli, arguments);
}

#define KEYS_OPTION                                                                                                    \
    "a key for each row: one column of integers (npy, ivecs).\nWithout it rows of jsonl have the keys that they name"

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct add_arguments arguments = {.row_limit = UINT64_MAX, .first_key = FIRST_KEY_UNSET};
    const struct args_option options[] = {
        {"keys", 0, ARGS_TEXT, &arguments.keys_path, "FILE", KEYS_OPTION},
        {"first-key", 0, ARGS_U64, &arguments.first_key, "N",
         "keys are N, N+1, ... Default: one above the largest key ever\ninserted"},
        {"skip-existing", 0, ARGS_FLAG, &arguments.skip_existing, NULL,
         "pass over rows whose keys the index has; without it they are\na failure"},
        {"threads", 't', ARGS_U32, &arguments.thread_count, "N", "default: one per processor"},
        {"checkpoint-every", 0, ARGS_U64, &arguments.checkpoint_every, "N",
         "make a checkpoint after every N vectors. Default: at the end\nonly"},
        {"limit", 0, ARGS_U64, &arguments.row_limit, "N", "only the first N rows"},
        {"format", 0, ARGS_TEXT, &arguments.format_name, "NAME", "of FILE, when its extension does not say it"},
        {"dataset", 0, ARGS_TEXT, &arguments.hdf5_name, "NAME", "of an HDF5 file. Default: train"},
        CLI_COMMON_OPTIONS(cli),
    };
    const struct cli_typed typed = {command, argument_count, argument_texts};
    return parse_and_add(cli, &typed, options, &arguments);
}

static int run_upsert(struct cli *cli, const struct cli_command *command, int argument_count,
                      char *const *argument_texts) {
    struct add_arguments arguments = {.row_limit = UINT64_MAX, .first_key = FIRST_KEY_UNSET, .is_upsert = true};
    const struct args_option options[] = {
        {"keys", 0, ARGS_TEXT, &arguments.keys_path, "FILE", KEYS_OPTION},
        {"first-key", 0, ARGS_U64, &arguments.first_key, "N", "keys are N, N+1, ..."},
        {"threads", 't', ARGS_U32, &arguments.thread_count, "N", "default: one per processor"},
        {"limit", 0, ARGS_U64, &arguments.row_limit, "N", "only the first N rows"},
        {"format", 0, ARGS_TEXT, &arguments.format_name, "NAME", "of FILE, when its extension does not say it"},
        {"dataset", 0, ARGS_TEXT, &arguments.hdf5_name, "NAME", "of an HDF5 file. Default: train"},
        CLI_COMMON_OPTIONS(cli),
    };
    const struct cli_typed typed = {command, argument_count, argument_texts};
    return parse_and_add(cli, &typed, options, &arguments);
}

const struct cli_command cli_add_command = {
    .name = "add",
    .summary = "add the vectors of a file to an index",
    .usage = "[OPTIONS] INDEX FILE",
    .description =
        "Inserts every row of FILE into the index INDEX, which other processes may search concurrently. FILE is\n"
        "looked through first: if anything in it is wrong, nothing is added. It is added whole or not at all, in\n"
        "parts of 256 MiB if it is larger. After a failure the command may be repeated: what is in the index is not\n"
        "added again. That goes for rows without keys, too, if the index ends with them.\n"
        "Exit code 1: all is durable in the log, and only the checkpoint at the end has failed.\n",
    .examples = "  rhumb add images.rhumb more-images.npy\n"
                "  rhumb add shop.rhumb new-products.fvecs --keys new_product_ids.npy\n"
                "  rhumb add shop.rhumb - --format jsonl <new-products.jsonl\n"
                "  rhumb add big.rhumb base.u8bin --first-key 0 --skip-existing    (continues an interrupted build)\n",
    .run = run,
};

const struct cli_command cli_upsert_command = {
    .name = "upsert",
    .summary = "add vectors, or replace those of their keys",
    .usage = "[OPTIONS] INDEX FILE",
    .description =
        "Inserts every row of FILE under its key, in the place of the vector that the key has. FILE must have keys\n"
        "(jsonl), or --keys or --first-key says them; none may be there twice. FILE is written whole or not at all, "
        "in\n"
        "parts of 256 MiB if it is larger; after a failure the same command writes all of it.\n"
        "Exit code 1: all is durable in the log, and only the checkpoint at the end has failed.\n",
    .examples = "  rhumb upsert shop.rhumb changed-products.jsonl\n"
                "  rhumb upsert shop.rhumb changed.npy --keys changed_ids.npy\n",
    .run = run_upsert,
};
