/* result_writer.c - the results of a search, as text, JSON, npy or vecs.
 *
 * Owns the two output files until they are closed. A failed write is reported once, with the path and the reason.
 */
#include "result_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/cli/dataset/npy_header.h"

static int fail_file(struct cli *cli, const struct result_file *file, const char *what) {
    return cli_fail(cli, CLI_IO, "%s: cannot %s: %s", file->path, what, strerror(errno));
}

/* The format that is wanted; DATASET_FORMAT_BY_EXTENSION if the name of the file does not say it. */
static enum dataset_format format_of(const char *path, const char *format_name) {
    return format_name ? dataset_format_from_name(format_name) : dataset_format_from_path(path);
}

/* A file of rows of k, npy or `vecs_format`. */
static int open_file(struct result_writer *writer, struct result_file *file, enum dataset_format vecs_format,
                     const char *descr, uint64_t query_count) {
    if (!file->path) return CLI_OK;
    const enum dataset_format format = format_of(file->path, writer->format_name);
    if (format != DATASET_FORMAT_NPY && format != vecs_format)
        return cli_fail(writer->cli, CLI_USAGE, "%s: expected a name that ends in .npy or .%s, or --out-format",
                        file->path, dataset_format_name(vecs_format));
    file->is_npy = format == DATASET_FORMAT_NPY;
    if (!output_open(&file->output, file->path)) return fail_file(writer->cli, file, "create");
    if (file->is_npy && !npy_header_write(file->output.stream, descr, query_count, writer->k))
        return fail_file(writer->cli, file, "write");
    return CLI_OK;
}

int result_writer_open(struct result_writer *writer, struct cli *cli, uint64_t query_count, size_t k, bool to_stdout,
                       const struct result_files *files) {
    *writer = (struct result_writer){.cli = cli, .k = k, .to_stdout = to_stdout, .format_name = files->format_name};
    writer->keys.path = files->keys_path;
    writer->distances.path = files->distances_path;
    const bool keys_to_stdout = files->keys_path && strcmp(files->keys_path, "-") == 0;
    const bool distances_to_stdout = files->distances_path && strcmp(files->distances_path, "-") == 0;
    if (keys_to_stdout + distances_to_stdout + cli->json > 1)
        return cli_fail(cli, CLI_USAGE, "only one of --out, --out-distances and --json can go to the standard output");
    int exit_code = open_file(writer, &writer->keys, DATASET_FORMAT_IVECS, "<u8", query_count);
    if (exit_code == CLI_OK)
        exit_code = open_file(writer, &writer->distances, DATASET_FORMAT_FVECS, "<f4", query_count);
    if (exit_code == CLI_OK && to_stdout) json_array_begin(&cli->writer, "results");
    writer->holds_stdout = to_stdout || keys_to_stdout || distances_to_stdout;
    return exit_code;
}

/* One line per query: its row, then key:distance for each neighbour. */
static void print_row(uint64_t query, const uint64_t *keys, const float *distances, size_t found_count) {
    printf("%" PRIu64, query);
    for (size_t i = 0; i < found_count; i++)
        printf("%c%" PRIu64 ":%.7g", i ? ' ' : '\t', keys[i], (double)distances[i]);
    putchar('\n');
}

static void print_json_row(struct json_writer *json, uint64_t query, const uint64_t *keys, const float *distances,
                           size_t found_count) {
    json_object_begin(json, NULL);
    json_u64(json, "query", query);
    json_array_begin(json, "keys");
    for (size_t i = 0; i < found_count; i++) json_u64(json, NULL, keys[i]);
    json_end(json);
    json_array_begin(json, "distances");
    for (size_t i = 0; i < found_count; i++) json_float(json, NULL, distances[i]);
    json_end(json);
    json_end(json);
}

/* A row of i32 with its length before it. UINT64_MAX, "none", becomes -1. */
static int write_ivecs_row(struct result_writer *writer, const uint64_t *keys) {
    const int32_t k = (int32_t)writer->k;
    bool written = fwrite(&k, sizeof k, 1, writer->keys.output.stream) == 1;
    for (size_t i = 0; i < writer->k && written; i++) {
        if (keys[i] > INT32_MAX && keys[i] != UINT64_MAX)
            return cli_fail(writer->cli, CLI_USAGE, "%s: key %" PRIu64 " does not fit ivecs; write .npy",
                            writer->keys.path, keys[i]);
        const int32_t key = keys[i] == UINT64_MAX ? -1 : (int32_t)keys[i];
        written = fwrite(&key, sizeof key, 1, writer->keys.output.stream) == 1;
    }
    return written ? CLI_OK : fail_file(writer->cli, &writer->keys, "write");
}

static int write_keys(struct result_writer *writer, const uint64_t *keys, size_t query_count) {
    if (!writer->keys.output.stream) return CLI_OK;
    if (writer->keys.is_npy) {
        const size_t count = query_count * writer->k;
        const bool written = fwrite(keys, sizeof *keys, count, writer->keys.output.stream) == count;
        return written ? CLI_OK : fail_file(writer->cli, &writer->keys, "write");
    }
    for (size_t i = 0; i < query_count; i++) {
        const int exit_code = write_ivecs_row(writer, keys + i * writer->k);
        if (exit_code != CLI_OK) return exit_code;
    }
    return CLI_OK;
}

static int write_distances(struct result_writer *writer, const float *distances, size_t query_count) {
    FILE *stream = writer->distances.output.stream;
    if (!stream) return CLI_OK;
    const int32_t k = (int32_t)writer->k;
    bool written = true;
    for (size_t i = 0; i < query_count && written; i++) {
        if (!writer->distances.is_npy) written = fwrite(&k, sizeof k, 1, stream) == 1;
        if (written) written = fwrite(distances + i * writer->k, sizeof *distances, writer->k, stream) == writer->k;
    }
    return written ? CLI_OK : fail_file(writer->cli, &writer->distances, "write");
}

int result_writer_add(struct result_writer *writer, uint64_t query_first, size_t query_count, const uint64_t *keys,
                      const float *distances, const size_t *found_counts) {
    for (size_t i = 0; writer->to_stdout && i < query_count; i++) {
        const uint64_t *row_keys = keys + i * writer->k;
        const float *row_distances = distances + i * writer->k;
        if (writer->cli->json)
            print_json_row(&writer->cli->writer, query_first + i, row_keys, row_distances, found_counts[i]);
        else
            print_row(query_first + i, row_keys, row_distances, found_counts[i]);
    }
    int exit_code = write_keys(writer, keys, query_count);
    if (exit_code == CLI_OK) exit_code = write_distances(writer, distances, query_count);
    return exit_code;
}

static int close_file(struct cli *cli, struct result_file *file, bool complete) {
    int exit_code = CLI_OK;
    /* A full disk shows itself here, where what was still buffered is written. */
    if (!output_close(&file->output, complete) && complete) exit_code = fail_file(cli, file, "write");
    *file = (struct result_file){.path = NULL};
    return exit_code;
}

int result_writer_close(struct result_writer *writer, bool complete) {
    if (writer->to_stdout && complete) json_end(&writer->cli->writer);
    const int keys_code = close_file(writer->cli, &writer->keys, complete);
    const int distances_code = close_file(writer->cli, &writer->distances, complete && keys_code == CLI_OK);
    return keys_code != CLI_OK ? keys_code : distances_code;
}
