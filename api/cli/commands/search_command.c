/* search_command.c - `rhumb search`: the nearest neighbours of the queries of a file, how fast, and how many of the
 * true ones.
 *
 * Queries go to the library in batches; owns the buffers of one batch, bounded whatever the file and k are. Only the
 * searching is timed, not the reading, the counting of recall or the writing. Opens the index read-only, so it works
 * while another process writes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/progress.h"
#include "api/cli/console/units.h"
#include "api/cli/input.h"
#include "api/cli/key_filter.h"
#include "api/cli/recall.h"
#include "api/cli/result_writer.h"
#include "api/cli/vectors.h"

#define K_MAX 1000000u
#define BATCH_BYTES (UINT64_C(64) << 20) /* of queries, and of results */
#define BATCH_ROWS 4096u
#define BATCH_ROWS_FIRST 32u /* the next are chosen by time, so that progress and Ctrl-C do not wait for long */
#define BATCH_SECONDS_MIN 0.05
#define BATCH_SECONDS_MAX 0.2

struct search_arguments {
    const char *index_path, *queries_path;
    const char *truth_path, *truth_format_name, *truth_metric_name;
    const char *keys_out, *distances_out, *out_format_name, *format_name, *hdf5_name;
    const char *filter_path, *exclude_path; /* keys that may be answers, or must not */
    double radius;                          /* NAN: none */
    uint32_t k, ef, thread_count;
    uint64_t row_limit;
    double recall_min;
    double recall; /* that is asked for; NAN: none */
    bool exact, summary_only, no_truth;
};

struct search {
    struct cli *cli;
    const struct search_arguments *arguments;
    rhumb_index *index;
    struct dataset *queries;
    struct recall *recall; /* or NULL */
    struct key_filter filter;
    struct result_writer writer;
    uint64_t query_count, done_count;
    size_t batch_rows, batch_rows_max;
    struct vectors_kind kind; /* of the index */
    unsigned char *vectors;
    float *distances;
    uint64_t *keys;
    size_t *found_counts;
    double search_seconds;
};

/* The file of the truth: what --truth says, else the HDF5 file of the queries if it holds one. */
static int open_truth(struct search *search, rhumb_metric metric) {
    const struct search_arguments *arguments = search->arguments;
    const struct dataset_info *queries = dataset_info_get(search->queries);
    struct recall_options options = {
        .path = arguments->truth_path,
        .format_name = arguments->truth_format_name,
        .metric_name = arguments->truth_metric_name,
        .index_metric = metric,
        .query_count = queries->row_count,
        .k = arguments->k,
    };
    /* The truth in the file is that of all keys. */
    const bool is_whole = !arguments->filter_path && !arguments->exclude_path && isnan(arguments->radius);
    if (!options.path && queries->format == DATASET_FORMAT_HDF5 && !arguments->hdf5_name && !arguments->no_truth &&
        is_whole) {
        const struct dataset_options wanted = {DATASET_FORMAT_HDF5, DATASET_PART_NEIGHBORS, NULL, NULL};
        struct dataset *neighbors = NULL;
        struct dataset_error error;
        const enum dataset_status status = input_open(arguments->queries_path, &wanted, &neighbors, &error);
        if (status != DATASET_OK && status != DATASET_E_ABSENT) return cli_fail_dataset(search->cli, &error);
        /* The user did not ask for this truth, so it is not a failure if it is too narrow for k. */
        if (neighbors && dataset_info_get(neighbors)->dim >= arguments->k) {
            options.path = arguments->queries_path;
            options.format_name = "hdf5";
        }
        dataset_close(neighbors);
    }
    if (options.path) return recall_open(search->cli, &options, &search->recall);
    if (arguments->recall_min > 0)
        return cli_fail(search->cli, CLI_USAGE, "--min-recall needs the truth: give it with --truth FILE");
    return CLI_OK;
}

