/* spec.c - reads the arguments of CREATE VIRTUAL TABLE ... USING rhumb0(...).
 *
 * One of them is the column of vectors, written as for vec0: a name, a type with the number of components in
 * brackets, and distance_metric=. "NAME integer primary key" names the rowid. The others are options: NAME=VALUE, or
 * the path of the index in quotes. What vec0 has besides, metadata, auxiliary and partition columns, belongs into a
 * table of its own here, since JOIN and WHERE work; the message says so. Stateless.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bindings/sqlite/rhumb_sql.h"

#define WORD_BYTES 256

/* The rest of an argument, and its next word: a name, a quoted text, a number, or one character. */
typedef struct words {
    const char *at;
    char word[WORD_BYTES];
    bool is_quoted, is_text;
} words;

/* Moves to the next word; false at the end. */
static bool next_word(words *words) {
    size_t length = 0;
    while (isspace((unsigned char)*words->at)) words->at++;
    const char first = *words->at;
    words->is_quoted = first == '\'' || first == '"' || first == '`';
    words->is_text = first == '\'';
    if (words->is_quoted) {
        for (words->at++; *words->at != '\0'; words->at++) {
            if (*words->at == first && *++words->at != first) break;
            if (length < WORD_BYTES - 1) words->word[length++] = *words->at;
        }
    } else if (isalnum((unsigned char)first) || first == '_' || (unsigned char)first >= 0x80) {
        while (isalnum((unsigned char)*words->at) || *words->at == '_' || (unsigned char)*words->at >= 0x80) {
            if (length < WORD_BYTES - 1) words->word[length++] = *words->at;
            words->at++;
        }
    } else if (first != '\0') {
        words->word[length++] = *words->at++;
    }
    words->word[length] = '\0';
    return length > 0 || words->is_quoted;
}

static bool is_word(const words *words, const char *word) {
    return !words->is_quoted && strcasecmp(words->word, word) == 0;
}

static int fail(char **message, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sqlite3_free(*message);
    *message = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    return SQLITE_ERROR;
}

static int read_number(const char *name, const char *text, uint64_t max, uint64_t *number, char **message) {
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value > max) {
        return fail(message, "%s: expected a whole number up to %llu, found \"%s\"", name, (unsigned long long)max,
                    text);
    }
    *number = value;
    return SQLITE_OK;
}

static int keep_text(char **target, const char *text) {
    sqlite3_free(*target);
    *target = sqlite3_mprintf("%s", text);
    return *target == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* Reads an option that is not a number; *known is whether there is one of that name. */
static int read_choice(sql_spec *spec, const char *name, const char *value, bool *known, char **message) {
    *known = true;
    if (strcasecmp(name, "path") == 0) return keep_text(&spec->path, value);
    if (strcasecmp(name, "codes") == 0) {
        if (strcasecmp(value, "none") == 0) {
            spec->options.codes = RHUMB_CODES_NONE;
        } else if (strcmp(value, "4") == 0 || strcmp(value, "8") == 0) {
            spec->options.codes = (rhumb_codes)(value[0] - '0');
        } else {
            return fail(message, "codes: expected none, 4 or 8, found \"%s\"", value);
        }
        return SQLITE_OK;
    }
    *known = false;
    return SQLITE_OK;
}

static int read_option(sql_spec *spec, const char *name, const char *value, char **message) {
    bool known;
    uint64_t number;
    const int code = read_choice(spec, name, value, &known, message);
    if (known || code != SQLITE_OK) return code;
    uint32_t *const fields[] = {&spec->options.M, &spec->options.M0, &spec->options.ef_construction,
                                &spec->options.ef_search};
    static const char *const names[] = {"M", "M0", "ef_construction", "ef_search"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i]) != 0) continue;
        if (read_number(name, value, UINT32_MAX, &number, message) != SQLITE_OK) return SQLITE_ERROR;
        *fields[i] = (uint32_t)number;
        return SQLITE_OK;
    }
    if (strcasecmp(name, "outbox") == 0) {
        if (read_number(name, value, INT32_MAX, &number, message) != SQLITE_OK) return SQLITE_ERROR;
        spec->changes_max = (sqlite3_int64)number;
    } else if (strcasecmp(name, "adopt") == 0) {
        if (read_number(name, value, 1, &number, message) != SQLITE_OK) return SQLITE_ERROR;
        spec->adopt = number == 1;
    } else {
        return fail(message,
                    "unknown option \"%s\"; there are path, M, M0, ef_construction, ef_search, codes, outbox, adopt",
                    name);
    }
    return SQLITE_OK;
}

/* The element of a type's name, as vec0 or as rhumb calls it; 0 for another word. */
static rhumb_element element_of(const char *type) {
    static const struct {
        const char *name;
        rhumb_element element;
    } types[] = {{"float", RHUMB_ELEMENT_F32}, {"int8", RHUMB_ELEMENT_I8}, {"bit", RHUMB_ELEMENT_B1}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(type, types[i].name) == 0) return types[i].element;
    }
    return rhumb_element_from_name(type);
}

