/* extract.c - see extract.h. The index is opened read-only and shows its newest checkpoint, also while another process
 * writes. Owns nothing beyond a call. A walk over all vectors writes them from where they are mapped, and asks for more
 * until the end, so that a page that cannot be read is reported.
 */
#include "extract.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/console/interrupt.h"
#include "api/cli/console/progress.h"
#include "api/cli/console/units.h"
#include "api/cli/dataset/npy_header.h"
#include "output.h"
#include "vector_writer.h"
#include "vectors.h"

#define WALK_COUNT 256u

struct extract {
    struct cli *cli;
    const struct extract_options *options;
    rhumb_index *index;
    rhumb_index_stats stats;
    rhumb_index_options created;
    struct key_list list;
    struct vector_writer writer;
    struct output keys; /* if options->keys_out */
    struct progress progress;
    uint64_t row_count, done_count, absent_count, absent_first;
};

static int add(struct extract *extract, uint64_t key, const void *vector) {
    const int exit_code = vector_writer_add(&extract->writer, key, vector);
    if (exit_code != CLI_OK) return exit_code;
    if (extract->keys.stream && fwrite(&key, sizeof key, 1, extract->keys.stream) != 1)
        return cli_fail(extract->cli, CLI_IO, "%s: cannot write: %s", extract->options->keys_out, strerror(errno));
    extract->done_count++;
    if (extract->done_count % 64 == 0) progress_update(&extract->progress, extract->done_count);
    return interrupt_requested() ? CLI_INTERRUPTED : CLI_OK;
}

static int write_listed(struct extract *extract) {
    int exit_code = CLI_OK;
    const size_t row_bytes = vectors_row_bytes(extract->created.element, extract->created.dim);
    unsigned char *vector = malloc(row_bytes);
    if (!vector) return cli_fail_memory(extract->cli, row_bytes);
    for (size_t i = 0; i < extract->list.count && exit_code == CLI_OK; i++) {
        const rhumb_status status = rhumb_index_get_vector(extract->index, extract->list.keys[i], vector);
        if (status == RHUMB_E_NOTFOUND) continue;
        exit_code = status == RHUMB_OK ? add(extract, extract->list.keys[i], vector)
                                       : cli_fail_index(extract->cli, status, "cannot read a vector");
    }
    free(vector);
    return exit_code;
}

static int write_all(struct extract *extract) {
    uint64_t keys[WALK_COUNT];
    const void *vectors[WALK_COUNT];
    rhumb_point_cursor *cursor = NULL;
    int exit_code = CLI_OK;
    rhumb_status status = rhumb_point_cursor_open(extract->index, 0, &cursor);
    for (size_t count = 1; status == RHUMB_OK && count > 0 && exit_code == CLI_OK;) {
        status = rhumb_point_cursor_next(cursor, WALK_COUNT, keys, vectors, NULL, &count);
        for (size_t i = 0; status == RHUMB_OK && i < count && exit_code == CLI_OK; i++)
            exit_code = add(extract, keys[i], vectors[i]);
    }
    if (status != RHUMB_OK) exit_code = cli_fail_index(extract->cli, status, "cannot read the index");
    rhumb_point_cursor_close(cursor);
    if (exit_code == CLI_OK && extract->done_count != extract->row_count)
        exit_code =
            cli_fail(extract->cli, CLI_INDEX, "%s: has %" PRIu64 " vectors where %" PRIu64 " are counted; verify it",
                     extract->options->index_path, extract->done_count, extract->row_count);
    return exit_code;
}

static int open_outputs(struct extract *extract) {
    const struct extract_options *options = extract->options;
    const struct vector_writer_options writer = {options->out_path, options->format_name, extract->created.element,
                                                 extract->created.dim, extract->row_count};
    if (extract->absent_count > 0 && vector_writer_format(&writer) != DATASET_FORMAT_JSONL)
        return cli_fail(extract->cli, CLI_PROBLEM,
                        "%" PRIu64 " of %zu keys are not in the index, the first is %" PRIu64, extract->absent_count,
                        extract->list.count, extract->absent_first);
    const int exit_code = vector_writer_open(&extract->writer, extract->cli, &writer);
    if (exit_code != CLI_OK || !options->keys_out) return exit_code;
    if (output_open(&extract->keys, options->keys_out) &&
        npy_header_write(extract->keys.stream, "<u8", extract->row_count, 0))
        return CLI_OK;
    return cli_fail(extract->cli, CLI_IO, "%s: cannot create: %s", options->keys_out, strerror(errno));
}

