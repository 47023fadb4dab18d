/* dataset_jsonl.c - one JSON object a line: {"key": 1, "vector": [0.5, -2e3]}.
 *
 * The reader takes exactly this: the two members in any order, "key" in all lines or in none, numbers as RFC 8259
 * writes them, no line that is empty. Anything else is refused with its line and column (in bytes, both from 1).
 * Numbers are read as f64; an integer that f64 does not hold is refused, and so is a number beyond its range.
 *
 * Owns the places where lines begin, 8 bytes for each, and the text of one line. A line has LINE_BYTES_MIN bytes at
 * least, so that memory stays below the length of the file, and LINE_BYTES_MAX at most. All lines are found when the
 * file is opened, and only the first is parsed then; the others are parsed when they are read.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_internal.h"

#define LINE_BYTES_MIN 14u         /* {"vector":[1]} and its end, which the last line may lack */
#define LINE_BYTES_MAX (32u << 20) /* more than DATASET_DIM_MAX components of the longest usual form */
#define READ_BYTES (256u * 1024u)

struct jsonl_reader {
    uint64_t *line_offsets; /* line_count + 1 of them */
    uint64_t line_count;
    uint64_t capacity;
    char *text; /* one line and a NUL */
    size_t text_capacity;
};

/* One line on its way through the parser. */
struct line {
    const struct dataset *dataset;
    struct dataset_error *error;
    uint64_t number; /* of the row, from 0 */
    uint64_t file_offset;
    const char *text, *position, *end;
    bool has_key, has_vector;
    uint64_t key;
    uint32_t dim;
    double *components; /* or NULL: only counted */
    uint32_t dim_limit; /* room in `components` */
};

static enum dataset_status refuse(const struct line *line, const char *what) {
    const size_t column = (size_t)(line->position - line->text);
    return dataset__fail(line->error, DATASET_E_CONTENT, line->dataset->info.path, line->file_offset + column,
                         "row %" PRIu64 " (line %" PRIu64 ", column %zu): %s", line->number, line->number + 1,
                         column + 1, what);
}

static void skip_space(struct line *line) {
    while (line->position < line->end && (*line->position == ' ' || *line->position == '\t' || *line->position == '\r'))
        line->position++;
}

