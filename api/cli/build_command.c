/* build_command.c - `rhumb build`: a new index from the rows of a file.
 *
 * The order of the steps keeps a failure from costing anything: the input is opened and checked before a file is
 * created, and an existing file is removed (--force) only when it is an index that no process is writing. Fails with
 * the exit codes of cli.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "ingest.h"
#include "vectors.h"

struct build_arguments {
    const char *index_path, *rows_path;
    const char *metric_name, *element_name, *keys_path, *format_name, *hdf5_name;
    uint32_t thread_count;
    uint64_t row_limit, checkpoint_every;
    bool force;
    rhumb_index_options options;
};

/* The metric is what --metric says, else what the HDF5 file says, else the library's default. */
static int choose_metric(struct cli *cli, struct build_arguments *arguments, const struct dataset_info *info) {
    const char *name = arguments->metric_name;
    struct vectors_names names = {0};
    if (!name && info->distance[0]) name = info->distance;
    if (!name) return CLI_OK;
    arguments->options.metric = rhumb_metric_from_name(name);
    /* HDF5 files of metric jaccard hold sets as concatenated lists of members, not a matrix of vectors. */
    const bool of_sets = !arguments->metric_name && arguments->options.metric == RHUMB_METRIC_JACCARD;
    if (arguments->options.metric && !of_sets) return CLI_OK;
    if (arguments->metric_name)
        return cli_fail(cli, CLI_USAGE, "--metric must be one of %s; found '%s'", vectors_metric_names(&names), name);
    return cli_fail(cli, CLI_INPUT,
                    "%s: its distance is '%s', which rhumb does not read from such files; choose one with --metric",
                    info->path, name);
}

/* The index first: a log without its index is useless, but an index without its log has lost operations. */
static int remove_index(struct cli *cli, const char *path) {
    char *log_path = NULL;
    if (asprintf(&log_path, "%s-wal", path) < 0) return cli_fail(cli, CLI_IO, "no memory for a path");
    const bool removed = unlink(path) == 0 && (unlink(log_path) == 0 || errno == ENOENT);
    const int error = errno;
    free(log_path);
    return removed ? CLI_OK : cli_fail(cli, CLI_IO, "%s: cannot remove: %s", path, strerror(error));
}

/* --force: removes what is at the index's path, if it is an index and free. */
static int remove_old_index(struct cli *cli, const struct build_arguments *arguments) {
    const char *path = arguments->index_path;
    struct stat old, rows;
    if (lstat(path, &old) != 0) {
        if (errno == ENOENT) return CLI_OK;
        return cli_fail(cli, CLI_INDEX, "%s: cannot stat: %s", path, strerror(errno));
    }
    if (stat(arguments->rows_path, &rows) == 0 && rows.st_dev == old.st_dev && rows.st_ino == old.st_ino)
        return cli_fail(cli, CLI_USAGE, "%s: is the input file itself", path);
    if (!S_ISREG(old.st_mode))
        return cli_fail(cli, CLI_INDEX, "%s: is not a regular file; --force does not remove it", path);
    /* Opening it for writing fails if another process has it open for writing. */
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    rhumb_index *index = NULL;
    rhumb_status status = rhumb_index_open(path, &options, &index);
    if (status == RHUMB_OK) status = rhumb_index_close(index);
    /* Damaged, or usable by other programs only: an index that no process is writing. */
    const bool is_index = status == RHUMB_E_CORRUPT || status == RHUMB_E_TRUNCATED || status == RHUMB_E_VERSION ||
                          status == RHUMB_E_LOG || status == RHUMB_E_METRIC;
    if (status != RHUMB_OK && !is_index)
        return cli_fail_index_as(cli, CLI_INDEX, status, "--force does not remove what is there");
    return remove_index(cli, path);
}

