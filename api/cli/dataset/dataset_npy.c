/* dataset_npy.c - NumPy's .npy, versions 1, 2 and 3 (numpy/lib/format.py documents it).
 *
 *     offset       size   what
 *     0            6      "\x93NUMPY"
 *     6            2      major and minor version
 *     8            2 / 4  length h of the text that follows, little-endian: 2 bytes in version 1, 4 in 2 and 3
 *     10 / 12      h      a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (1000, 128), }
 *     10+h / 12+h         the components
 *
 * The text is parsed by a reader of exactly this dict: three keys in any order, each once, plain literals. Anything
 * else (structured types, objects, more keys) is refused with its place. A matrix has one or two axes; one axis of n is
 * n rows of 1. The text is at most HEADER_BYTES_MAX long, real ones have about 118 bytes. Owns nothing.
 */
#include <string.h>

#include "dataset_internal.h"

#define HEADER_BYTES_MAX 4096u
#define AXIS_COUNT_MAX 2u

struct header_text {
    const struct dataset *dataset;
    struct dataset_error *error;
    uint64_t file_offset; /* of text[0] */
    const char *text;
    size_t length;
    size_t position;
};

struct header_fields {
    bool has_descr, has_order, has_shape, is_bool;
    rhumb_element element;
    uint64_t axes[AXIS_COUNT_MAX];
    unsigned axis_count;
};

static enum dataset_status refuse(const struct header_text *text, const char *what) {
    return dataset__fail(text->error, DATASET_E_CONTENT, text->dataset->info.path, text->file_offset + text->position,
                         "%s", what);
}

static void skip_space(struct header_text *text) {
    while (text->position < text->length && strchr(" \t\r\n", text->text[text->position]) &&
           text->text[text->position] != '\0')
        text->position++;
}

static bool take(struct header_text *text, const char *token) {
    skip_space(text);
    const size_t token_length = strlen(token);
    if (text->length - text->position < token_length) return false;
    if (memcmp(text->text + text->position, token, token_length) != 0) return false;
    text->position += token_length;
    return true;
}

/* A quoted string without escapes of fewer than `capacity` bytes. */
static bool take_string(struct header_text *text, char *string, size_t capacity) {
    skip_space(text);
    if (text->position >= text->length) return false;
    const char quote = text->text[text->position];
    if (quote != '\'' && quote != '"') return false;
    size_t end = text->position + 1;
    while (end < text->length && text->text[end] != quote && text->text[end] != '\\') end++;
    const size_t string_length = end - text->position - 1;
    if (end >= text->length || text->text[end] != quote || string_length >= capacity) return false;
    memcpy(string, text->text + text->position + 1, string_length);
    string[string_length] = '\0';
    text->position = end + 1;
    return true;
}

static bool take_number(struct header_text *text, uint64_t *number) {
    skip_space(text);
    const size_t begin = text->position;
    uint64_t value = 0;
    while (text->position < text->length && text->text[text->position] >= '0' && text->text[text->position] <= '9') {
        if (!dataset__size(value, 10, (uint64_t)(text->text[text->position] - '0'), &value)) return false;
        text->position++;
    }
    *number = value;
    return text->position > begin;
}

static enum dataset_status take_descr(struct header_text *text, struct header_fields *fields) {
    static const struct {
        char descr[3];
        rhumb_element element;
    } types[] = {
        {"f2", RHUMB_ELEMENT_F16}, {"f4", RHUMB_ELEMENT_F32}, {"f8", RHUMB_ELEMENT_F64}, {"i1", RHUMB_ELEMENT_I8},
        {"i2", RHUMB_ELEMENT_I16}, {"i4", RHUMB_ELEMENT_I32}, {"i8", RHUMB_ELEMENT_I64}, {"u1", RHUMB_ELEMENT_U8},
        {"u2", RHUMB_ELEMENT_U16}, {"u4", RHUMB_ELEMENT_U32}, {"u8", RHUMB_ELEMENT_U64}, {"b1", RHUMB_ELEMENT_U8},
    };
    char descr[16];
    if (!take_string(text, descr, sizeof descr))
        return refuse(text, "descr must be a plain element type such as '<f4'; structured types are not supported");
    if (descr[0] == '>') return refuse(text, "the components are big-endian; save them with .astype('<f4')");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(descr[0] ? descr + 1 : descr, types[i].descr) != 0) continue;
        /* '|' is how NumPy says that byte order has no meaning, as it has none in one byte. */
        if (descr[0] != '<' && !(descr[0] == '|' && dataset_element_bytes(types[i].element) == 1)) continue;
        fields->element = types[i].element;
        fields->is_bool = descr[1] == 'b';
        return DATASET_OK;
    }
    return dataset__fail(text->error, DATASET_E_CONTENT, text->dataset->info.path, text->file_offset + text->position,
                         "descr must be one of <f2 <f4 <f8 |i1 <i2 <i4 <i8 |u1 <u2 <u4 <u8 |b1, found '%s'", descr);
}

static enum dataset_status take_order(struct header_text *text) {
    if (take(text, "False")) return DATASET_OK;
    if (take(text, "True")) return refuse(text, "the matrix is in Fortran order; save numpy.ascontiguousarray of it");
    return refuse(text, "fortran_order must be True or False");
}

