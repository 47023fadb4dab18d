/* ingest.c - inserts the rows of a file into an index, in batches.
 *
 * Owns the buffers of one batch: BATCH_BYTES of vectors (or one row, if a row is larger) and their keys, whatever the
 * file's size. Keys are always given explicitly, also where they are plain row numbers: after an interruption the keys
 * show which rows are missing. Progress spans all batches. On any failure the rows already inserted stay.
 */
#include "ingest.h"

#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "progress.h"
#include "units.h"
#include "vectors.h"

#define BATCH_BYTES (UINT64_C(64) << 20)

struct ingest {
    struct cli *cli;
    rhumb_index *index;
    struct dataset *rows;
    const struct ingest_options *options;
    struct ingest_result *result;
    struct progress progress;
    uint64_t row_next;      /* first row of the file that no batch has taken */
    uint64_t done_count;    /* rows handled before the batch in hand */
    uint64_t unsaved_count; /* inserted since the last checkpoint */
    size_t batch_row_limit;
    rhumb_element element;
    size_t row_bytes;
    unsigned char *vectors;
    uint64_t *keys;
};

int ingest_open_keys(struct cli *cli, const char *path, uint64_t row_count, struct dataset **keys_out) {
    struct dataset *keys = NULL;
    const int exit_code = cli_open_keys(cli, path, &keys);
    if (exit_code != CLI_OK) return exit_code;
    const uint64_t key_count = dataset_info_get(keys)->row_count;
    if (key_count == row_count) {
        *keys_out = keys;
        return CLI_OK;
    }
    dataset_close(keys);
    return cli_fail(cli, CLI_INPUT, "%s: expected one key for each of %llu vectors, found %llu", path,
                    (unsigned long long)row_count, (unsigned long long)key_count);
}

/* Reads the next rows and their keys; with skip_existing, closes the gaps of those that the index has. *count_out is
 * how many are left to insert, *skipped_out how many are not. */
static int read_batch(struct ingest *ingest, size_t row_count, size_t *count_out, size_t *skipped_out) {
    struct dataset_error error;
    const uint64_t first = ingest->row_next;
    const int exit_code = vectors_read(ingest->cli, ingest->rows, ingest->element, first, row_count, ingest->vectors);
    if (exit_code != CLI_OK) return exit_code;
    if (ingest->options->keys) {
        if (dataset_read_u64(ingest->options->keys, first, row_count, ingest->keys, &error) != DATASET_OK)
            return cli_fail_dataset(ingest->cli, &error);
    } else {
        for (size_t i = 0; i < row_count; i++) ingest->keys[i] = ingest->options->first_key + first + i;
    }
    size_t kept = row_count;
    if (ingest->options->skip_existing) {
        kept = 0;
        for (size_t i = 0; i < row_count; i++) {
            bool found = false;
            const rhumb_status status = rhumb_index_contains(ingest->index, ingest->keys[i], &found);
            if (status != RHUMB_OK) return cli_fail_index(ingest->cli, status, "cannot look up a key");
            if (found) continue;
            ingest->keys[kept] = ingest->keys[i];
            memmove(ingest->vectors + kept * ingest->row_bytes, ingest->vectors + i * ingest->row_bytes,
                    ingest->row_bytes);
            kept++;
        }
    }
    *count_out = kept;
    *skipped_out = row_count - kept;
    return CLI_OK;
}

static bool on_progress(void *context, uint64_t done_count, uint64_t total_count) {
    (void)total_count;
    struct ingest *ingest = context;
    progress_update(&ingest->progress, ingest->done_count + done_count);
    return !interrupt_requested();
}

static int fail_batch(struct ingest *ingest, rhumb_status status, size_t count) {
    if (status == RHUMB_E_EXISTS)
        return cli_fail_index_as(ingest->cli, CLI_INPUT, status,
                                 "cannot insert ('rhumb add --skip-existing' passes over keys that are there)");
    return vectors_fail(ingest->cli, status, "cannot insert", dataset_info_get(ingest->rows), ingest->element,
                        ingest->vectors, count, ingest->keys, 0);
}

static int insert_batch(struct ingest *ingest, size_t count) {
    rhumb_batch_options batch;
    rhumb_batch_options_init(&batch, sizeof batch);
    batch.thread_count = ingest->options->thread_count;
    batch.progress = on_progress;
    batch.progress_context = ingest;
    batch.partial = true; /* a batch that was interrupted is continued */
    size_t inserted_count = 0;
    const rhumb_status status =
        rhumb_index_insert_batch(ingest->index, ingest->keys, ingest->vectors, count, &batch, &inserted_count);
    ingest->result->inserted_count += inserted_count;
    ingest->unsaved_count += inserted_count;
    if (status == RHUMB_OK) return CLI_OK;
    if (status == RHUMB_E_CANCELLED) return CLI_INTERRUPTED;
    return fail_batch(ingest, status, count);
}

