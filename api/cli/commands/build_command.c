/* build_command.c - `rhumb build`: a new index from the rows of a file.
 *
 * The order of the steps keeps a failure from costing anything: the input is opened and checked before a file is
 * created, an old index is replaced (--force) when the new one is whole, and what could not be finished is removed.
 * What was built until an interruption stays, and with --keep-partial until a failure. Fails with the exit codes of
 * cli.h.
 */
#include <stdio.h>

#include "api/bulk.h"
#include "api/cli/cli.h"
#include "api/cli/codes_choice.h"
#include "api/cli/curve.h"
#include "api/cli/ingest.h"
#include "api/cli/replace.h"
#include "api/cli/vectors.h"
#include "api/tool_memory.h"

#define CHECK_COUNT_MIN 2u

struct build_arguments {
    const char *index_path, *rows_path;
    const char *metric_name, *element_name, *codes_name, *fused_name, *keys_path, *format_name, *hdf5_name;
    uint32_t thread_count;
    uint64_t row_limit, checkpoint_every;
    bool force, keep_partial, check;
    rhumb_index_options options;
};

/* The metric is what --metric says, else what the HDF5 file says, else the library's default. */
static int choose_metric(struct cli *cli, struct build_arguments *arguments, const struct dataset_info *info) {
    const char *name = arguments->metric_name;
    struct vectors_names names = {0};
    if (!name && info->distance[0]) name = info->distance;
    if (!name) return CLI_OK;
    arguments->options.metric = rhumb_metric_from_name(name);
    if (arguments->options.metric && vectors_has_metric(arguments->options.metric)) return CLI_OK;
    if (arguments->metric_name)
        return cli_fail(cli, CLI_USAGE, "--metric must be one of %s; found '%s'", vectors_metric_names(&names), name);
    return cli_fail(cli, CLI_INPUT,
                    "%s: its distance is '%s', which rhumb does not read from such files; choose one with --metric",
                    info->path, name);
}

/* The element type is what --element says; else bits for bools where the metric measures bits; else the default. */
static void choose_element(struct build_arguments *arguments, const struct dataset_info *info) {
    if (arguments->element_name || !info->is_bool) return;
    if (rhumb_metric_supports(arguments->options.metric, RHUMB_ELEMENT_B1))
        arguments->options.element = RHUMB_ELEMENT_B1;
}

/* After an interruption: how to continue. The keys show which vectors are in the index. */
static int report_interrupted(struct cli *cli, const struct build_arguments *arguments, const char *index_path,
                              bool has_keys, const struct ingest_result *result) {
    const char *keys = arguments->keys_path ? "--keys " : has_keys ? "" : "--first-key 0 ";
    return cli_fail(cli, CLI_INTERRUPTED,
                    "interrupted: %llu of %llu vectors are safe in %s; continue with: rhumb add %s %s %s%s%s"
                    "--skip-existing",
                    (unsigned long long)result->inserted_count, (unsigned long long)result->row_count, index_path,
                    index_path, arguments->rows_path, keys, arguments->keys_path ? arguments->keys_path : "",
                    arguments->keys_path ? " " : "");
}

/* What becomes of an index that is not complete. */
static int end_partial(struct cli *cli, const struct build_arguments *arguments, struct replacement *replacement,
                       const struct dataset_info *info, const struct ingest_result *result, int exit_code) {
    const char *path = replacement_path(replacement);
    const bool is_kept = result->inserted_count > 0 && (exit_code == CLI_INTERRUPTED || arguments->keep_partial);
    if (!is_kept) replacement_drop(replacement);
    const char *outcome = replacement->replaces ? "the old index is as it was" : "no index was made";
    if (exit_code == CLI_INTERRUPTED && !is_kept) return cli_fail(cli, exit_code, "interrupted: %s", outcome);
    if (exit_code == CLI_INTERRUPTED) report_interrupted(cli, arguments, path, info->has_keys, result);
    if (replacement->replaces || !is_kept) cli_note(cli, "%s: %s", replacement->path, outcome);
    if (is_kept) cli_tell_state(cli, path);
    return exit_code;
}

/* Measures the recall of the new index. A failure leaves the index without it and is reported; so is an interruption,
 * which does not cost the index. An index of too few vectors has none. */
static int check_recall(struct cli *cli, const struct build_arguments *arguments, rhumb_index *index) {
    rhumb_recall_curve curve;
    rhumb_recall_options options;
    rhumb_recall_options_init(&options, sizeof options);
    options.thread_count = arguments->thread_count;
    if (rhumb_index_count(index) < CHECK_COUNT_MIN) {
        cli_note(cli, "note: with fewer than %u vectors there is no recall to measure", CHECK_COUNT_MIN);
        return CLI_OK;
    }
    const int exit_code = curve_measure(cli, index, &options, &curve);
    if (exit_code == CLI_OK) curve_print(cli, &curve, index);
    return exit_code;
}