static int read_metric(sql_spec *spec, const char *value, char **message) {
    char lower[WORD_BYTES];
    size_t length = 0;
    for (; value[length] != '\0'; length++) lower[length] = (char)tolower((unsigned char)value[length]);
    lower[length] = '\0';
    spec->options.metric = rhumb_metric_from_name(lower);
    if (spec->options.metric == RHUMB_METRIC_LEVENSHTEIN || spec->options.metric == RHUMB_METRIC_CUSTOM) {
        return fail(message, "distance_metric: a table cannot have %s", lower);
    }
    if (spec->options.metric != 0) return SQLITE_OK;
    return fail(message, "distance_metric: \"%s\" is not a metric, such as l2, cosine, ip, l1 or hamming", value);
}

/* Reads "[N] attribute=value ..." after the name and the type of the column of vectors. */
static int read_column(sql_spec *spec, words *words, rhumb_element element, char **message) {
    uint64_t dim;
    const char *const shape = "expected the number of components in brackets after the type, as in float[768]";
    if (!next_word(words) || words->word[0] != '[' || !next_word(words)) return fail(message, "%s", shape);
    if (read_number("the number of components", words->word, RHUMB_DIM_MAX, &dim, message) != SQLITE_OK || dim == 0) {
        return *message == NULL ? fail(message, "a vector needs a component") : SQLITE_ERROR;
    }
    if (!next_word(words) || words->word[0] != ']') return fail(message, "%s", shape);
    spec->options.dim = (uint32_t)dim;
    spec->options.element = element;
    spec->options.metric = element == RHUMB_ELEMENT_B1 ? RHUMB_METRIC_HAMMING : RHUMB_METRIC_L2;
    spec->vector_bytes = sql_vector_bytes(element, spec->options.dim);
    while (next_word(words)) {
        if (!is_word(words, "distance_metric")) {
            return fail(message, "unknown attribute \"%s\" of the column %s", words->word, spec->column);
        }
        if (!next_word(words) || words->word[0] != '=' || !next_word(words)) {
            return fail(message, "expected distance_metric=METRIC");
        }
        const int code = read_metric(spec, words->word, message);
        if (code != SQLITE_OK) return code;
    }
    if (rhumb_metric_supports(spec->options.metric, element)) return SQLITE_OK;
    return fail(message, "%s does not measure vectors of %s", rhumb_metric_name(spec->options.metric),
                rhumb_element_name(element));
}

/* Reads "NAME TYPE ...", where `words` is at the type. */
static int read_definition(sql_spec *spec, const char *name, words *words, char **message) {
    const rhumb_element element = element_of(words->word);
    if (is_word(words, "integer") || is_word(words, "int")) {
        if (next_word(words) && is_word(words, "primary")) return keep_text(&spec->key_column, name);
    } else if (is_word(words, "text") && next_word(words) && is_word(words, "primary")) {
        return fail(message, "the key %s must be an integer: keep texts in another table, and JOIN it", name);
    } else if (element != 0) {
        if (spec->column != NULL)
            return fail(message, "a table has one column of vectors, found %s and %s", spec->column, name);
        const int code = keep_text(&spec->column, name);
        return code == SQLITE_OK ? read_column(spec, words, element, message) : code;
    }
    return fail(message,
                "a table of rhumb0 has a column of vectors, such as embedding float[768], and no other: "
                "keep %s in a table of your own, and JOIN it by rowid",
                name);
}

static int read_argument(sql_spec *spec, const char *argument, char **message) {
    char name[WORD_BYTES];
    words words = {.at = argument};
    if (!next_word(&words)) return fail(message, "an argument is empty");
    const bool is_text = words.is_text, is_auxiliary = !words.is_quoted && words.word[0] == '+';
    if (is_auxiliary && !next_word(&words)) return fail(message, "an argument is \"+\"");
    memcpy(name, words.word, WORD_BYTES);
    if (!next_word(&words)) {
        if (is_text) return keep_text(&spec->path, name);
        return fail(message, "expected a type or a value after \"%s\"", name);
    }
    if (is_auxiliary) strcpy(words.word, "+");
    if (words.is_quoted || words.word[0] != '=') return read_definition(spec, name, &words, message);
    if (!next_word(&words)) return fail(message, "the option %s has no value", name);
    return read_option(spec, name, words.word, message);
}

int sql_spec_read(int count, const char *const *arguments, sql_spec *spec, char **message) {
    int code = SQLITE_OK;
    *spec = (sql_spec){.changes_max = SQL_CHANGES_DEFAULT};
    rhumb_index_options_init(&spec->options, sizeof spec->options);
    for (int i = 0; i < count && code == SQLITE_OK; i++) code = read_argument(spec, arguments[i], message);
    if (code == SQLITE_OK && spec->column == NULL) {
        code = fail(message, "expected a column of vectors, such as embedding float[768]");
    }
    if (code == SQLITE_OK && spec->key_column == NULL) code = keep_text(&spec->key_column, "rowid");
    if (code == SQLITE_OK && spec->adopt && spec->path == NULL) code = fail(message, "adopt needs path");
    return code;
}

void sql_spec_free(sql_spec *spec) {
    sqlite3_free(spec->key_column);
    sqlite3_free(spec->column);
    sqlite3_free(spec->path);
}