static int allocate(struct search *search) {
    const uint64_t row_bytes = search->kind.row_bytes;
    const uint64_t result_bytes = search->arguments->k * (sizeof(uint64_t) + sizeof(float));
    uint64_t rows = BATCH_ROWS;
    if (rows > BATCH_BYTES / row_bytes) rows = BATCH_BYTES / row_bytes;
    if (rows > BATCH_BYTES / result_bytes) rows = BATCH_BYTES / result_bytes;
    if (rows > search->query_count) rows = search->query_count;
    if (rows == 0) rows = 1;
    search->batch_rows_max = (size_t)rows;
    search->batch_rows = rows < BATCH_ROWS_FIRST ? (size_t)rows : BATCH_ROWS_FIRST;
    if (search->arguments->exact) search->batch_rows = 1; /* which measures all vectors */
    search->vectors = malloc(rows * row_bytes);
    search->keys = malloc(rows * search->arguments->k * sizeof *search->keys);
    search->distances = malloc(rows * search->arguments->k * sizeof *search->distances);
    search->found_counts = malloc(rows * sizeof *search->found_counts);
    if (search->vectors && search->keys && search->distances && search->found_counts) return CLI_OK;
    return cli_fail_memory(search->cli, rows * (row_bytes + result_bytes));
}

/* The queries of a batch one after the other: what is within the radius, k at most. */
static rhumb_status search_radius(struct search *search, size_t row_count, const rhumb_search_options *options) {
    const size_t k = search->arguments->k;
    rhumb_status status = RHUMB_OK;
    for (size_t i = 0; i < row_count && status == RHUMB_OK; i++) {
        if (interrupt_requested()) return RHUMB_E_CANCELLED;
        status = rhumb_index_search_radius(search->index, search->vectors + i * search->kind.row_bytes,
                                           (float)search->arguments->radius, k, options, search->keys + i * k,
                                           search->distances + i * k, search->found_counts + i);
    }
    return status;
}

static rhumb_status search_rows(struct search *search, size_t row_count) {
    const struct search_arguments *arguments = search->arguments;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = arguments->ef; /* which follows from --recall, if that is given */
    options.thread_count = arguments->thread_count;
    if (arguments->filter_path || arguments->exclude_path) options.filter = &search->filter.filter;
    if (!isnan(arguments->radius)) return search_radius(search, row_count, &options);
    const bool exact = arguments->exact;
    return (exact ? rhumb_index_search_exact : rhumb_index_search_batch)(search->index, search->vectors, row_count,
                                                                         arguments->k, &options, search->keys,
                                                                         search->distances, search->found_counts);
}

static int fail_interrupted(const struct search *search) {
    return cli_fail(search->cli, CLI_INTERRUPTED, "interrupted after %llu of %llu queries",
                    (unsigned long long)search->done_count, (unsigned long long)search->query_count);
}

/* A search that goes on although it should stop: the process ends without it. */
static void abandon(void *context) {
    struct search *search = context;
    fail_interrupted(search);
    const int closed = result_writer_close(&search->writer, false);
    (void)closed; /* which only removes files that are not complete */
    cli_abandon(search->cli);
}

/* The next batch is to take about as long as a blink: neither many small ones, nor one that cannot be stopped. */
static void adapt_batch(struct search *search, double seconds) {
    if (seconds > BATCH_SECONDS_MAX && search->batch_rows > 1) search->batch_rows /= 2;
    if (seconds < BATCH_SECONDS_MIN && search->batch_rows < search->batch_rows_max) search->batch_rows *= 2;
    if (search->batch_rows > search->batch_rows_max) search->batch_rows = search->batch_rows_max;
}

static int search_batch(struct search *search, size_t row_count) {
    int exit_code =
        vectors_read(search->cli, search->queries, &search->kind, search->done_count, row_count, search->vectors);
    if (exit_code != CLI_OK) return exit_code;
    const double start = units_now();
    interrupt_call_begin(abandon, search);
    const rhumb_status status = search_rows(search, row_count);
    interrupt_call_end();
    const double seconds = units_now() - start;
    search->search_seconds += seconds;
    adapt_batch(search, seconds);
    if (status == RHUMB_E_CANCELLED) return CLI_INTERRUPTED;
    if (status != RHUMB_OK) return cli_fail_index(search->cli, status, "cannot search");
    if (search->recall)
        exit_code =
            recall_add(search->cli, search->recall, search->done_count, row_count, search->keys, search->distances);
    if (exit_code == CLI_OK)
        exit_code = result_writer_add(&search->writer, search->done_count, row_count, search->keys, search->distances,
                                      search->found_counts);
    return exit_code;
}

