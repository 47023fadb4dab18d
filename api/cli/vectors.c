/* vectors.c - see vectors.h. Owns nothing for longer than a call; no locks.
 *
 * Names and sizes of element types, and conversion between them, are the library's.
 */
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP_BYTES (UINT64_C(256) << 10) /* of raw rows at a time, or one row */

uint32_t vectors_dim(const struct dataset_info *info, rhumb_element element) {
    return element == RHUMB_ELEMENT_B1 ? info->dim * 8 : info->dim;
}

size_t vectors_row_bytes(rhumb_element element, uint32_t dim) {
    return ((size_t)dim * rhumb_element_bits(element) + 7) / 8;
}

/* ---- names ---- */

static const char *metric_name(int number) {
    return number == RHUMB_METRIC_LEVENSHTEIN || number == RHUMB_METRIC_CUSTOM
               ? "" /* their vectors are not rows of numbers, or measured by a function */
               : rhumb_metric_name((rhumb_metric)number);
}

static const char *element_name(int number) { return rhumb_element_name((rhumb_element)number); }

/* Joins the names that `name_of` returns for 1, 2... until NULL; it returns "" for a number to leave out. */
static const char *join_names(struct vectors_names *names, const char *(*name_of)(int number)) {
    size_t used = 0, line = 0;
    names->text[0] = '\0';
    for (int number = 1; name_of(number) != NULL; number++) {
        const char *name = name_of(number);
        const size_t bytes = strlen(name);
        if (bytes == 0 || used + bytes + 3 > sizeof names->text) continue;
        if (used > 0) {
            const bool wraps = names->line_bytes > 0 && used - line + bytes + 3 > names->line_bytes;
            names->text[used++] = ',';
            names->text[used++] = wraps ? '\n' : ' ';
            if (wraps) line = used;
        }
        memcpy(names->text + used, name, bytes + 1);
        used += bytes;
    }
    return names->text;
}

const char *vectors_metric_names(struct vectors_names *names) { return join_names(names, metric_name); }

const char *vectors_element_names(struct vectors_names *names) { return join_names(names, element_name); }

/* ---- rows ---- */

int vectors_check(struct cli *cli, const struct dataset_info *info, const rhumb_index_options *options,
                  const char *index_path) {
    if (metric_name((int)options->metric)[0] == '\0')
        return cli_fail(cli, CLI_USAGE, "an index of metric %s is used through the library, the tool cannot",
                        rhumb_metric_name(options->metric));
    if (options->element == RHUMB_ELEMENT_B1 && info->element != RHUMB_ELEMENT_U8)
        return cli_fail(cli, CLI_INPUT, "%s: vectors of bits are read from bytes (u8), the file holds %s", info->path,
                        rhumb_element_name(info->element));
    /* Bits are compared by bytes: the last one may be used in part. */
    if (vectors_row_bytes(options->element, options->dim) !=
        vectors_row_bytes(options->element, vectors_dim(info, options->element)))
        return cli_fail(cli, CLI_INPUT, "%s: its vectors have %u components, those of %s have %u", info->path,
                        vectors_dim(info, options->element), index_path, options->dim);
    return CLI_OK;
}

/* Whether the rows of a file are vectors of the index without conversion. */
static bool is_same_type(rhumb_element in_file, rhumb_element in_index) {
    return in_file == in_index || (in_file == RHUMB_ELEMENT_U8 && in_index == RHUMB_ELEMENT_B1);
}

/* A component as the largest type that holds it exactly, for messages. */
static long double number_of(rhumb_element element, const unsigned char *component) {
    double f64;
    int64_t i64;
    uint64_t u64 = 0;
    if (rhumb_element_convert(element, component, RHUMB_ELEMENT_F64, &f64, 1) == 1) return f64;
    if (rhumb_element_convert(element, component, RHUMB_ELEMENT_I64, &i64, 1) == 1) return (long double)i64;
    (void)rhumb_element_convert(element, component, RHUMB_ELEMENT_U64, &u64, 1);
    return (long double)u64;
}

/* Some rows of a file on their way to the index. */
struct raw_rows {
    const struct dataset_info *info;
    uint64_t first;
    size_t count;
    const unsigned char *components;
};

static int convert(struct cli *cli, const struct raw_rows *rows, rhumb_element element, void *vectors) {
    const struct dataset_info *info = rows->info;
    const size_t count = rows->count * info->dim;
    const size_t done = rhumb_element_convert(info->element, rows->components, element, vectors, count);
    if (done == count) return CLI_OK;
    const long double value = number_of(info->element, rows->components + done * dataset_element_bytes(info->element));
    return cli_fail(cli, CLI_INPUT, "%s: row %llu has %.21Lg as component %zu, which %s does not hold", info->path,
                    (unsigned long long)rows->first + done / info->dim, value, done % info->dim,
                    rhumb_element_name(element));
}

int vectors_read(struct cli *cli, struct dataset *rows, rhumb_element element, uint64_t first, size_t count,
                 void *vectors) {
    const struct dataset_info *info = dataset_info_get(rows);
    struct dataset_error error;
    enum dataset_status status = DATASET_OK;
    if (element == RHUMB_ELEMENT_F32) {
        status = dataset_read_f32(rows, first, count, vectors, &error);
        return status == DATASET_OK ? CLI_OK : cli_fail_dataset(cli, &error);
    }
    if (is_same_type(info->element, element)) {
        status = dataset_read_raw(rows, first, count, vectors, &error);
        return status == DATASET_OK ? CLI_OK : cli_fail_dataset(cli, &error);
    }
    const size_t raw_row_bytes = info->dim * dataset_element_bytes(info->element);
    const size_t row_bytes = vectors_row_bytes(element, info->dim);
    const size_t step_rows = raw_row_bytes > STEP_BYTES ? 1 : (size_t)STEP_BYTES / raw_row_bytes;
    unsigned char *raw = malloc(step_rows * raw_row_bytes);
    if (!raw) return cli_fail_memory(cli, step_rows * raw_row_bytes);
    int exit_code = CLI_OK;
    for (size_t done = 0; done < count && exit_code == CLI_OK; done += step_rows) {
        const size_t step = count - done < step_rows ? count - done : step_rows;
        status = dataset_read_raw(rows, first + done, step, raw, &error);
        const struct raw_rows raw_rows = {info, first + done, step, raw};
        exit_code = status != DATASET_OK
                        ? cli_fail_dataset(cli, &error)
                        : convert(cli, &raw_rows, element, (unsigned char *)vectors + done * row_bytes);
    }
    free(raw);
    return exit_code;
}

int vectors_fail(struct cli *cli, rhumb_status status, const char *action, const struct dataset_info *info,
                 rhumb_element element, const void *vectors, size_t count, const uint64_t *keys, uint64_t first) {
    const float *components = vectors;
    for (size_t i = 0; status == RHUMB_E_NOT_FINITE && element == RHUMB_ELEMENT_F32 && i < count * info->dim; i++) {
        if (isfinite(components[i])) continue;
        const unsigned long long row = keys ? keys[i / info->dim] : first + i / info->dim;
        return cli_fail(cli, CLI_INPUT,
                        keys ? "%s: the vector of key %llu has %f as component %zu"
                             : "%s: row %llu has %f as component %zu",
                        info->path, row, (double)components[i], i % info->dim);
    }
    return cli_fail_index(cli, status, action);
}