static bool take(struct line *line, char token) {
    skip_space(line);
    if (line->position == line->end || *line->position != token) return false;
    line->position++;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *skip_digits(const char *position) {
    while (is_digit(*position)) position++;
    return position;
}

/* The end of the number that begins at `position`, by the grammar of JSON; NULL: there is none. The text ends in NUL.
 * */
static const char *number_end(const char *position, bool *is_integer) {
    *is_integer = true;
    if (*position == '-') position++;
    if (!is_digit(*position)) return NULL;
    position = *position == '0' ? position + 1 : skip_digits(position);
    if (*position == '.') {
        *is_integer = false;
        if (!is_digit(*++position)) return NULL;
        position = skip_digits(position);
    }
    if (*position == 'e' || *position == 'E') {
        *is_integer = false;
        position++;
        if (*position == '+' || *position == '-') position++;
        if (!is_digit(*position)) return NULL;
        position = skip_digits(position);
    }
    return position;
}

/* Whether f64 holds an integer of at most 19 digits exactly. Longer ones are beyond all types of integers, and so are
 * rounded as any other number. */
static bool is_held(const char *begin, const char *end, double value) {
    const char *digits = *begin == '-' ? begin + 1 : begin;
    if (end - digits < 16 || end - digits > 19) return true;
    return (uint64_t)fabs(value) == strtoull(digits, NULL, 10);
}

static enum dataset_status take_component(struct line *line, double *value) {
    bool is_integer;
    skip_space(line);
    const char *begin = line->position, *end = number_end(begin, &is_integer);
    if (!end || end > line->end)
        return refuse(line, "expected a number, as JSON writes it (so neither NaN nor infinity)");
    char *parsed_end;
    errno = 0;
    *value = strtod(begin, &parsed_end);
    if (parsed_end != end) return refuse(line, "expected a decimal number");
    if (!isfinite(*value)) return refuse(line, "the number is too large for f64");
    if (is_integer && !is_held(begin, end, *value)) return refuse(line, "f64 does not hold this integer exactly");
    line->position = end;
    return DATASET_OK;
}

static enum dataset_status take_vector(struct line *line) {
    if (line->has_vector) return refuse(line, "\"vector\" is there twice");
    if (!take(line, '[')) return refuse(line, "expected '[', the begin of the vector");
    line->has_vector = true;
    do {
        double value = 0;
        const enum dataset_status status = take_component(line, &value);
        if (status != DATASET_OK) return status;
        if (line->components && line->dim < line->dim_limit) line->components[line->dim] = value;
        if (line->dim++ == DATASET_DIM_MAX) return refuse(line, "the vector has too many components");
    } while (take(line, ','));
    return take(line, ']') ? DATASET_OK : refuse(line, "expected ',' or ']'");
}

static enum dataset_status take_key(struct line *line) {
    if (line->has_key) return refuse(line, "\"key\" is there twice");
    skip_space(line);
    bool is_integer;
    const char *begin = line->position, *end = number_end(begin, &is_integer);
    errno = 0;
    const unsigned long long key = end && is_digit(*begin) && is_integer ? strtoull(begin, NULL, 10) : ULLONG_MAX;
    if (!end || end > line->end || errno != 0 || key == UINT64_MAX)
        return refuse(line, "a key is an integer from 0 to 18446744073709551614");
    line->has_key = true;
    line->key = key;
    line->position = end;
    return DATASET_OK;
}

static enum dataset_status take_member(struct line *line) {
    static const char key[] = "\"key\"", vector[] = "\"vector\"";
    skip_space(line);
    const size_t left = (size_t)(line->end - line->position);
    const bool is_key = left >= sizeof key - 1 && memcmp(line->position, key, sizeof key - 1) == 0;
    const bool is_vector = left >= sizeof vector - 1 && memcmp(line->position, vector, sizeof vector - 1) == 0;
    if (!is_key && !is_vector) return refuse(line, "expected the member \"key\" or \"vector\", and no other");
    line->position += is_key ? sizeof key - 1 : sizeof vector - 1;
    if (!take(line, ':')) return refuse(line, "expected ':'");
    return is_key ? take_key(line) : take_vector(line);
}

static enum dataset_status parse(struct line *line) {
    if (!take(line, '{')) return refuse(line, "expected '{', the begin of an object");
    do {
        const enum dataset_status status = take_member(line);
        if (status != DATASET_OK) return status;
    } while (take(line, ','));
    if (!take(line, '}')) return refuse(line, "expected ',' or '}'");
    skip_space(line);
    if (line->position != line->end) return refuse(line, "expected the end of the line after the object");
    return line->has_vector ? DATASET_OK : refuse(line, "the object has no \"vector\"");
}

/* Reads the text of a row into reader->text, without the end of the line. */
static enum dataset_status load_line(struct dataset *dataset, uint64_t row, struct line *line,
                                     struct dataset_error *error) {
    struct jsonl_reader *reader = dataset->reader;
    const uint64_t offset = reader->line_offsets[row];
    size_t bytes = (size_t)(reader->line_offsets[row + 1] - offset);
    if (bytes >= reader->text_capacity) {
        char *text = realloc(reader->text, bytes + 1);
        if (!text)
            return dataset__fail(error, DATASET_E_NOMEM, dataset->info.path, offset, "no memory for %zu bytes", bytes);
        reader->text = text;
        reader->text_capacity = bytes + 1;
    }
    const enum dataset_status status = dataset__pread(dataset, offset, reader->text, bytes, error);
    if (status != DATASET_OK) return status;
    if (bytes > 0 && reader->text[bytes - 1] == '\n') bytes--;
    reader->text[bytes] = '\0';
    *line = (struct line){
        .dataset = dataset,
        .error = error,
        .number = row,
        .file_offset = offset,
        .text = reader->text,
        .position = reader->text,
        .end = reader->text + bytes,
    };
    return DATASET_OK;
}

/* Parses a row that must be as the first is. `components` has room for the first's dim, or is NULL. */
static enum dataset_status parse_row(struct dataset *dataset, uint64_t row, double *components, uint64_t *key,
                                     struct dataset_error *error) {
    struct line line;
    enum dataset_status status = load_line(dataset, row, &line, error);
    if (status != DATASET_OK) return status;
    line.components = components;
    line.dim_limit = dataset->info.dim;
    status = parse(&line);
    if (status != DATASET_OK) return status;
    line.position = line.text;
    if (line.dim != dataset->info.dim)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, line.file_offset,
                             "row %" PRIu64 " (line %" PRIu64 ") has %u components, expected %u as in line 1", row,
                             row + 1, line.dim, dataset->info.dim);
    if (line.has_key != dataset->info.has_keys)
        return refuse(&line, line.has_key ? "has a key, unlike line 1" : "has no key, unlike line 1");
    if (key) *key = line.key;
    return DATASET_OK;
}