/* After an interruption: how to continue. The keys show which vectors are in the index. */
static int report_interrupted(struct cli *cli, const struct build_arguments *arguments,
                              const struct ingest_result *result) {
    return cli_fail(
        cli, CLI_INTERRUPTED,
        "interrupted: %llu of %llu vectors are safe in %s; continue with: rhumb add %s %s %s%s --skip-existing",
        (unsigned long long)result->inserted_count, (unsigned long long)result->row_count, arguments->index_path,
        arguments->index_path, arguments->rows_path, arguments->keys_path ? "--keys " : "--first-key 0",
        arguments->keys_path ? arguments->keys_path : "");
}

static int fill_index(struct cli *cli, const struct build_arguments *arguments, rhumb_index *index,
                      struct dataset *rows, struct dataset *keys) {
    const struct ingest_options ingest = {
        .keys = keys,
        .element = arguments->options.element,
        .row_limit = arguments->row_limit,
        .checkpoint_every = arguments->checkpoint_every,
        .thread_count = arguments->thread_count,
    };
    struct ingest_result result;
    const int exit_code = ingest_run(cli, index, rows, &ingest, &result);
    ingest_report(cli, &result, index);
    return result.interrupted && exit_code == CLI_INTERRUPTED ? report_interrupted(cli, arguments, &result) : exit_code;
}

static int build(struct cli *cli, struct build_arguments *arguments) {
    struct dataset *rows = NULL, *keys = NULL;
    rhumb_index *index = NULL;
    int exit_code = cli_open_dataset(cli, arguments->rows_path, arguments->format_name, arguments->hdf5_name,
                                     DATASET_PART_TRAIN, &rows);
    if (exit_code != CLI_OK) goto done;
    const struct dataset_info *info = dataset_info_get(rows);
    if (arguments->keys_path) exit_code = ingest_open_keys(cli, arguments->keys_path, info->row_count, &keys);
    if (exit_code == CLI_OK) exit_code = choose_metric(cli, arguments, info);
    if (exit_code != CLI_OK) goto done;
    arguments->options.dim = vectors_dim(info, arguments->options.element);
    exit_code = vectors_check(cli, info, &arguments->options, arguments->index_path);
    if (exit_code != CLI_OK) goto done;
    if (arguments->force) exit_code = remove_old_index(cli, arguments);
    if (exit_code != CLI_OK) goto done;

    /* An interrupted build is started again, or continued from its last checkpoint; a log would double its writes. */
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_NONE;
    arguments->options.open = &open;
    const rhumb_status status = rhumb_index_create(arguments->index_path, &arguments->options, &index);
    arguments->options.open = NULL;
    if (status != RHUMB_OK) {
        exit_code =
            cli_fail_index(cli, status,
                           status == RHUMB_E_EXISTS ? "cannot create the index (--force replaces one that is there)"
                                                    : "cannot create the index");
        goto done;
    }
    json_text(&cli->writer, "index", arguments->index_path);
    json_text(&cli->writer, "metric", rhumb_metric_name(arguments->options.metric));
    cli_json_dataset(cli, "input", rows);
    if (!cli->json)
        printf("building     %s: %u x %s, %s\n", arguments->index_path, arguments->options.dim,
               rhumb_element_name(arguments->options.element), rhumb_metric_name(arguments->options.metric));
    fflush(stdout);
    exit_code = fill_index(cli, arguments, index, rows, keys);
    exit_code = cli_close_index(cli, index, exit_code);
done:
    dataset_close(keys);
    dataset_close(rows);
    return exit_code;
}

/* The help of the options whose values are names of the library. */
struct build_help {
    char metric[400], element[400];
};