/* A build, from where the index is to be made on. */
struct building {
    struct cli *cli;
    struct build_arguments *arguments;
    struct replacement *replacement;
    struct ingest_options *ingest;
    struct dataset *rows;
    rhumb_index *index;
    struct ingest_result result;
    bool is_filled; /* the index has its rows */
};

/* What is due when the rows are in the index, or not. */
static int finish(struct building *b, int exit_code) {
    struct cli *cli = b->cli;
    if (exit_code == CLI_OK || exit_code == CLI_INTERRUPTED) ingest_report(cli, &b->result, b->index);
    if (exit_code == CLI_OK && b->arguments->check) exit_code = check_recall(cli, b->arguments, b->index);
    /* An interruption may end the tool while it closes; not where the file is to be removed afterwards. */
    const bool is_dropped = exit_code == CLI_INTERRUPTED && b->result.inserted_count == 0;
    const int close_code = cli_close_index(cli, b->index, is_dropped ? CLI_PROBLEM : exit_code);
    if (exit_code == CLI_OK) exit_code = close_code;
    if (exit_code == CLI_OK) exit_code = replacement_take(cli, b->replacement);
    if (exit_code == CLI_OK) return CLI_OK;
    return end_partial(cli, b->arguments, b->replacement, dataset_info_get(b->rows), &b->result, exit_code);
}

/* Says what is being built. */
static void announce(const struct building *b) {
    struct cli *cli = b->cli;
    const struct build_arguments *arguments = b->arguments;
    json_text(&cli->writer, "index", arguments->index_path);
    json_text(&cli->writer, "metric", rhumb_metric_name(arguments->options.metric));
    cli_json_dataset(cli, "input", b->rows);
    if (!cli->json)
        printf("building     %s: %u x %s, %s\n", arguments->index_path, arguments->options.dim,
               rhumb_element_name(arguments->options.element), rhumb_metric_name(arguments->options.metric));
    fflush(stdout);
}

static int make_of_rows(void *context, const char *path) {
    struct building *b = context;
    return ingest_build(b->cli, path, &b->arguments->options, b->rows, b->ingest, &b->result, &b->is_filled);
}

/* Makes an index of more rows than memory holds, and opens it; not one that has to be filled row by row. */
static int make_filled(struct building *b, const rhumb_open_options *open) {
    announce(b);
    const int exit_code = replacement_make(b->replacement, make_of_rows, b);
    if (exit_code != CLI_OK) return exit_code;
    if (b->is_filled) return cli_open_index_with(b->cli, replacement_path(b->replacement), open, &b->index);
    b->replacement->made = false;
    cli_note(b->cli, "note: the vectors are too near each other to be built in parts, and are inserted one by one");
    return CLI_OK;
}

static int make_empty(struct building *b, const rhumb_open_options *open) {
    b->arguments->options.open = open;
    const int exit_code = replacement_create(b->cli, b->replacement, &b->arguments->options, &b->index);
    b->arguments->options.open = NULL;
    return exit_code;
}

/* How the rows get into the index. With checkpoints on the way, in batches. */
static rhumb__build_way choose_way(const struct build_arguments *arguments, const struct dataset_info *info) {
    rhumb__build_way way = RHUMB__BUILD_ONE_BY_ONE;
    const uint64_t row_count = info->row_count < arguments->row_limit ? info->row_count : arguments->row_limit;
    if (arguments->checkpoint_every) return RHUMB__BUILD_ONE_BY_ONE;
    /* Options that no index can have are reported when it is created. */
    if (rhumb__index_build_way(&arguments->options, row_count, &way) != RHUMB_OK) return RHUMB__BUILD_ONE_BY_ONE;
    return way;
}

/* Makes the index and fills it. */
static int make(struct building *b) {
    int exit_code = CLI_OK;
    /* An interrupted build is started again, or continued from its last checkpoint; a log would double its writes. */
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_NONE;
    const rhumb__build_way way = choose_way(b->arguments, dataset_info_get(b->rows));
    b->ingest->as_batch = way == RHUMB__BUILD_AS_BATCH;
    if (way == RHUMB__BUILD_AS_BATCH) rhumb__tool_memory_spill_next_to(replacement_path(b->replacement));
    if (way == RHUMB__BUILD_FROM_ROWS) exit_code = make_filled(b, &open);
    if (exit_code == CLI_INTERRUPTED) return finish(b, exit_code);
    if (exit_code == CLI_OK && !b->is_filled) exit_code = make_empty(b, &open);
    if (exit_code != CLI_OK) return exit_code;
    if (way != RHUMB__BUILD_FROM_ROWS) announce(b);
    if (!b->is_filled) exit_code = ingest_run(b->cli, b->index, b->rows, b->ingest, &b->result);
    return finish(b, exit_code);
}