static enum dataset_status read_jsonl(struct dataset *dataset, uint64_t row_first, size_t row_count,
                                      const struct dataset_target *target, struct dataset_error *error) {
    const size_t dim = dataset->info.dim;
    enum dataset_status status = dataset__scratch_need(dataset, dim * sizeof(double), error);
    double *components = (double *)(void *)dataset->scratch;
    for (size_t i = 0; i < row_count && status == DATASET_OK; i++) {
        status = parse_row(dataset, row_first + i, components, NULL, error);
        if (status != DATASET_OK) break;
        if (target->raw)
            memcpy((char *)target->raw + i * dim * sizeof *components, components, dim * sizeof *components);
        for (size_t c = 0; target->f32 && c < dim; c++) target->f32[i * dim + c] = (float)components[c];
    }
    return status;
}

static enum dataset_status read_keys(struct dataset *dataset, uint64_t row_first, size_t row_count, uint64_t *keys,
                                     struct dataset_error *error) {
    for (size_t i = 0; i < row_count; i++) {
        const enum dataset_status status = parse_row(dataset, row_first + i, NULL, keys + i, error);
        if (status != DATASET_OK) return status;
    }
    return DATASET_OK;
}

static enum dataset_status add_line(struct dataset *dataset, uint64_t offset, uint64_t end,
                                    struct dataset_error *error) {
    struct jsonl_reader *reader = dataset->reader;
    const uint64_t bytes = end - offset;
    if (bytes < LINE_BYTES_MIN || bytes > LINE_BYTES_MAX)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, offset,
                             "line %" PRIu64 " has %" PRIu64 " bytes; an object with a vector takes %u to %u",
                             reader->line_count + 1, bytes, LINE_BYTES_MIN, LINE_BYTES_MAX);
    if (reader->line_count + 1 >= reader->capacity) {
        const uint64_t capacity = reader->capacity ? 2 * reader->capacity : 256;
        uint64_t *offsets = realloc(reader->line_offsets, capacity * sizeof *offsets);
        if (!offsets)
            return dataset__fail(error, DATASET_E_NOMEM, dataset->info.path, offset,
                                 "no memory for the places of lines");
        reader->line_offsets = offsets;
        reader->capacity = capacity;
    }
    reader->line_offsets[reader->line_count++] = offset;
    reader->line_offsets[reader->line_count] = end;
    return DATASET_OK;
}

static enum dataset_status find_lines(struct dataset *dataset, struct dataset_error *error) {
    enum dataset_status status = dataset__scratch_need(dataset, READ_BYTES, error);
    const uint64_t file_bytes = dataset->info.file_bytes;
    uint64_t line_offset = 0;
    for (uint64_t offset = 0; offset < file_bytes && status == DATASET_OK; offset += READ_BYTES) {
        const size_t bytes = file_bytes - offset < READ_BYTES ? (size_t)(file_bytes - offset) : READ_BYTES;
        status = dataset__pread(dataset, offset, dataset->scratch, bytes, error);
        for (size_t i = 0; i < bytes && status == DATASET_OK;) {
            const unsigned char *newline = memchr(dataset->scratch + i, '\n', bytes - i);
            i = newline ? (size_t)(newline - dataset->scratch) + 1 : bytes;
            if (!newline) break;
            status = add_line(dataset, line_offset, offset + i, error);
            line_offset = offset + i;
        }
        if (status == DATASET_OK && offset + bytes - line_offset > LINE_BYTES_MAX)
            status = add_line(dataset, line_offset, offset + bytes, error);
    }
    if (status == DATASET_OK && line_offset < file_bytes) status = add_line(dataset, line_offset, file_bytes, error);
    return status;
}

static void close_jsonl(struct dataset *dataset) {
    struct jsonl_reader *reader = dataset->reader;
    if (!reader) return;
    free(reader->line_offsets);
    free(reader->text);
    free(reader);
    dataset->reader = NULL;
}

enum dataset_status dataset__jsonl_open(struct dataset *dataset, struct dataset_error *error) {
    struct jsonl_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return dataset__fail(error, DATASET_E_NOMEM, dataset->info.path, DATASET_OFFSET_NONE, "out of memory");
    dataset->reader = reader;
    dataset->read = read_jsonl;
    dataset->read_keys = read_keys;
    dataset->close = close_jsonl;
    enum dataset_status status = find_lines(dataset, error);
    if (status != DATASET_OK) return status;
    if (reader->line_count == 0)
        return dataset__fail(error, DATASET_E_CONTENT, dataset->info.path, 0, "the file has no line");
    struct line line;
    status = load_line(dataset, 0, &line, error);
    if (status == DATASET_OK) status = parse(&line);
    if (status != DATASET_OK) return status;
    dataset->info.element = RHUMB_ELEMENT_F64;
    dataset->info.has_keys = line.has_key;
    return dataset__shape_set(dataset, 0, reader->line_count, line.dim, error);
}
