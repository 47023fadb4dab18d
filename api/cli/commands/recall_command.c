/* recall_command.c - `rhumb recall`: measures how much of the truth searches of an index find, and keeps that in the
 * index, so that searches can ask for a recall. With --queries it measures with those of a file; with --show it prints
 * what the index has. Owns the queries of the file. Fails with the exit codes of cli.h. */
#include <stdio.h>
#include <stdlib.h>

#include "api/cli/cli.h"
#include "api/cli/console/units.h"
#include "api/cli/curve.h"
#include "api/cli/vectors.h"

struct recall_arguments {
    const char *index_path, *queries_path, *format_name, *hdf5_name;
    uint64_t query_count, seed;
    uint32_t thread_count;
    bool dry_run, show;
};

/* Reads the queries, as many as are wanted. */
static int read_queries(struct cli *cli, const struct recall_arguments *arguments, rhumb_index *index,
                        rhumb_recall_options *options, void **vectors_out) {
    rhumb_index_options created;
    struct vectors_kind kind;
    struct dataset *queries = NULL;
    const rhumb_status status = rhumb_index_options_get(index, &created, sizeof created);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot see what the index is");
    int exit_code = cli_open_dataset(cli, arguments->queries_path, arguments->format_name, arguments->hdf5_name,
                                     DATASET_PART_TEST, &queries);
    if (exit_code != CLI_OK) return exit_code;
    const struct dataset_info *info = dataset_info_get(queries);
    exit_code = vectors_check(cli, info, &created, arguments->index_path, &kind);
    if (exit_code != CLI_OK) goto done;
    uint64_t count = arguments->query_count ? arguments->query_count : RHUMB_RECALL_QUERY_COUNT_MAX;
    if (count > info->row_count) count = info->row_count;
    if (count == 0) {
        exit_code = cli_fail(cli, CLI_INPUT, "%s: there are no queries", info->path);
        goto done;
    }
    *vectors_out = malloc(count * kind.row_bytes);
    if (!*vectors_out) {
        exit_code = cli_fail_memory(cli, count * kind.row_bytes);
        goto done;
    }
    exit_code = vectors_read(cli, queries, &kind, 0, (size_t)count, *vectors_out);
    options->queries = *vectors_out;
    options->query_count = (size_t)count;
done:
    dataset_close(queries);
    return exit_code;
}

static int measure(struct cli *cli, const struct recall_arguments *arguments, rhumb_index *index) {
    void *vectors = NULL;
    rhumb_recall_curve curve;
    rhumb_recall_options options;
    rhumb_recall_options_init(&options, sizeof options);
    options.query_count = (size_t)arguments->query_count;
    options.seed = arguments->seed;
    options.thread_count = arguments->thread_count;
    options.dry_run = arguments->dry_run;
    int exit_code = CLI_OK;
    if (arguments->queries_path) exit_code = read_queries(cli, arguments, index, &options, &vectors);
    const double start = units_now();
    if (exit_code == CLI_OK) exit_code = curve_measure(cli, index, &options, &curve);
    free(vectors);
    if (exit_code != CLI_OK) return exit_code;
    json_double(&cli->writer, "seconds", units_now() - start);
    json_bool(&cli->writer, "kept", !arguments->dry_run);
    curve_print(cli, &curve, arguments->dry_run ? NULL : index);
    return CLI_OK;
}

static int show(struct cli *cli, rhumb_index *index) {
    rhumb_recall_curve curve;
    const rhumb_status status = rhumb_index_recall_get(index, &curve, sizeof curve);
    if (status == RHUMB_E_NOTFOUND)
        return cli_fail(cli, CLI_PROBLEM, "the recall of the index has not been measured; `rhumb recall INDEX` does");
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot see the recall of the index");
    curve_print(cli, &curve, index);
    return CLI_OK;
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    rhumb_recall_options defaults;
    rhumb_recall_options_init(&defaults, sizeof defaults);
    struct recall_arguments arguments = {.seed = defaults.seed};
    const struct args_option options[] = {
        {"queries", 0, ARGS_TEXT, &arguments.queries_path, "FILE",
         "measure with these. Default: a sample of the vectors of the\nindex, each left out while it is the query"},
        {"count", 0, ARGS_U64, &arguments.query_count, "N",
         "queries, at most 65,535. Default: 1,000 of a sample, all of a\nfile"},
        {"seed", 0, ARGS_U64, &arguments.seed, "N", "of the sample. Default 397"},
        {"dry-run", 0, ARGS_FLAG, &arguments.dry_run, NULL, "do not keep it in the index, which may be in use then"},
        {"show", 0, ARGS_FLAG, &arguments.show, NULL, "print what the index has, and measure nothing"},
        {"threads", 't', ARGS_U32, &arguments.thread_count, "N", "default: one per processor"},
        {"format", 0, ARGS_TEXT, &arguments.format_name, "NAME", "of FILE, when its extension does not say it"},
        {"dataset", 0, ARGS_TEXT, &arguments.hdf5_name, "NAME", "of an HDF5 file. Default: test"},
        CLI_COMMON_OPTIONS(cli),
    };
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, &arguments.index_path, 1, &exit_code))
        return exit_code;
    if (arguments.query_count > RHUMB_RECALL_QUERY_COUNT_MAX)
        return cli_fail(cli, CLI_USAGE, "--count must be at most %u, found %llu", RHUMB_RECALL_QUERY_COUNT_MAX,
                        (unsigned long long)arguments.query_count);
    if (arguments.show && (arguments.dry_run || arguments.queries_path))
        return cli_fail(cli, CLI_USAGE, "--show measures nothing, so there are no --queries and no --dry-run with it");
    rhumb_index *index = NULL;
    exit_code = cli_open_index(cli, arguments.index_path, arguments.dry_run || arguments.show, &index);
    if (exit_code != CLI_OK) return exit_code;
    json_text(&cli->writer, "index", arguments.index_path);
    exit_code = arguments.show ? show(cli, index) : measure(cli, &arguments, index);
    return cli_close_index(cli, index, exit_code);
}

const struct cli_command cli_recall_command = {
    .name = "recall",
    .summary = "measure how much searches find, for search --recall",
    .usage = "[OPTIONS] INDEX",
    .description =
        "Searches for some queries at a ladder of ef, for k 1, 10 and 100, and compares what is found with what\n"
        "measuring every vector finds. The result is kept in INDEX: from then on `rhumb search --recall` chooses ef\n"
        "by it. It holds for queries that are like those it was measured with: without --queries, like the vectors\n"
        "of the index. `rhumb build --check` does the same at the end of a build.\n",
    .examples = "  rhumb recall images.rhumb\n"
                "  rhumb recall images.rhumb --queries questions.npy\n"
                "  rhumb recall images.rhumb --show --json\n"
                "  rhumb search images.rhumb questions.npy --recall 0.95\n",
    .run = run,
};
