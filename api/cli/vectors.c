/* vectors.c - see vectors.h. Owns nothing for longer than a call; no locks.
 *
 * Names and sizes of element types, and conversion between them, are the library's.
 */
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP_BYTES (UINT64_C(256) << 10) /* of raw rows at a time, or one row */

bool vectors_are_packed(const struct dataset_info *info, rhumb_element element) {
    return element == RHUMB_ELEMENT_B1 && info->element == RHUMB_ELEMENT_U8 && !info->is_bool;
}

uint32_t vectors_dim(const struct dataset_info *info, rhumb_element element) {
    return vectors_are_packed(info, element) ? info->dim * 8 : info->dim;
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

bool vectors_has_metric(rhumb_metric metric) {
    const char *name = metric_name((int)metric);
    return name == NULL || name[0] != '\0'; /* of a metric without a name the library tells more */
}

int vectors_check_metric(struct cli *cli, rhumb_metric metric) {
    if (vectors_has_metric(metric)) return CLI_OK;
    return cli_fail(cli, CLI_INDEX, "an index of metric %s is used through the library, the tool cannot",
                    rhumb_metric_name(metric));
}

int vectors_check(struct cli *cli, const struct dataset_info *info, const rhumb_index_options *options,
                  const char *index_path, struct vectors_kind *kind_out) {
    const int exit_code = vectors_check_metric(cli, options->metric);
    if (exit_code != CLI_OK) return exit_code;
    const bool has_bits = info->element == RHUMB_ELEMENT_U8 || info->format == DATASET_FORMAT_JSONL;
    if (options->element == RHUMB_ELEMENT_B1 && !has_bits)
        return cli_fail(cli, CLI_INPUT, "%s: vectors of bits are read from bytes (u8) or bools, the file holds %s",
                        info->path, rhumb_element_name(info->element));
    if (info->is_sets && options->metric != RHUMB_METRIC_JACCARD)
        return cli_fail(cli, CLI_INPUT, "%s: it holds sets, which are measured by jaccard, and the metric is %s",
                        info->path, rhumb_metric_name(options->metric));
    const uint32_t dim = vectors_dim(info, options->element);
    if (dim > RHUMB_DIM_MAX)
        return cli_fail(cli, CLI_INPUT, "%s: its vectors have %u components, an index at most %u", info->path, dim,
                        RHUMB_DIM_MAX);
    /* Bits are compared by bytes if they are read from bytes: the last one may be used in part. */
    const bool fits = vectors_are_packed(info, options->element)
                          ? vectors_row_bytes(options->element, options->dim) == info->dim
                          : dim == options->dim;
    if (!fits)
        return cli_fail(cli, CLI_INPUT, "%s: its vectors have %u components, those of %s have %u", info->path, dim,
                        index_path, options->dim);
    *kind_out = (struct vectors_kind){options->element, options->metric, options->normalise,
                                      vectors_row_bytes(options->element, dim)};
    return CLI_OK;
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

/* Some rows on their way to the index. */
struct batch {
    struct cli *cli;
    struct dataset *rows;
    const struct dataset_info *info;
    const struct vectors_kind *kind;
    uint64_t first;
    size_t count;
};

/* Names a component by its row and by its value in the file; `why` is what is wrong with it. */
static int fail_component(const struct batch *batch, size_t row, size_t column, const char *why) {
    const struct dataset_info *info = batch->info;
    const size_t component_bytes = dataset_element_bytes(info->element);
    unsigned char *raw = malloc(info->dim * component_bytes);
    if (!raw) return cli_fail_memory(batch->cli, info->dim * component_bytes);
    struct dataset_error error;
    int exit_code = CLI_INPUT;
    if (dataset_read_raw(batch->rows, batch->first + row, 1, raw, &error) != DATASET_OK) {
        exit_code = cli_fail_dataset(batch->cli, &error);
    } else {
        /* As many digits as the type has, and no more. */
        const int digits = info->element == RHUMB_ELEMENT_F64 ? 17 : rhumb_element_is_float(info->element) ? 9 : 20;
        cli_fail(batch->cli, CLI_INPUT, "%s: row %llu has %.*Lg as component %zu, which %s", info->path,
                 (unsigned long long)batch->first + row, digits,
                 number_of(info->element, raw + column * component_bytes), column, why);
    }
    free(raw);
    return exit_code;
}

static int fail_type(const struct batch *batch, size_t row, size_t column) {
    char why[64];
    snprintf(why, sizeof why, "%s does not hold", rhumb_element_name(batch->kind->element));
    return fail_component(batch, row, column, why);
}

static int convert(const struct batch *batch, size_t row_first, size_t row_count, const unsigned char *raw,
                   unsigned char *vectors) {
    const struct dataset_info *info = batch->info;
    const size_t count = row_count * info->dim;
    if (batch->kind->element != RHUMB_ELEMENT_B1) {
        const size_t done = rhumb_element_convert(info->element, raw, batch->kind->element, vectors, count);
        return done == count ? CLI_OK : fail_type(batch, row_first + done / info->dim, done % info->dim);
    }
    memset(vectors, 0, row_count * batch->kind->row_bytes);
    const size_t component_bytes = dataset_element_bytes(info->element);
    for (size_t i = 0; i < count; i++) {
        uint8_t bit = 2;
        const size_t row = i / info->dim, column = i % info->dim;
        if (rhumb_element_convert(info->element, raw + i * component_bytes, RHUMB_ELEMENT_U8, &bit, 1) != 1 || bit > 1)
            return fail_type(batch, row_first + row, column);
        vectors[row * batch->kind->row_bytes + column / 8] |= (unsigned char)(bit << column % 8);
    }
    return CLI_OK;
}

static int read_converted(const struct batch *batch, unsigned char *vectors) {
    const struct dataset_info *info = batch->info;
    const size_t raw_row_bytes = info->dim * dataset_element_bytes(info->element);
    const size_t step_rows = raw_row_bytes > STEP_BYTES ? 1 : (size_t)STEP_BYTES / raw_row_bytes;
    unsigned char *raw = malloc(step_rows * raw_row_bytes);
    if (!raw) return cli_fail_memory(batch->cli, step_rows * raw_row_bytes);
    int exit_code = CLI_OK;
    for (size_t done = 0; done < batch->count && exit_code == CLI_OK; done += step_rows) {
        const size_t step = batch->count - done < step_rows ? batch->count - done : step_rows;
        struct dataset_error error;
        exit_code = dataset_read_raw(batch->rows, batch->first + done, step, raw, &error) != DATASET_OK
                        ? cli_fail_dataset(batch->cli, &error)
                        : convert(batch, done, step, raw, vectors + done * batch->kind->row_bytes);
    }
    free(raw);
    return exit_code;
}

/* ---- what the library would reject ---- */

/* Loads components as f64, which holds what decides: finite or not, negative or not. */
static void load(rhumb_element element, const unsigned char *components, size_t count, double *values) {
    if (rhumb_element_convert(element, components, RHUMB_ELEMENT_F64, values, count) != count)
        memset(values, 0, count * sizeof *values); /* integers beyond 2^53, which no metric with a domain has */
}

static bool is_measured_by_sums(rhumb_metric metric) {
    return metric == RHUMB_METRIC_HELLINGER || metric == RHUMB_METRIC_JEFFREYS || metric == RHUMB_METRIC_JENSEN_SHANNON;
}

static int check_sum(const struct batch *batch, size_t row, double sum) {
    const char *path = batch->info->path;
    const unsigned long long number = batch->first + row;
    if (batch->kind->normalise && !(sum > 0 && isfinite(sum)))
        return cli_fail(batch->cli, CLI_INPUT,
                        "%s: the components of row %llu sum to %g, which cannot be normalised to 1", path, number, sum);
    /* The library's tolerance, as rhumb_types.h documents it. */
    if (!batch->kind->normalise && !(fabs(sum - 1) <= 0.001))
        return cli_fail(batch->cli, CLI_INPUT,
                        "%s: the components of row %llu sum to %.9g, expected 1 under %s (--normalise divides by it)",
                        path, number, sum, rhumb_metric_name(batch->kind->metric));
    return CLI_OK;
}

static int check_row(const struct batch *batch, size_t row, const double *values) {
    const rhumb_metric metric = batch->kind->metric;
    const bool has_domain = metric == RHUMB_METRIC_JACCARD || is_measured_by_sums(metric);
    double sum = 0;
    for (size_t i = 0; i < batch->info->dim; i++) {
        if (!isfinite(values[i])) return fail_component(batch, row, i, "is no finite number in the index's type");
        if (has_domain && values[i] < 0) {
            char why[64];
            snprintf(why, sizeof why, "%s is not defined for", rhumb_metric_name(metric));
            return fail_component(batch, row, i, why);
        }
        sum += values[i];
    }
    return is_measured_by_sums(metric) ? check_sum(batch, row, sum) : CLI_OK;
}

/* Whether all components are finite: their exponents are not the largest. Without branches, so that it costs little. */
static bool are_finite_f32(const unsigned char *components, size_t count) {
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, components + i * sizeof bits, sizeof bits);
        bits &= UINT32_C(0x7f800000);
        largest = bits > largest ? bits : largest;
    }
    return largest != UINT32_C(0x7f800000);
}

