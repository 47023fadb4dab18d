/* ingest.c - inserts the rows of a file into an index, in batches.
 *
 * Owns the buffers of one batch: so many bytes of vectors (or one row, if a row is larger) and their keys, whatever the
 * file's size. A new index gets all rows as one batch if memory holds them and they can be built in bulk; if it does
 * not hold them, the library reads them itself as it needs them. Keys are always given explicitly, also where they are
 * plain row numbers: after an interruption the keys show which rows are missing. Progress spans all batches.
 *
 * How it fails: rows of a new index stay, if any are in; of a batch that is built in bulk none are until its end. An
 * index that was there gets whole batches or nothing of them; a file that is one batch is all or nothing, and for a
 * longer one everything that can be wrong with it is looked for before the first batch. What remains are failures of
 * the machine, and an interruption: then the first batches stay.
 */
#include "ingest.h"

#include <stdlib.h>
#include <string.h>

#include "api/bulk.h"
#include "api/cli/console/interrupt.h"
#include "api/cli/console/progress.h"
#include "api/cli/console/units.h"
#include "api/cli/replace.h"
#include "api/tool_memory.h"

#define BUILD_BATCH_BYTES (UINT64_C(32) << 20)
#define ADD_BATCH_BYTES (UINT64_C(256) << 20)
/* Between two looks at whether to stop. */
#define READ_BYTES (UINT64_C(32) << 20)

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
    int read_code; /* of reading rows that memory cannot hold */
    size_t row_bytes;
    unsigned char *vectors;
    uint64_t *keys;
};

int ingest_open_keys(struct cli *cli, const char *path, uint64_t row_count, struct dataset **keys_out) {
    struct dataset *keys = NULL;
    const int exit_code = cli_open_keys(cli, path, NULL, &keys);
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

/* ---- a batch ---- */

/* The dataset that has the keys; NULL: they are counted. */
static struct dataset *keys_of(const struct ingest *ingest) {
    if (ingest->options->keys) return ingest->options->keys;
    return dataset_info_get(ingest->rows)->has_keys ? ingest->rows : NULL;
}

static int read_keys(const struct ingest *ingest, uint64_t first, size_t count, uint64_t *keys) {
    struct dataset *source = keys_of(ingest);
    if (source) return cli_read_keys(ingest->cli, source, first, count, keys);
    for (size_t i = 0; i < count; i++) keys[i] = ingest->options->first_key + first + i;
    return CLI_OK;
}

/* Closes the gaps of rows that the index has. *count is that of the rows, before and after. */
static int drop_existing(struct ingest *ingest, size_t *count) {
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        bool found = false;
        const rhumb_status status = rhumb_index_contains(ingest->index, ingest->keys[i], &found);
        if (status != RHUMB_OK) return cli_fail_index(ingest->cli, status, "cannot look up a key");
        if (found) continue;
        ingest->keys[kept] = ingest->keys[i];
        memmove(ingest->vectors + kept * ingest->row_bytes, ingest->vectors + i * ingest->row_bytes, ingest->row_bytes);
        kept++;
    }
    *count = kept;
    return CLI_OK;
}

static bool on_progress(void *context, uint64_t done_count, uint64_t total_count) {
    (void)total_count;
    struct ingest *ingest = context;
    progress_update(&ingest->progress, ingest->done_count + done_count);
    return !interrupt_requested();
}

static rhumb_batch_options batch_options(struct ingest *ingest) {
    rhumb_batch_options batch;
    rhumb_batch_options_init(&batch, sizeof batch);
    batch.thread_count = ingest->options->thread_count;
    batch.progress = on_progress;
    batch.progress_context = ingest;
    /* A build goes on where it was interrupted, row by row, unless it is in bulk; what is added is whole. */
    batch.partial = ingest->options->mode == INGEST_BUILD && !ingest->options->as_batch;
    return batch;
}

static rhumb_status insert(struct ingest *ingest, size_t count, size_t *written_count) {
    const rhumb_batch_options batch = batch_options(ingest);
    return rhumb_index_insert_batch(ingest->index, ingest->keys, ingest->vectors, count, &batch, written_count);
}

static rhumb_status upsert(struct ingest *ingest, size_t count, size_t *written_count) {
    const rhumb_batch_options batch = batch_options(ingest);
    rhumb_write_report report;
    const rhumb_status status =
        rhumb_index_upsert_batch(ingest->index, ingest->keys, ingest->vectors, count, &batch, &report, sizeof report);
    if (status != RHUMB_OK) return status;
    ingest->result->replaced_count += report.replaced_count;
    *written_count = count;
    return RHUMB_OK;
}