static int build(struct cli *cli, struct build_arguments *arguments) {
    struct dataset *rows = NULL, *keys = NULL;
    struct replacement replacement = {0};
    int exit_code = cli_open_dataset(cli, arguments->rows_path, arguments->format_name, arguments->hdf5_name,
                                     DATASET_PART_TRAIN, &rows);
    if (exit_code != CLI_OK) goto done;
    const struct dataset_info *info = dataset_info_get(rows);
    if (arguments->keys_path) exit_code = ingest_open_keys(cli, arguments->keys_path, info->row_count, &keys);
    if (exit_code == CLI_OK) exit_code = choose_metric(cli, arguments, info);
    if (exit_code != CLI_OK) goto done;
    choose_element(arguments, info);
    exit_code = codes_choice_read(cli, arguments->codes_name, &arguments->options.codes);
    if (exit_code == CLI_OK) exit_code = fused_choice_read(cli, arguments->fused_name, &arguments->options.fused);
    if (exit_code != CLI_OK) goto done;
    struct ingest_options ingest = {
        .mode = INGEST_BUILD,
        .keys = keys,
        .row_limit = arguments->row_limit,
        .checkpoint_every = arguments->checkpoint_every,
        .thread_count = arguments->thread_count,
    };
    arguments->options.dim = vectors_dim(info, arguments->options.element);
    exit_code = vectors_check(cli, info, &arguments->options, arguments->index_path, &ingest.kind);
    if (exit_code == CLI_OK)
        exit_code = replacement_begin(cli, arguments->index_path, arguments->rows_path, arguments->force, &replacement);
    if (exit_code == CLI_OK)
        exit_code = make(&(struct building){cli, arguments, &replacement, &ingest, rows, NULL, {0}, false});
done:
    replacement_end(&replacement);
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
             "component type of the index:\n%s.\nb1 is bits, read from bools or packed bytes. Default f32, and b1\nfor "
             "bools under hamming and jaccard",
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
        {"codes", 0, ARGS_TEXT, &arguments.codes_name, "CODES",
         "codes of vectors that searches walk on: default (8 where they\nare at most half as long as vectors), none, 4 "
         "or 8"},
        {"fused", 0, ARGS_TEXT, &arguments.fused_name, "BITS", "fused rows: default (none), none, 1 or 2 bits"},
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
        {"force", 'f', ARGS_FLAG, &arguments.force, NULL,
         "replace the index that is there, when the new one is complete"},
        {"keep-partial", 0, ARGS_FLAG, &arguments.keep_partial, NULL,
         "after a failure too, keep the batches of rows that were built\nuntil then (with --force as INDEX-building)"},
        {"check", 0, ARGS_FLAG, &arguments.check, NULL,
         "measure at the end how much searches find, and keep that in the\nindex, for search --recall; see `rhumb "
         "recall --help`"},
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
        "Creates the index INDEX and inserts every row of FILE. Where the metric is l2, l2sq or cosine, it is\n"
        "built in bulk, which is fastest: Ctrl-C then leaves no INDEX. What memory cannot hold is cut into parts\n"
        "first, in files without names next to INDEX. For other metrics, and with --checkpoint-every, the file is\n"
        "read in batches of 32 MiB, and Ctrl-C stops in good order: what was inserted until then is made durable, and "
        "the command that\n"
        "continues is printed. A second Ctrl-C ends at once. After a failure there is no INDEX, and with --force\n"
        "the old one is as it was.\n"
        "Rows of JSON (jsonl) may have their keys; others are numbered, or have them in a file of their own (--keys).\n"
        "Bools are bits, and an HDF5 file of sets (ann-benchmarks, jaccard) gives vectors of bits.\n",
    .examples = "  rhumb build images.rhumb fashion-mnist-784-euclidean.hdf5\n"
                "  rhumb build words.rhumb glove.npy --metric cosine --M 32 --ef-construction 400 --threads 8\n"
                "  rhumb build big.rhumb base.1B.u8bin --limit 100000000 --checkpoint-every 5000000\n"
                "  rhumb build shop.rhumb products.fvecs --keys product_ids.npy --force --json\n"
                "  zcat texts.jsonl.gz | rhumb build texts.rhumb - --format jsonl --metric cosine\n",
    .run = run,
};
