/* vectors.c - see vectors.h. Owns nothing for longer than a call; no locks.
 *
 * A component on its way from one type to another is a long double, which holds every number of every type exactly on
 * the machines that rhumb is built for: its 64 bits of fraction are enough for integers of 64.
 */
#include "vectors.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LDBL_MANT_DIG >= 64, "a long double holds integers of 64 bits");

#define STEP_BYTES (UINT64_C(256) << 10) /* of raw rows at a time, or one row */

/* Element types that are numbers of a file's types. */
static const struct {
    enum dataset_element in_file;
    rhumb_element in_index;
} same_types[] = {
    {DATASET_ELEMENT_F16, RHUMB_ELEMENT_F16}, {DATASET_ELEMENT_F32, RHUMB_ELEMENT_F32},
    {DATASET_ELEMENT_F64, RHUMB_ELEMENT_F64}, {DATASET_ELEMENT_I8, RHUMB_ELEMENT_I8},
    {DATASET_ELEMENT_I16, RHUMB_ELEMENT_I16}, {DATASET_ELEMENT_I32, RHUMB_ELEMENT_I32},
    {DATASET_ELEMENT_I64, RHUMB_ELEMENT_I64}, {DATASET_ELEMENT_U8, RHUMB_ELEMENT_U8},
    {DATASET_ELEMENT_U16, RHUMB_ELEMENT_U16}, {DATASET_ELEMENT_U32, RHUMB_ELEMENT_U32},
    {DATASET_ELEMENT_U64, RHUMB_ELEMENT_U64}, {DATASET_ELEMENT_U8, RHUMB_ELEMENT_B1},
};

static bool is_same_type(enum dataset_element in_file, rhumb_element in_index) {
    for (size_t i = 0; i < sizeof same_types / sizeof same_types[0]; i++)
        if (same_types[i].in_file == in_file && same_types[i].in_index == in_index) return true;
    return false;
}

/* As many as the same type has in a file; bits and bf16 are in no file as such. */
static size_t element_bits(rhumb_element element) {
    if (element == RHUMB_ELEMENT_B1) return 1;
    if (element == RHUMB_ELEMENT_BF16) return 16;
    for (size_t i = 0; i < sizeof same_types / sizeof same_types[0]; i++)
        if (same_types[i].in_index == element) return 8 * dataset_element_bytes(same_types[i].in_file);
    return 0;
}

uint32_t vectors_dim(const struct dataset_info *info, rhumb_element element) {
    return element == RHUMB_ELEMENT_B1 ? info->dim * 8 : info->dim;
}

size_t vectors_row_bytes(rhumb_element element, uint32_t dim) { return (dim * element_bits(element) + 7) / 8; }

int vectors_check(struct cli *cli, const struct dataset_info *info, const rhumb_index_options *options,
                  const char *index_path) {
    if (options->metric == RHUMB_METRIC_LEVENSHTEIN || options->metric == RHUMB_METRIC_CUSTOM)
        return cli_fail(cli, CLI_USAGE, "an index of metric %s is used through the library, the tool cannot",
                        rhumb_metric_name(options->metric));
    if (options->element == RHUMB_ELEMENT_B1 && info->element != DATASET_ELEMENT_U8)
        return cli_fail(cli, CLI_INPUT, "%s: vectors of bits are read from bytes (u8), the file holds %s", info->path,
                        dataset_element_name(info->element));
    /* Of bits the last byte may be used in part. */
    if (vectors_row_bytes(options->element, options->dim) !=
        vectors_row_bytes(options->element, vectors_dim(info, options->element)))
        return cli_fail(cli, CLI_INPUT, "%s: its vectors have %u components, those of %s have %u", info->path,
                        vectors_dim(info, options->element), index_path, options->dim);
    return CLI_OK;
}

/* ---- components ---- */

#define LOAD(type)                                                                                                     \
    do {                                                                                                               \
        type value;                                                                                                    \
        memcpy(&value, from, sizeof value);                                                                            \
        return (long double)value;                                                                                     \
    } while (0)

static long double load_half(const unsigned char *from) {
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return (long double)dataset_f16_value(half);
}

static long double load(enum dataset_element element, const unsigned char *from) {
    switch (element) {
    case DATASET_ELEMENT_F16: return load_half(from);
    case DATASET_ELEMENT_F32: LOAD(float);
    case DATASET_ELEMENT_F64: LOAD(double);
    case DATASET_ELEMENT_I8: LOAD(int8_t);
    case DATASET_ELEMENT_I16: LOAD(int16_t);
    case DATASET_ELEMENT_I32: LOAD(int32_t);
    case DATASET_ELEMENT_I64: LOAD(int64_t);
    case DATASET_ELEMENT_U8: LOAD(uint8_t);
    case DATASET_ELEMENT_U16: LOAD(uint16_t);
    case DATASET_ELEMENT_U32: LOAD(uint32_t);
    case DATASET_ELEMENT_U64: LOAD(uint64_t);
    }
    return 0;
}

/* Rounds to the nearest float with `digits` binary digits and exponents from `exponent_min` (of the smallest normal
 * number) on, ties to even. */