static int write_batch(struct ingest *ingest, size_t count) {
    size_t written_count = 0;
    const rhumb_status status =
        (ingest->options->mode == INGEST_UPSERT ? upsert : insert)(ingest, count, &written_count);
    /* Whatever a batch that is all or nothing leaves in memory when the log has failed: it is not in the index. */
    if (status != RHUMB_OK && ingest->options->mode != INGEST_BUILD) written_count = 0;
    ingest->result->inserted_count += written_count;
    ingest->unsaved_count += written_count;
    if (status == RHUMB_OK) return CLI_OK;
    if (status == RHUMB_E_CANCELLED) return CLI_INTERRUPTED;
    if (status == RHUMB_E_EXISTS)
        return cli_fail_index_as(ingest->cli, CLI_INPUT, status,
                                 "cannot insert ('rhumb add --skip-existing' passes over keys that are there)");
    return cli_fail_index(ingest->cli, status, "cannot insert");
}

/* ---- all batches ---- */

static size_t next_batch(const struct ingest *ingest, uint64_t row_next) {
    const uint64_t left = ingest->result->row_count - row_next;
    return left < ingest->batch_row_limit ? (size_t)left : ingest->batch_row_limit;
}

/* Reads the rows of a batch and their keys. */
static int read_batch(struct ingest *ingest, size_t count) {
    const size_t step = ingest->row_bytes < READ_BYTES ? (size_t)(READ_BYTES / ingest->row_bytes) : 1;
    for (size_t done = 0; done < count; done += step) {
        if (interrupt_requested()) return CLI_INTERRUPTED;
        const size_t piece = count - done < step ? count - done : step;
        const int exit_code = vectors_read(ingest->cli, ingest->rows, &ingest->options->kind, ingest->row_next + done,
                                           piece, ingest->vectors + done * ingest->row_bytes);
        if (exit_code != CLI_OK) return exit_code;
    }
    return read_keys(ingest, ingest->row_next, count, ingest->keys);
}