static int close_outputs(struct extract *extract, int exit_code) {
    const bool complete = exit_code == CLI_OK;
    const bool keys_closed = output_close(&extract->keys, complete);
    if (complete && !keys_closed)
        exit_code = cli_fail(extract->cli, CLI_IO, "%s: cannot write: %s", extract->options->keys_out, strerror(errno));
    const int writer_code = vector_writer_close(&extract->writer, exit_code == CLI_OK);
    return exit_code == CLI_OK ? writer_code : exit_code;
}

/* What went where; where the vectors went to stdout, only what they do not show themselves. */
static int report(struct extract *extract) {
    const struct extract_options *options = extract->options;
    struct cli *cli = extract->cli;
    struct units_text count;
    json_text(&cli->writer, "index", options->index_path);
    json_text(&cli->writer, "out", options->out_path);
    json_u64(&cli->writer, "written", extract->done_count);
    json_u64(&cli->writer, "absent", extract->absent_count);
    if (!cli->json && strcmp(options->out_path, "-") != 0)
        printf("written      %s vectors to %s\n", units_count(&count, extract->done_count), options->out_path);
    if (extract->stats.log_pending_count > 0)
        cli_note(cli, "note: the log has %" PRIu64 " operations more, which are not in the checkpoint that was read",
                 extract->stats.log_pending_count);
    if (extract->absent_count == 0) return CLI_OK;
    return cli_fail(cli, CLI_PROBLEM, "%" PRIu64 " of %zu keys are not in the index, the first is %" PRIu64,
                    extract->absent_count, extract->list.count, extract->absent_first);
}

static int prepare(struct extract *extract) {
    const struct extract_options *options = extract->options;
    int exit_code = CLI_OK;
    if (options->source) exit_code = key_list_open(&extract->list, extract->cli, options->source);
    if (exit_code == CLI_OK) exit_code = cli_open_index(extract->cli, options->index_path, true, &extract->index);
    if (exit_code != CLI_OK) return exit_code;
    rhumb_status status = rhumb_index_stats_get(extract->index, &extract->stats, sizeof extract->stats);
    if (status == RHUMB_OK)
        status = rhumb_index_options_get(extract->index, &extract->created, sizeof extract->created);
    if (status != RHUMB_OK) return cli_fail_index(extract->cli, status, "cannot see what the index is");
    exit_code = vectors_check_metric(extract->cli, extract->created.metric);
    if (exit_code == CLI_OK && options->source)
        exit_code = key_list_count_absent(&extract->list, extract->cli, extract->index, &extract->absent_count,
                                          &extract->absent_first);
    extract->row_count =
        options->source ? extract->list.count - extract->absent_count : rhumb_index_count(extract->index);
    return exit_code;
}

int extract_run(struct cli *cli, const struct extract_options *options) {
    struct extract extract = {.cli = cli, .options = options};
    int exit_code = prepare(&extract);
    if (exit_code == CLI_OK) {
        exit_code = open_outputs(&extract);
        progress_begin(&extract.progress, cli->command, extract.row_count,
                       cli->quiet || strcmp(options->out_path, "-") == 0, cli->json);
        if (exit_code == CLI_OK) exit_code = options->source ? write_listed(&extract) : write_all(&extract);
        progress_end(&extract.progress);
        exit_code = close_outputs(&extract, exit_code);
        if (exit_code == CLI_INTERRUPTED)
            cli_fail(cli, CLI_INTERRUPTED, "interrupted after %" PRIu64 " of %" PRIu64 " vectors", extract.done_count,
                     extract.row_count);
        if (exit_code == CLI_OK) exit_code = report(&extract);
    }
    key_list_close(&extract.list);
    return cli_close_index(cli, extract.index, exit_code);
}