static void make_help(struct build_help *help) {
    struct vectors_names names = {.line_bytes = 68};
    snprintf(help->metric, sizeof help->metric, "%s.\nDefault: the metric that an HDF5 file names, else l2",
             vectors_metric_names(&names));
    snprintf(help->element, sizeof help->element,
             "component type of the index:\n%s.\nb1 is bits, read from bytes. Default f32",
             vectors_element_names(&names));
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct build_arguments arguments = {.row_limit = UINT64_MAX};
    struct vectors_names names = {0};
    struct build_help help;
    make_help(&help);
    rhumb_index_options *index = &arguments.options;
    rhumb_index_options_init(index, sizeof *index);
    const struct args_option options[] = {
        {"metric", 0, ARGS_TEXT, &arguments.metric_name, "NAME", help.metric},
        {"M", 0, ARGS_U32, &index->M, "N", "neighbours per node and level, 2 to 256. Default 16"},
        {"M0", 0, ARGS_U32, &index->M0, "N", "neighbours on level 0. Default: twice M"},
        {"ef-construction", 0, ARGS_U32, &index->ef_construction, "N", "candidates per insertion. Default 200"},
        {"ef", 0, ARGS_U32, &index->ef_search, "N", "search breadth that the index remembers. Default 64"},
        {"level-max", 0, ARGS_U32, &index->level_max, "N", "highest level, 0 to 16. Default 16"},
        {"level-scale", 0, ARGS_DOUBLE, &index->level_scale, "X",
         "factor on the number of levels, 0.1 to 2. Default 1"},
        {"extend-candidates", 0, ARGS_FLAG, &index->extend_candidates, NULL,
         "consider the neighbours of candidates too"},
        {"keep-pruned", 0, ARGS_FLAG, &index->keep_pruned, NULL, "fill lists up with pruned candidates"},
        {"seed", 0, ARGS_U64, &index->seed, "N", "of the levels. Default 397"},
        {"element", 0, ARGS_TEXT, &arguments.element_name, "TYPE", help.element},
        {"normalise", 0, ARGS_FLAG, &index->normalise, NULL,
         "divide vectors and queries by their sums (hellinger, jeffreys,\njensen_shannon)"},
        {"keys", 0, ARGS_TEXT, &arguments.keys_path, "FILE",
         "a key for each row: one column of integers (npy, ivecs).\nDefault: row numbers from 0"},
        {"threads", 't', ARGS_U32, &arguments.thread_count, "N", "default: one per processor"},
        {"checkpoint-every", 0, ARGS_U64, &arguments.checkpoint_every, "N",
         "make the work durable after every N vectors. Default: at the\nend only"},
        {"limit", 0, ARGS_U64, &arguments.row_limit, "N", "only the first N rows"},
        {"format", 0, ARGS_TEXT, &arguments.format_name, "NAME", "of FILE, when its extension does not say it"},
        {"dataset", 0, ARGS_TEXT, &arguments.hdf5_name, "NAME", "of an HDF5 file. Default: train"},
        {"force", 'f', ARGS_FLAG, &arguments.force, NULL, "replace the index that is there"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *paths[2];
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, paths, 2, &exit_code)) return exit_code;
    arguments.index_path = paths[0];
    arguments.rows_path = paths[1];
    if (arguments.element_name) {
        index->element = rhumb_element_from_name(arguments.element_name);
        if (!index->element)
            return cli_fail(cli, CLI_USAGE, "--element must be one of %s; found '%s'", vectors_element_names(&names),
                            arguments.element_name);
    }
    return build(cli, &arguments);
}

const struct cli_command cli_build_command = {
    .name = "build",
    .summary = "make a new index from the vectors of a file",
    .usage = "[OPTIONS] INDEX FILE",
    .description =
        "Creates the index INDEX and inserts every row of FILE. The file is read in batches of 64 MiB, so it\n"
        "may be larger than memory. Ctrl-C stops in good order: what was inserted until then is made durable,\n"
        "and the command that continues is printed. A second Ctrl-C ends at once.\n",
    .examples = "  rhumb build images.rhumb fashion-mnist-784-euclidean.hdf5\n"
                "  rhumb build words.rhumb glove.npy --metric cosine --M 32 --ef-construction 400 --threads 8\n"
                "  rhumb build big.rhumb base.1B.u8bin --limit 100000000 --checkpoint-every 5000000\n"
                "  rhumb build shop.rhumb products.fvecs --keys product_ids.npy --force --json\n",
    .run = run,
};