static int search_all(struct search *search) {
    const struct search_arguments *arguments = search->arguments;
    const bool to_stdout = !arguments->summary_only && !arguments->keys_out && !arguments->distances_out;
    const struct result_files files = {arguments->keys_out, arguments->distances_out, arguments->out_format_name};
    int exit_code =
        result_writer_open(&search->writer, search->cli, search->query_count, arguments->k, to_stdout, &files);
    struct progress progress;
    /* Results on stdout are progress enough, and would be mixed up with it. */
    progress_begin(&progress, "search", search->query_count, search->cli->quiet || to_stdout, search->cli->json);
    while (exit_code == CLI_OK && search->done_count < search->query_count) {
        if (interrupt_requested()) {
            exit_code = CLI_INTERRUPTED;
            break;
        }
        if (cli_output_lost()) {
            exit_code = CLI_IO; /* which cli_finish tells */
            break;
        }
        const uint64_t left = search->query_count - search->done_count;
        const size_t row_count = left < search->batch_rows ? (size_t)left : search->batch_rows;
        exit_code = search_batch(search, row_count);
        if (exit_code == CLI_OK) search->done_count += row_count;
        progress_update(&progress, search->done_count);
    }
    progress_end(&progress);
    const int close_code = result_writer_close(&search->writer, exit_code == CLI_OK);
    if (exit_code == CLI_INTERRUPTED) return fail_interrupted(search);
    return exit_code == CLI_OK ? close_code : exit_code;
}

static void report_json(const struct search *search, double rate) {
    const struct search_arguments *arguments = search->arguments;
    struct json_writer *json = &search->cli->writer;
    json_text(json, "index", arguments->index_path);
    cli_json_dataset(search->cli, "input", search->queries);
    json_u64(json, "queries", search->query_count);
    json_u64(json, "k", arguments->k);
    json_bool(json, "exact", arguments->exact);
    if (!arguments->exact) json_u64(json, "ef", arguments->ef);
    json_u64(json, "threads", arguments->thread_count);
    json_double(json, "search_seconds", search->search_seconds);
    json_double(json, "queries_per_second", rate);
    if (!search->recall) return;
    json_double(json, "recall", recall_value(search->recall));
    json_text(json, "recall_definition", recall_definition(search->recall));
}

/* Where results went to stdout the summary goes to stderr, so that the former can be piped on. */
static void report_text(const struct search *search, double rate) {
    const struct search_arguments *arguments = search->arguments;
    if (search->writer.holds_stdout && search->cli->quiet) return;
    FILE *stream = search->writer.holds_stdout ? stderr : stdout;
    struct units_text count, time, speed;
    char breadth[32] = "exact", threads[32] = "all processors";
    if (!arguments->exact) snprintf(breadth, sizeof breadth, "ef %u", arguments->ef);
    if (arguments->thread_count) snprintf(threads, sizeof threads, "threads %u", arguments->thread_count);
    fflush(stdout);
    fprintf(stream, "searched     %s queries, k %u, %s, in %s: %s queries/s (%s)\n",
            units_count(&count, search->query_count), arguments->k, breadth,
            units_duration(&time, search->search_seconds), units_rate(&speed, rate), threads);
    if (search->recall)
        fprintf(stream, "recall@%-5u %.5f (by %s)\n", arguments->k, recall_value(search->recall),
                recall_definition(search->recall));
}

static int report(const struct search *search) {
    const double rate = search->search_seconds > 0 ? (double)search->query_count / search->search_seconds : 0;
    if (search->cli->json)
        report_json(search, rate);
    else
        report_text(search, rate);
    const double recall_min = search->arguments->recall_min;
    if (search->recall && recall_value(search->recall) < recall_min)
        return cli_fail(search->cli, CLI_PROBLEM, "recall %.5f is below --min-recall %g", recall_value(search->recall),
                        recall_min);
    return CLI_OK;
}

