/* vector.c - vectors as values of SQL: blobs of components, and JSON arrays. Stateless, but for the locale in which
 * numbers are written, made once. Nothing of a value is trusted. */
#define _GNU_SOURCE /* strtod_l */
#include <ctype.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/sqlite/rhumb_sql.h"

size_t sql_vector_bytes(rhumb_element element, uint32_t dim) {
    return ((size_t)dim * rhumb_element_bits(element) + 7) / 8;
}

static locale_t plain_locale(void) {
    static locale_t plain = (locale_t)0;
    locale_t now = __atomic_load_n(&plain, __ATOMIC_ACQUIRE);
    if (now != (locale_t)0) return now;
    locale_t made = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (__atomic_compare_exchange_n(&plain, &now, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return made;
    freelocale(made);
    return now;
}

static const char *skip_space(const char *at) {
    while (isspace((unsigned char)*at)) at++;
    return at;
}

/* Reads one number of JSON. Returns what follows, or NULL. */
static const char *read_component(const char *at, double *number) {
    const size_t length = strspn(at, "0123456789+-.eE");
    char *end;
    if (length == 0) return NULL;
    *number = strtod_l(at, &end, plain_locale());
    return end == at + length ? end : NULL;
}

/* Calls for each number of a JSON array what to do with it; false for a text that is not such an array. */
static bool read_array(const char *text, bool (*take)(void *context, double number), void *context) {
    const char *at = skip_space(text);
    double number;
    if (*at++ != '[') return false;
    at = skip_space(at);
    if (*at == ']') return *skip_space(at + 1) == '\0';
    for (;;) {
        at = read_component(skip_space(at), &number);
        if (at == NULL || !take(context, number)) return false;
        at = skip_space(at);
        if (*at == ']') return *skip_space(at + 1) == '\0';
        if (*at++ != ',') return false;
    }
}

static bool count_one(void *context, double number) {
    (void)number;
    return ++*(uint32_t *)context <= RHUMB_DIM_MAX;
}

uint32_t sql_vector_dim(sqlite3_value *value, rhumb_element element) {
    if (sqlite3_value_type(value) == SQLITE_TEXT) {
        uint32_t dim = 0;
        const char *const text = (const char *)sqlite3_value_text(value);
        return text != NULL && read_array(text, count_one, &dim) ? dim : 0;
    }
    if (sqlite3_value_type(value) != SQLITE_BLOB) return 0;
    const uint64_t bits = (uint64_t)sqlite3_value_bytes(value) * 8;
    if (bits % rhumb_element_bits(element) != 0 || bits / rhumb_element_bits(element) > RHUMB_DIM_MAX) return 0;
    return (uint32_t)(bits / rhumb_element_bits(element));
}

typedef struct writing {
    const rhumb_index_options *options;
    uint8_t *vector;
    uint32_t count;
} writing;

static bool write_one(void *context, double number) {
    writing *const to = context;
    const uint32_t i = to->count++;
    if (i >= to->options->dim) return true; /* counted for the message */
    if (to->options->element == RHUMB_ELEMENT_B1) {
        if (number != 0 && number != 1) return false;
        if (i % 8 == 0) to->vector[i / 8] = 0;
        to->vector[i / 8] |= (uint8_t)((number == 1) << i % 8);
        return true;
    }
    uint8_t *const place = to->vector + (size_t)i * rhumb_element_bits(to->options->element) / 8;
    return rhumb_element_convert(RHUMB_ELEMENT_F64, &number, to->options->element, place, 1) == 1;
}

static int read_json(const rhumb_index_options *options, const char *text, uint8_t *vector, char **message) {
    writing to = {.options = options, .vector = vector};
    if (text == NULL) return SQLITE_NOMEM;
    if (!read_array(text, write_one, &to)) {
        *message = sqlite3_mprintf("expected a JSON array of numbers that %s holds, component %u is not one or is "
                                   "followed by something else",
                                   rhumb_element_name(options->element), to.count == 0 ? 0 : to.count - 1);
        return SQLITE_ERROR;
    }
    if (to.count == options->dim) return SQLITE_OK;
    *message = sqlite3_mprintf("the vector has %u components, expected %u", to.count, options->dim);
    return SQLITE_ERROR;
}

static int read_blob(const rhumb_index_options *options, sqlite3_value *value, uint8_t *vector, char **message) {
    const void *const blob = sqlite3_value_blob(value);
    const size_t bytes = (size_t)sqlite3_value_bytes(value),
                 expected = sql_vector_bytes(options->element, options->dim);
    if (bytes != expected) {
        *message =
            sqlite3_mprintf("the vector has %llu bytes, %u components of %s have %llu", (unsigned long long)bytes,
                            options->dim, rhumb_element_name(options->element), (unsigned long long)expected);
        return SQLITE_ERROR;
    }
    if (blob == NULL) return SQLITE_NOMEM;
    memcpy(vector, blob, bytes);
    return SQLITE_OK;
}

int sql_vector_read(const rhumb_index_options *options, sqlite3_value *value, void *vector, char **message) {
    int code;
    float distance;
    if (sqlite3_value_type(value) == SQLITE_TEXT) {
        code = read_json(options, (const char *)sqlite3_value_text(value), vector, message);
    } else if (sqlite3_value_type(value) == SQLITE_BLOB) {
        code = read_blob(options, value, vector, message);
    } else {
        *message = sqlite3_mprintf("a vector is a blob or the text of a JSON array");
        code = SQLITE_ERROR;
    }
    if (code != SQLITE_OK) return code;
    const rhumb_status status = rhumb_vectors_measure(options, vector, vector, 1, &distance);
    if (status == RHUMB_OK) return SQLITE_OK;
    *message = sqlite3_mprintf("%s", rhumb_error_last()->message);
    return sql_code_of(status);
}