static double round_to(double value, int digits, int exponent_min) {
    int exponent;
    if (value == 0 || !isfinite(value)) return value;
    frexp(value, &exponent);
    const int place = (exponent - 1 < exponent_min ? exponent_min : exponent - 1) - (digits - 1);
    return ldexp(nearbyint(ldexp(value, -place)), place);
}

static uint16_t half_of(long double value) {
    const double rounded = round_to((double)value, 11, -14);
    const uint16_t sign = signbit(rounded) ? 0x8000 : 0;
    int exponent;
    if (isnan(rounded)) return 0x7e00;
    if (fabs(rounded) > 65504) return sign | 0x7c00;
    if (fabs(rounded) < 0x1p-14) return (uint16_t)(sign | (unsigned)ldexp(fabs(rounded), 24));
    const double fraction = frexp(fabs(rounded), &exponent);
    return (uint16_t)(sign | ((unsigned)(exponent + 14) << 10) | ((unsigned)ldexp(fraction, 11) & 0x3ff));
}

static uint16_t bf16_of(long double value) {
    const float rounded = (float)round_to((double)value, 8, -126);
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* `low` and `high` are the ends of the type. */
#define STORE_INTEGER(type, low, high)                                                                                 \
    do {                                                                                                               \
        if (!(value >= (long double)(low) && value <= (long double)(high)) || truncl(value) != value) return false;    \
        const type number = (type)value;                                                                               \
        memcpy(to, &number, sizeof number);                                                                            \
        return true;                                                                                                   \
    } while (0)

#define STORE_FLOAT(type, expression)                                                                                  \
    do {                                                                                                               \
        const type number = (expression);                                                                              \
        memcpy(to, &number, sizeof number);                                                                            \
        return true;                                                                                                   \
    } while (0)

/* False if the type does not hold the number. What is too large for a float becomes infinite, which the library
 * refuses. */
static bool store(rhumb_element element, long double value, unsigned char *to) {
    switch (element) {
    case RHUMB_ELEMENT_F32: STORE_FLOAT(float, (float)value);
    case RHUMB_ELEMENT_F64: STORE_FLOAT(double, (double)value);
    case RHUMB_ELEMENT_F16: STORE_FLOAT(uint16_t, half_of(value));
    case RHUMB_ELEMENT_BF16: STORE_FLOAT(uint16_t, bf16_of(value));
    case RHUMB_ELEMENT_I8: STORE_INTEGER(int8_t, INT8_MIN, INT8_MAX);
    case RHUMB_ELEMENT_U8: STORE_INTEGER(uint8_t, 0, UINT8_MAX);
    case RHUMB_ELEMENT_I16: STORE_INTEGER(int16_t, INT16_MIN, INT16_MAX);
    case RHUMB_ELEMENT_U16: STORE_INTEGER(uint16_t, 0, UINT16_MAX);
    case RHUMB_ELEMENT_I32: STORE_INTEGER(int32_t, INT32_MIN, INT32_MAX);
    case RHUMB_ELEMENT_U32: STORE_INTEGER(uint32_t, 0, UINT32_MAX);
    case RHUMB_ELEMENT_I64: STORE_INTEGER(int64_t, INT64_MIN, INT64_MAX);
    case RHUMB_ELEMENT_U64: STORE_INTEGER(uint64_t, 0, UINT64_MAX);
    case RHUMB_ELEMENT_B1: break;
    }
    return false;
}

/* Whether an integer is another one in the type of a float, as 2049 is in an f16. */
static bool is_changed(enum dataset_element in_file, rhumb_element element, long double value,
                       const unsigned char *stored) {
    if (!dataset_element_is_integer(in_file)) return false;
    float bf16;
    const uint32_t bf16_bits = (stored[0] | (uint32_t)stored[1] << 8) << 16;
    memcpy(&bf16, &bf16_bits, sizeof bf16);
    switch (element) {
    case RHUMB_ELEMENT_F16: return load_half(stored) != value;
    case RHUMB_ELEMENT_BF16: return (long double)bf16 != value;
    case RHUMB_ELEMENT_F64: return load(DATASET_ELEMENT_F64, stored) != value;
    default: return false;
    }
}

/* ---- rows ---- */

static int convert(struct cli *cli, const struct dataset_info *info, rhumb_element element, uint64_t first,
                   size_t count, const unsigned char *raw, unsigned char *vectors) {
    const size_t raw_bytes = dataset_element_bytes(info->element), bytes = element_bits(element) / 8;
    for (size_t i = 0; i < count * info->dim; i++) {
        const long double value = load(info->element, raw + i * raw_bytes);
        if (store(element, value, vectors + i * bytes) &&
            !is_changed(info->element, element, value, vectors + i * bytes))
            continue;
        return cli_fail(cli, CLI_INPUT, "%s: row %llu has %.21Lg as component %zu, which %s does not hold", info->path,
                        (unsigned long long)(first + i / info->dim), value, i % info->dim, rhumb_element_name(element));
    }
    return CLI_OK;
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
        exit_code = status != DATASET_OK ? cli_fail_dataset(cli, &error)
                                         : convert(cli, info, element, first + done, step, raw,
                                                   (unsigned char *)vectors + done * row_bytes);
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