/* The ef that gives the recall asked for. Notes what the user should know of it. */
static int choose_ef(struct search *search, struct search_arguments *arguments) {
    double reached = 0;
    rhumb_recall_curve curve = {0};
    struct cli *cli = search->cli;
    rhumb_status status =
        rhumb_index_recall_ef(search->index, arguments->k, arguments->recall, &arguments->ef, &reached);
    if (status == RHUMB_E_UNSUPPORTED)
        return cli_fail(cli, CLI_PROBLEM,
                        "--recall: that of %s has not been measured, so its ef is not known; `rhumb recall %s` "
                        "measures it",
                        arguments->index_path, arguments->index_path);
    if (status == RHUMB_OK) status = rhumb_index_recall_get(search->index, &curve, sizeof curve);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot choose ef");
    if (reached < arguments->recall)
        cli_note(cli, "note: when recall was measured, ef %u, the largest, reached %.4f", arguments->ef, reached);
    if (curve.outdated)
        cli_note(cli,
                 "note: since recall was measured there have been %llu operations on %llu vectors; `rhumb recall` "
                 "measures it again",
                 (unsigned long long)curve.change_count, (unsigned long long)curve.count);
    json_double(&cli->writer, "recall_target", arguments->recall);
    json_double(&cli->writer, "recall_expected", reached);
    return CLI_OK;
}

static int prepare(struct search *search, struct search_arguments *arguments) {
    struct cli *cli = search->cli;
    int exit_code = cli_open_index(cli, arguments->index_path, true, &search->index);
    if (exit_code != CLI_OK) return exit_code;
    exit_code = cli_open_dataset(cli, arguments->queries_path, arguments->format_name, arguments->hdf5_name,
                                 DATASET_PART_TEST, &search->queries);
    if (exit_code != CLI_OK) return exit_code;
    rhumb_index_options created;
    const rhumb_status status = rhumb_index_options_get(search->index, &created, sizeof created);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot see what the index is");
    const struct dataset_info *info = dataset_info_get(search->queries);
    exit_code = vectors_check(cli, info, &created, arguments->index_path, &search->kind);
    if (exit_code != CLI_OK) return exit_code;
    if (arguments->filter_path || arguments->exclude_path) {
        const bool exclude = arguments->exclude_path != NULL;
        exit_code =
            key_filter_open(&search->filter, cli, exclude ? arguments->exclude_path : arguments->filter_path, exclude);
        if (exit_code != CLI_OK) return exit_code;
    }
    if (!isnan(arguments->recall)) exit_code = choose_ef(search, arguments);
    if (exit_code != CLI_OK) return exit_code;
    if (arguments->ef == 0) arguments->ef = created.ef_search;
    search->query_count = info->row_count < arguments->row_limit ? info->row_count : arguments->row_limit;
    exit_code = open_truth(search, created.metric);
    return exit_code == CLI_OK ? allocate(search) : exit_code;
}

static int search_run(struct cli *cli, struct search_arguments *arguments) {
    struct search search = {.cli = cli, .arguments = arguments};
    int exit_code = prepare(&search, arguments);
    if (exit_code == CLI_OK) exit_code = search_all(&search);
    if (exit_code == CLI_OK) exit_code = report(&search);
    key_filter_close(&search.filter);
    free(search.vectors);
    free(search.keys);
    free(search.distances);
    free(search.found_counts);
    recall_close(search.recall);
    dataset_close(search.queries);
    return cli_close_index(cli, search.index, exit_code);
}