static int check_rows(const struct batch *batch, const unsigned char *vectors) {
    const struct vectors_kind *kind = batch->kind;
    const size_t dim = batch->info->dim;
    const bool has_domain = kind->metric == RHUMB_METRIC_JACCARD || is_measured_by_sums(kind->metric);
    if (!rhumb_element_is_float(kind->element)) return CLI_OK; /* with a domain only where they are unsigned */
    if (!has_domain && kind->element == RHUMB_ELEMENT_F32 && are_finite_f32(vectors, batch->count * dim)) return CLI_OK;
    double *values = malloc(dim * sizeof *values);
    if (!values) return cli_fail_memory(batch->cli, dim * sizeof *values);
    int exit_code = CLI_OK;
    for (size_t row = 0; row < batch->count && exit_code == CLI_OK; row++) {
        load(kind->element, vectors + row * kind->row_bytes, dim, values);
        exit_code = check_row(batch, row, values);
    }
    free(values);
    return exit_code;
}

int vectors_read(struct cli *cli, struct dataset *rows, const struct vectors_kind *kind, uint64_t first, size_t count,
                 void *vectors) {
    const struct dataset_info *info = dataset_info_get(rows);
    const struct batch batch = {cli, rows, info, kind, first, count};
    struct dataset_error error;
    int exit_code = CLI_OK;
    if (kind->element == RHUMB_ELEMENT_F32) {
        if (dataset_read_f32(rows, first, count, vectors, &error) != DATASET_OK)
            exit_code = cli_fail_dataset(cli, &error);
    } else if (info->element == kind->element || vectors_are_packed(info, kind->element)) {
        if (dataset_read_raw(rows, first, count, vectors, &error) != DATASET_OK)
            exit_code = cli_fail_dataset(cli, &error);
    } else {
        exit_code = read_converted(&batch, vectors);
    }
    return exit_code == CLI_OK ? check_rows(&batch, vectors) : exit_code;
}