static enum dataset_status take_shape(struct header_text *text, struct header_fields *fields) {
    if (!take(text, "(")) return refuse(text, "shape must be a tuple such as (1000, 128)");
    fields->axis_count = 0;
    while (!take(text, ")")) {
        if (fields->axis_count == AXIS_COUNT_MAX) return refuse(text, "the array has more than two axes");
        if (!take_number(text, &fields->axes[fields->axis_count]))
            return refuse(text, "shape must hold numbers from 0 to 18446744073709551615");
        fields->axis_count++;
        if (take(text, ",")) continue;
        /* (5) is a number in brackets, (5,) a tuple: NumPy writes the latter. */
        if (fields->axis_count == 1 || !take(text, ")")) return refuse(text, "shape is not a tuple of numbers");
        break;
    }
    return fields->axis_count ? DATASET_OK : refuse(text, "the array is a single number without axes");
}

static enum dataset_status take_entry(struct header_text *text, struct header_fields *fields) {
    char key[24];
    if (!take_string(text, key, sizeof key) || !take(text, ":"))
        return refuse(text, "expected one of the keys 'descr', 'fortran_order', 'shape', and a colon");
    bool *has = NULL;
    if (strcmp(key, "descr") == 0) has = &fields->has_descr;
    if (strcmp(key, "fortran_order") == 0) has = &fields->has_order;
    if (strcmp(key, "shape") == 0) has = &fields->has_shape;
    if (!has) return refuse(text, "expected one of the keys 'descr', 'fortran_order', 'shape'");
    if (*has) return refuse(text, "a key is there twice");
    *has = true;
    if (has == &fields->has_descr) return take_descr(text, fields);
    return has == &fields->has_order ? take_order(text) : take_shape(text, fields);
}

static enum dataset_status parse_header(struct header_text *text, struct header_fields *fields) {
    if (!take(text, "{")) return refuse(text, "expected '{', the begin of a dict");
    while (!take(text, "}")) {
        const enum dataset_status status = take_entry(text, fields);
        if (status != DATASET_OK) return status;
        if (take(text, ",")) continue;
        if (take(text, "}")) break;
        return refuse(text, "expected ',' or '}'");
    }
    skip_space(text);
    if (text->position != text->length) return refuse(text, "expected nothing but spaces after the dict");
    if (!fields->has_descr || !fields->has_order || !fields->has_shape)
        return refuse(text, "the dict lacks one of 'descr', 'fortran_order', 'shape'");
    return DATASET_OK;
}

/* Reads the fixed part and the text. On success *length_out bytes are in `text`, and *offset_out is where they were. */
static enum dataset_status read_header(struct dataset *dataset, char text[HEADER_BYTES_MAX], size_t *length_out,
                                       uint64_t *offset_out, struct dataset_error *error) {
    unsigned char fixed[12];
    enum dataset_status status = dataset__pread(dataset, 0, fixed, 10, error);
    if (status != DATASET_OK) return status;
    if (memcmp(fixed, "\x93NUMPY", 6) != 0)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, 0,
                             "a .npy file begins with \\x93NUMPY, this one does not");
    if (fixed[6] < 1 || fixed[6] > 3 || fixed[7] != 0)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, 6,
                             "expected version 1.0, 2.0 or 3.0 of .npy, found %u.%u", fixed[6], fixed[7]);
    uint32_t length = fixed[8] | (uint32_t)fixed[9] << 8;
    uint64_t offset = 10;
    if (fixed[6] > 1) {
        status = dataset__pread(dataset, 8, fixed + 8, 4, error);
        if (status != DATASET_OK) return status;
        length = dataset__u32_le(fixed + 8);
        offset = 12;
    }
    if (length > HEADER_BYTES_MAX)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, 8,
                             "the header's text must be at most %u bytes, found %u", HEADER_BYTES_MAX, length);
    status = dataset__pread(dataset, offset, text, length, error);
    if (status != DATASET_OK) return status;
    *length_out = length;
    *offset_out = offset;
    return DATASET_OK;
}

enum dataset_status dataset__npy_open(struct dataset *dataset, struct dataset_error *error) {
    char buffer[HEADER_BYTES_MAX];
    struct header_text text = {.dataset = dataset, .error = error, .text = buffer};
    enum dataset_status status = read_header(dataset, buffer, &text.length, &text.file_offset, error);
    if (status != DATASET_OK) return status;
    struct header_fields fields = {.axis_count = 0};
    status = parse_header(&text, &fields);
    if (status != DATASET_OK) return status;

    const uint64_t data_offset = text.file_offset + text.length;
    const uint64_t dim = fields.axis_count == 1 ? 1 : fields.axes[1];
    status = dataset__shape_set(dataset, text.file_offset, fields.axes[0], dim, error);
    if (status != DATASET_OK) return status;
    const uint64_t row_bytes = dim * dataset_element_bytes(fields.element);
    uint64_t expected_bytes;
    const bool fits = dataset__size(dataset->info.row_count, row_bytes, data_offset, &expected_bytes);
    if (!fits || expected_bytes != dataset->info.file_bytes)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, text.file_offset,
                             "the header says %llu rows of %llu %s after a header of %llu bytes; the file has %llu "
                             "bytes",
                             (unsigned long long)dataset->info.row_count, (unsigned long long)dim,
                             rhumb_element_name(fields.element), (unsigned long long)data_offset,
                             (unsigned long long)dataset->info.file_bytes);
    dataset->info.element = fields.element;
    dataset->info.is_bool = fields.is_bool;
    dataset->rows = (struct dataset_rows){data_offset, row_bytes, 0};
    return DATASET_OK;
}