static int run(struct cli *cli, const struct cli_command *command, int argument_count, char *const *argument_texts) {
    struct search_arguments arguments = {.k = 10, .row_limit = UINT64_MAX, .radius = NAN, .recall = NAN};
    const struct args_option options[] = {
        {"k", 'k', ARGS_U32, &arguments.k, "N", "neighbours per query, 1 to 1,000,000. Default 10"},
        {"ef", 0, ARGS_U32, &arguments.ef, "N", "search breadth. Default: what the index remembers"},
        {"recall", 0, ARGS_DOUBLE, &arguments.recall, "X",
         "in place of --ef: the share of the neighbours to be found, above\n0 to 1, in the mean. `rhumb recall` must "
         "have measured it"},
        {"exact", 0, ARGS_FLAG, &arguments.exact, NULL, "measure every vector"},
        {"filter-keys", 0, ARGS_TEXT, &arguments.filter_path, "FILE",
         "only these keys may be answers: one column of integers (npy,\nivecs)"},
        {"exclude-keys", 0, ARGS_TEXT, &arguments.exclude_path, "FILE", "all but these may be answers"},
        {"radius", 0, ARGS_DOUBLE, &arguments.radius, "R",
         "all that is at most so far from the query, k at most; on one thread"},
        {"threads", 't', ARGS_U32, &arguments.thread_count, "N", "default: one per processor"},
        {"limit", 0, ARGS_U64, &arguments.row_limit, "N", "only the first N queries"},
        {"truth", 0, ARGS_TEXT, &arguments.truth_path, "FILE",
         "true neighbours to count recall against: hdf5, ibin, ivecs, npy.\nDefault: those of an HDF5 file of queries"},
        {"truth-format", 0, ARGS_TEXT, &arguments.truth_format_name, "NAME", "when its extension does not say it"},
        {"truth-metric", 0, ARGS_TEXT, &arguments.truth_metric_name, "NAME",
         "of the distances in it. Default: what an HDF5 file says, else\nunknown, and recall is counted by ids"},
        {"no-truth", 0, ARGS_FLAG, &arguments.no_truth, NULL, "count no recall although the HDF5 file would allow it"},
        {"min-recall", 0, ARGS_DOUBLE, &arguments.recall_min, "X", "exit with 1 when recall is below X"},
        {"out", 'o', ARGS_TEXT, &arguments.keys_out, "FILE",
         "write the keys to a file: .npy (u64) or .ivecs (i32), or to -"},
        {"out-distances", 0, ARGS_TEXT, &arguments.distances_out, "FILE",
         "and the distances: .npy or .fvecs (f32), or to -"},
        {"out-format", 0, ARGS_TEXT, &arguments.out_format_name, "NAME",
         "npy, ivecs or fvecs, when the name of an output does not say it"},
        {"summary", 's', ARGS_FLAG, &arguments.summary_only, NULL, "print no results, only how it went"},
        {"format", 0, ARGS_TEXT, &arguments.format_name, "NAME", "of QUERIES, when its extension does not say it"},
        {"dataset", 0, ARGS_TEXT, &arguments.hdf5_name, "NAME", "of an HDF5 file. Default: test"},
        CLI_COMMON_OPTIONS(cli),
    };
    const char *paths[2];
    int exit_code;
    if (!cli_parse(cli, command, options, argument_count, argument_texts, paths, 2, &exit_code)) return exit_code;
    arguments.index_path = paths[0];
    arguments.queries_path = paths[1];
    if (arguments.filter_path && arguments.exclude_path)
        return cli_fail(cli, CLI_USAGE, "--filter-keys and --exclude-keys exclude each other");
    if (!isnan(arguments.recall) && !(arguments.recall > 0 && arguments.recall <= 1))
        return cli_fail(cli, CLI_USAGE, "--recall must be above 0 and at most 1, found %g", arguments.recall);
    if (!isnan(arguments.recall) && (arguments.ef || arguments.exact || !isnan(arguments.radius)))
        return cli_fail(cli, CLI_USAGE, "--recall excludes --ef, --exact and --radius");
    if (arguments.exact && !isnan(arguments.radius))
        return cli_fail(cli, CLI_USAGE, "--exact and --radius exclude each other");
    if (arguments.k < 1 || arguments.k > K_MAX)
        return cli_fail(cli, CLI_USAGE, "-k must be 1 to %u, found %u", K_MAX, arguments.k);
    if (arguments.no_truth && arguments.truth_path)
        return cli_fail(cli, CLI_USAGE, "--truth and --no-truth exclude each other");
    return search_run(cli, &arguments);
}

const struct cli_command cli_search_command = {
    .name = "search",
    .summary = "find the nearest neighbours of the vectors of a file",
    .usage = "[OPTIONS] INDEX QUERIES",
    .description =
        "Prints one line per row of QUERIES: its number, a tab, and KEY:DISTANCE of its neighbours, nearest first.\n"
        "At the end it prints the speed and, if the truth is known, the recall: the share of the k neighbours\n"
        "that are no farther than the true k-th (\"by distance\", safe with ties), or, where true distances are\n"
        "not known, the share of true ids that were found (\"by ids\").\n",
    .examples = "  rhumb search images.rhumb fashion-mnist-784-euclidean.hdf5 -k 10 --ef 100 --summary\n"
                "  rhumb search big.rhumb query.u8bin -k 100 --truth groundtruth.ibin --truth-metric l2sq --summary\n"
                "  rhumb search words.rhumb queries.npy --out keys.npy --out-distances distances.npy\n"
                "  rhumb search words.rhumb queries.npy --exact --out truth.ivecs    (makes a truth)\n"
                "  rhumb search images.rhumb test.fvecs --truth truth.ivecs --min-recall 0.95 --json --summary\n",
    .run = run,
};