static int run_batches(struct ingest *ingest) {
    const uint64_t every = ingest->options->checkpoint_every;
    while (ingest->row_next < ingest->result->row_count) {
        const size_t row_count = next_batch(ingest, ingest->row_next);
        size_t count = row_count;
        int exit_code = read_batch(ingest, row_count);
        if (exit_code == CLI_OK && ingest->options->skip_existing) exit_code = drop_existing(ingest, &count);
        if (exit_code != CLI_OK) return exit_code;
        ingest->row_next += row_count;
        ingest->done_count += row_count - count;
        ingest->result->skipped_count += row_count - count;
        if (count) exit_code = write_batch(ingest, count);
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

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Whether a key is there twice: 8 bytes for each. */
static int check_keys(struct ingest *ingest) {
    const size_t count = (size_t)ingest->result->row_count;
    if (!keys_of(ingest)) return CLI_OK;
    uint64_t *keys = malloc((count + 1) * sizeof *keys);
    if (!keys) return cli_fail_memory(ingest->cli, count * sizeof *keys);
    int exit_code = read_keys(ingest, 0, count, keys);
    if (exit_code == CLI_OK) qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count && exit_code == CLI_OK; i++)
        if (keys[i] == keys[i - 1])
            exit_code = cli_fail(ingest->cli, CLI_INPUT, "%s: key %llu is there twice",
                                 dataset_info_get(keys_of(ingest))->path, (unsigned long long)keys[i]);
    free(keys);
    return exit_code;
}

/* Reads a file of several batches before the first of them is written, for what the index would refuse. */
static int check_all(struct ingest *ingest) {
    const struct ingest_options *options = ingest->options;
    int exit_code = CLI_OK;
    for (uint64_t first = 0; first < ingest->result->row_count && exit_code == CLI_OK;) {
        if (interrupt_requested()) return CLI_INTERRUPTED;
        const size_t count = next_batch(ingest, first);
        exit_code = vectors_read(ingest->cli, ingest->rows, &options->kind, first, count, ingest->vectors);
        if (exit_code == CLI_OK) exit_code = read_keys(ingest, first, count, ingest->keys);
        for (size_t i = 0; i < count && exit_code == CLI_OK; i++) {
            bool found = false;
            if (options->mode == INGEST_UPSERT || options->skip_existing) break;
            const rhumb_status status = rhumb_index_contains(ingest->index, ingest->keys[i], &found);
            if (status != RHUMB_OK) exit_code = cli_fail_index(ingest->cli, status, "cannot look up a key");
            if (found)
                exit_code =
                    cli_fail(ingest->cli, CLI_INPUT,
                             "key %llu of row %llu is in the index ('rhumb add --skip-existing' passes over such "
                             "rows)",
                             (unsigned long long)ingest->keys[i], (unsigned long long)first + i);
        }
        first += count;
    }
    return exit_code;
}

static uint64_t rows_of_batch(const struct ingest *ingest) {
    if (ingest->options->as_batch) return ingest->result->row_count;
    return (ingest->options->mode == INGEST_BUILD ? BUILD_BATCH_BYTES : ADD_BATCH_BYTES) / ingest->row_bytes;
}

static int allocate(struct ingest *ingest) {
    const struct ingest_options *options = ingest->options;
    uint64_t limit = rows_of_batch(ingest);
    if (options->checkpoint_every && limit > options->checkpoint_every) limit = options->checkpoint_every;
    if (limit > ingest->result->row_count) limit = ingest->result->row_count;
    if (limit == 0) limit = 1;
    ingest->batch_row_limit = (size_t)limit;
    ingest->vectors = rhumb__tool_memory_take(limit, ingest->row_bytes);
    ingest->keys = malloc(limit * sizeof *ingest->keys);
    if (!ingest->vectors || !ingest->keys) return cli_fail_memory(ingest->cli, limit * ingest->row_bytes);
    return CLI_OK;
}

static int begin(struct ingest *ingest) {
    const struct ingest_options *options = ingest->options;
    const uint64_t row_count = ingest->result->row_count;
    /* The largest number is not a key, so the end of the range may be that. */
    if (!keys_of(ingest) && row_count && options->first_key > UINT64_MAX - row_count)
        return cli_fail(ingest->cli, CLI_USAGE, "--first-key %llu leaves no room for %llu keys",
                        (unsigned long long)options->first_key, (unsigned long long)row_count);
    int exit_code = allocate(ingest);
    const bool has_batches = row_count > ingest->batch_row_limit;
    /* An insert meets a key that is there twice by itself, unless it is in another batch. */
    const bool checks_keys = options->mode == INGEST_UPSERT || (options->mode == INGEST_ADD && has_batches);
    if (exit_code == CLI_OK && checks_keys && !options->skip_existing) exit_code = check_keys(ingest);
    if (exit_code == CLI_OK && options->mode != INGEST_BUILD && has_batches) exit_code = check_all(ingest);
    return exit_code;
}

static void abandon_checkpoint(void *context) {
    const struct ingest *ingest = context;
    cli_fail(ingest->cli, CLI_INTERRUPTED,
             "interrupted: all %llu rows are durable in the log, and the next opening for writing brings them to the "
             "index",
             (unsigned long long)ingest->result->row_count);
    cli_abandon(ingest->cli);
}

/* Makes what was written durable in the index, and notes whether it is in the log if that fails. */
static int finish(struct ingest *ingest, int exit_code) {
    struct ingest_result *result = ingest->result;
    const bool has_log = ingest->options->mode != INGEST_BUILD;
    const double start = units_now();
    rhumb_status status = has_log ? rhumb_index_sync(ingest->index) : RHUMB_OK;
    const bool is_durable = has_log && status == RHUMB_OK;
    /* An interruption should not wait for what the next opening can do. */
    const bool has_time = !has_log || (status == RHUMB_OK && !interrupt_requested());
    if (has_time) {
        if (is_durable) interrupt_call_begin(abandon_checkpoint, ingest);
        status = rhumb_index_checkpoint(ingest->index);
        interrupt_call_end();
    }
    result->checkpoint_seconds = units_now() - start;
    if (status == RHUMB_OK || (exit_code != CLI_OK && exit_code != CLI_INTERRUPTED)) return exit_code;
    const rhumb_error cause = *rhumb_error_last();
    if (!is_durable || exit_code != CLI_OK)
        return cli_fail_index(ingest->cli, status, "cannot make the last checkpoint");
    result->all_in_log = true;
    return cli_fail(ingest->cli, CLI_PROBLEM,
                    "all %llu rows are durable in the log, and the next opening for writing brings them to the index; "
                    "only the checkpoint at the end has failed: %s: %s",
                    (unsigned long long)result->row_count, cause.path, cause.message);
}

static struct ingest new_ingest(struct cli *cli, rhumb_index *index, struct dataset *rows,
                                const struct ingest_options *options, struct ingest_result *result) {
    const struct dataset_info *info = dataset_info_get(rows);
    *result = (struct ingest_result){
        .row_count = info->row_count < options->row_limit ? info->row_count : options->row_limit,
        .is_upsert = options->mode == INGEST_UPSERT,
    };
    return (struct ingest){.cli = cli,
                           .index = index,
                           .rows = rows,
                           .options = options,
                           .result = result,
                           .row_bytes = options->kind.row_bytes};
}

int ingest_run(struct cli *cli, rhumb_index *index, struct dataset *rows, const struct ingest_options *options,
               struct ingest_result *result) {
    struct ingest ingest = new_ingest(cli, index, rows, options, result);
    int exit_code = begin(&ingest);
    if (exit_code == CLI_OK) {
        progress_begin(&ingest.progress, cli->command, result->row_count, cli->quiet, cli->json);
        exit_code = run_batches(&ingest);
        result->insert_seconds = progress_end(&ingest.progress);
    }
    free(ingest.keys);
    rhumb__tool_memory_give(ingest.vectors);
    result->interrupted = exit_code == CLI_INTERRUPTED;
    if (result->interrupted && result->inserted_count)
        cli_note(cli, "stopping: what was inserted is made durable; a second signal ends at once, without it");
    return finish(&ingest, exit_code);
}

/* ---- more than memory holds ---- */

/* For rhumb__index_build. */
static rhumb_status read_rows(void *context, uint64_t first, uint64_t count, void *vectors, uint64_t *keys) {
    struct ingest *ingest = context;
    const struct vectors_kind *kind = &ingest->options->kind;
    int exit_code = interrupt_requested() ? CLI_INTERRUPTED : CLI_OK;
    if (exit_code == CLI_OK) exit_code = vectors_read(ingest->cli, ingest->rows, kind, first, (size_t)count, vectors);
    if (exit_code == CLI_OK && keys) exit_code = read_keys(ingest, first, (size_t)count, keys);
    ingest->read_code = exit_code;
    return exit_code == CLI_OK ? RHUMB_OK : RHUMB_E_CANCELLED;
}

/* The library's steps as rows. */
static bool on_steps(void *context, uint64_t done_count, uint64_t total_count) {
    struct ingest *ingest = context;
    const double share = (double)done_count / (double)total_count;
    progress_update(&ingest->progress, (uint64_t)(share * (double)ingest->result->row_count));
    return !interrupt_requested();
}

static int fail_build(struct ingest *ingest, rhumb_status status) {
    if (ingest->read_code != CLI_OK) return ingest->read_code;
    if (status == RHUMB_E_CANCELLED) return CLI_INTERRUPTED;
    if (status != RHUMB_E_EXISTS) return cli_fail_index(ingest->cli, status, "cannot build the index");
    /* What is there twice is a file, or a key. */
    if (rhumb_error_last()->path[0]) return replacement_fail(ingest->cli, status);
    return cli_fail_index_as(ingest->cli, CLI_INPUT, status, "cannot build the index");
}

int ingest_build(struct cli *cli, const char *path, const rhumb_index_options *index_options, struct dataset *rows,
                 const struct ingest_options *options, struct ingest_result *result, bool *divided) {
    struct ingest ingest = new_ingest(cli, NULL, rows, options, result);
    const struct rhumb__build_rows source = {.read = read_rows, .context = &ingest, .count = result->row_count};
    rhumb_batch_options batch;
    rhumb_batch_options_init(&batch, sizeof batch);
    batch.thread_count = options->thread_count;
    batch.progress = on_steps;
    batch.progress_context = &ingest;
    *divided = true;
    progress_begin(&ingest.progress, cli->command, result->row_count, cli->quiet, cli->json);
    const rhumb_status status = rhumb__index_build(path, index_options, &source, &batch);
    result->insert_seconds = progress_end(&ingest.progress);
    if (status == RHUMB_OK) {
        result->inserted_count = result->row_count;
        return CLI_OK;
    }
    *divided = status != RHUMB_E_FULL || ingest.read_code != CLI_OK;
    if (!*divided) return CLI_OK;
    const int exit_code = fail_build(&ingest, status);
    result->interrupted = exit_code == CLI_INTERRUPTED;
    return exit_code;
}

/* ---- what an earlier run has inserted ---- */

/* Whether a stored vector is the one of the file; of a normalised one the file has a multiple. */
static bool is_same_vector(const struct vectors_kind *kind, const unsigned char *stored, const unsigned char *vector) {
    if (memcmp(stored, vector, kind->row_bytes) == 0) return true;
    if (!kind->normalise || kind->element != RHUMB_ELEMENT_F32) return false;
    const size_t dim = kind->row_bytes / sizeof(float);
    double sum = 0;
    float a, b;
    for (size_t i = 0; i < dim; i++) {
        memcpy(&a, vector + i * sizeof a, sizeof a);
        sum += (double)a;
    }
    for (size_t i = 0; i < dim; i++) {
        memcpy(&a, stored + i * sizeof a, sizeof a);
        memcpy(&b, vector + i * sizeof b, sizeof b);
        if (a != (float)((double)b / sum)) return false;
    }
    return true;
}

/* Compares the rows [first, first + count) with the vectors of the keys from `key` on. */
static int compare_rows(struct ingest *ingest, uint64_t first, uint64_t count, uint64_t key, bool *equal) {
    unsigned char *stored = malloc(ingest->row_bytes);
    if (!stored) return cli_fail_memory(ingest->cli, ingest->row_bytes);
    int exit_code = CLI_OK;
    *equal = true;
    for (uint64_t done = 0; done < count && *equal && exit_code == CLI_OK && !interrupt_requested();) {
        const size_t step = count - done < ingest->batch_row_limit ? (size_t)(count - done) : ingest->batch_row_limit;
        exit_code =
            vectors_read(ingest->cli, ingest->rows, &ingest->options->kind, first + done, step, ingest->vectors);
        for (size_t i = 0; i < step && *equal && exit_code == CLI_OK; i++) {
            const rhumb_status status = rhumb_index_get_vector(ingest->index, key + done + i, stored);
            *equal = status == RHUMB_OK &&
                     is_same_vector(&ingest->options->kind, stored, ingest->vectors + i * ingest->row_bytes);
            if (status != RHUMB_OK && status != RHUMB_E_NOTFOUND)
                exit_code = cli_fail_index(ingest->cli, status, "cannot compare with the index");
        }
        done += step;
    }
    free(stored);
    return exit_code;
}

int ingest_find_tail(struct cli *cli, rhumb_index *index, struct dataset *rows, const struct ingest_options *options,
                     uint64_t key_next, uint64_t *row_count_out) {
    struct ingest_result result;
    struct ingest ingest = new_ingest(cli, index, rows, options, &result);
    int exit_code = allocate(&ingest);
    *row_count_out = 0;
    for (uint64_t count = result.row_count; count > 0 && exit_code == CLI_OK;) {
        bool equal = count <= key_next;
        /* The first row and the last tell nearly always, so that little is read. */
        if (equal) exit_code = compare_rows(&ingest, 0, 1, key_next - count, &equal);
        if (equal && exit_code == CLI_OK) exit_code = compare_rows(&ingest, count - 1, 1, key_next - 1, &equal);
        if (equal && exit_code == CLI_OK) exit_code = compare_rows(&ingest, 0, count, key_next - count, &equal);
        if (equal && exit_code == CLI_OK) {
            *row_count_out = count;
            break;
        }
        count = (count - 1) / ingest.batch_row_limit * ingest.batch_row_limit;
    }
    free(ingest.keys);
    rhumb__tool_memory_give(ingest.vectors);
    return exit_code;
}

/* ---- telling ---- */

void ingest_report(struct cli *cli, const struct ingest_result *result, rhumb_index *index) {
    const double rate = result->insert_seconds > 0 ? (double)result->inserted_count / result->insert_seconds : 0;
    rhumb_index_stats stats;
    const bool has_stats = index && rhumb_index_stats_get(index, &stats, sizeof stats) == RHUMB_OK;
    struct json_writer *json = &cli->writer;
    json_end_to(json, 1);
    json_u64(json, "rows", result->row_count);
    json_u64(json, "inserted", result->inserted_count);
    if (result->is_upsert) json_u64(json, "replaced", result->replaced_count);
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
    struct units_text inserted, insert_time, speed, checkpoint_time, replaced, skipped, count, file;
    printf("inserted     %s vectors in %s (%s/s), last checkpoint %s\n", units_count(&inserted, result->inserted_count),
           units_duration(&insert_time, result->insert_seconds), units_rate(&speed, rate),
           units_duration(&checkpoint_time, result->checkpoint_seconds));
    if (result->is_upsert)
        printf("replaced     %s of these were there before\n", units_count(&replaced, result->replaced_count));
    if (result->skipped_count)
        printf("skipped      %s that were there\n", units_count(&skipped, result->skipped_count));
    if (has_stats)
        printf("index        %s vectors in %s\n", units_count(&count, stats.count),
               units_bytes(&file, stats.file_bytes));
}