static int run_batches(struct ingest *ingest) {
    const uint64_t every = ingest->options->checkpoint_every;
    while (ingest->row_next < ingest->result->row_count) {
        if (interrupt_requested()) return CLI_INTERRUPTED;
        const uint64_t left = ingest->result->row_count - ingest->row_next;
        const size_t row_count = left < ingest->batch_row_limit ? (size_t)left : ingest->batch_row_limit;
        size_t count = 0, skipped = 0;
        int exit_code = read_batch(ingest, row_count, &count, &skipped);
        if (exit_code != CLI_OK) return exit_code;
        ingest->row_next += row_count;
        ingest->done_count += skipped;
        ingest->result->skipped_count += skipped;
        if (count) exit_code = insert_batch(ingest, count);
        if (exit_code != CLI_OK) return exit_code;
        ingest->done_count += count;
        progress_update(&ingest->progress, ingest->done_count);
        if (every && ingest->unsaved_count >= every && ingest->row_next < ingest->result->row_count) {
            const rhumb_status status = rhumb_index_checkpoint(ingest->index);
            if (status != RHUMB_OK) return cli_fail_index(ingest->cli, status, "cannot make a checkpoint");
            ingest->unsaved_count = 0;
        }
    }
    return CLI_OK;
}

static int allocate(struct ingest *ingest) {
    const uint64_t row_bytes = ingest->row_bytes;
    uint64_t limit = BATCH_BYTES / row_bytes;
    if (ingest->options->checkpoint_every && limit > ingest->options->checkpoint_every)
        limit = ingest->options->checkpoint_every;
    if (limit > ingest->result->row_count) limit = ingest->result->row_count;
    if (limit == 0) limit = 1;
    ingest->batch_row_limit = (size_t)limit;
    ingest->vectors = malloc(limit * row_bytes);
    ingest->keys = malloc(limit * sizeof *ingest->keys);
    if (!ingest->vectors || !ingest->keys) return cli_fail_memory(ingest->cli, limit * row_bytes);
    return CLI_OK;
}

int ingest_run(struct cli *cli, rhumb_index *index, struct dataset *rows, const struct ingest_options *options,
               struct ingest_result *result) {
    const struct dataset_info *info = dataset_info_get(rows);
    *result = (struct ingest_result){
        .row_count = info->row_count < options->row_limit ? info->row_count : options->row_limit,
    };
    struct ingest ingest = {
        .cli = cli, .index = index, .rows = rows, .options = options, .result = result, .element = options->element};
    ingest.row_bytes = vectors_row_bytes(options->element, vectors_dim(info, options->element));
    int exit_code = CLI_OK;
    if (!options->keys && result->row_count && options->first_key > UINT64_MAX - result->row_count)
        exit_code = cli_fail(cli, CLI_USAGE, "--first-key %llu leaves no room for %llu keys",
                             (unsigned long long)options->first_key, (unsigned long long)result->row_count);
    if (exit_code == CLI_OK) exit_code = allocate(&ingest);
    if (exit_code == CLI_OK) {
        interrupt_install();
        progress_begin(&ingest.progress, cli->command, result->row_count, cli->quiet, cli->json);
        exit_code = run_batches(&ingest);
        result->insert_seconds = progress_end(&ingest.progress);
    }
    free(ingest.keys);
    free(ingest.vectors);
    result->interrupted = exit_code == CLI_INTERRUPTED;

    const double checkpoint_start = units_now();
    const rhumb_status status = rhumb_index_checkpoint(index);
    result->checkpoint_seconds = units_now() - checkpoint_start;
    if (status != RHUMB_OK && (exit_code == CLI_OK || exit_code == CLI_INTERRUPTED))
        exit_code = cli_fail_index(cli, status, "cannot make the last checkpoint");
    return exit_code;
}

void ingest_report(struct cli *cli, const struct ingest_result *result, rhumb_index *index) {
    const double rate = result->insert_seconds > 0 ? (double)result->inserted_count / result->insert_seconds : 0;
    rhumb_index_stats stats;
    const bool has_stats = index && rhumb_index_stats_get(index, &stats, sizeof stats) == RHUMB_OK;
    struct json_writer *json = &cli->writer;
    json_u64(json, "rows", result->row_count);
    json_u64(json, "inserted", result->inserted_count);
    json_u64(json, "skipped", result->skipped_count);
    json_bool(json, "interrupted", result->interrupted);
    json_double(json, "insert_seconds", result->insert_seconds);
    json_double(json, "checkpoint_seconds", result->checkpoint_seconds);
    json_double(json, "vectors_per_second", rate);
    if (has_stats) {
        json_u64(json, "count", stats.count);
        json_u64(json, "file_bytes", stats.file_bytes);
    }
    if (cli->json) return;
    struct units_text inserted, insert_time, speed, checkpoint_time, skipped, count, file;
    printf("inserted     %s vectors in %s (%s/s), last checkpoint %s\n", units_count(&inserted, result->inserted_count),
           units_duration(&insert_time, result->insert_seconds), units_rate(&speed, rate),
           units_duration(&checkpoint_time, result->checkpoint_seconds));
    if (result->skipped_count)
        printf("skipped      %s that were there\n", units_count(&skipped, result->skipped_count));
    if (has_stats)
        printf("index        %s vectors in %s\n", units_count(&count, stats.count),
               units_bytes(&file, stats.file_bytes));
}
