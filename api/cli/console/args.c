/* args.c - command line options from a table. Owns nothing: texts point into argv. Fails with a message for the user.
 */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Column at which the help of an option begins. */
#define HELP_COLUMN 26

static bool fail(struct args_error *error, const char *format, const char *first, const char *second) {
    snprintf(error->message, sizeof error->message, format, first, second);
    return false;
}

static bool parse_u64(const char *text, uint64_t limit, uint64_t *number) {
    if (*text < '0' || *text > '9') return false; /* strtoull would take "-1" and blanks */
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > limit) return false;
    *number = value;
    return true;
}

static bool set_value(const struct args_option *option, const char *shown_name, const char *text,
                      struct args_error *error) {
    uint64_t number = 0;
    switch (option->kind) {
    case ARGS_FLAG: *(bool *)option->value = true; return true;
    case ARGS_TEXT:
        if (*text == '\0') return fail(error, "%s needs a value that is not empty%s", shown_name, "");
        *(const char **)option->value = text;
        return true;
    case ARGS_U32:
        if (!parse_u64(text, UINT32_MAX, &number))
            return fail(error, "%s must be a number from 0 to 4294967295, found '%s'", shown_name, text);
        *(uint32_t *)option->value = (uint32_t)number;
        return true;
    case ARGS_U64:
        if (!parse_u64(text, UINT64_MAX, &number))
            return fail(error, "%s must be a number from 0 to 18446744073709551615, found '%s'", shown_name, text);
        *(uint64_t *)option->value = number;
        return true;
    case ARGS_DOUBLE: {
        char *end;
        const double value = strtod(text, &end);
        if (end == text || *end != '\0' || !isfinite(value))
            return fail(error, "%s must be a number, found '%s'", shown_name, text);
        *(double *)option->value = value;
        return true;
    }
    }
    return false;
}

static const struct args_option *find_long(const struct args_option *options, const char *name, size_t name_length) {
    for (; options->name; options++)
        if (strlen(options->name) == name_length && memcmp(options->name, name, name_length) == 0) return options;
    return NULL;
}

static const struct args_option *find_letter(const struct args_option *options, char letter) {
    for (; options->name; options++)
        if (options->letter && options->letter == letter) return options;
    return NULL;
}

/* Takes the option at arguments[*position], and its value. */
static bool take_option(const struct args_option *options, int argument_count, char *const *arguments, int *position,
                        struct args_error *error) {
    const char *argument = arguments[*position];
    const bool is_long = argument[1] == '-';
    const char *equals = is_long ? strchr(argument, '=') : NULL;
    const size_t name_length = is_long ? (equals ? (size_t)(equals - argument) : strlen(argument)) - 2 : 1;
    const struct args_option *option =
        is_long ? find_long(options, argument + 2, name_length) : find_letter(options, argument[1]);
    if (!option) return fail(error, "unknown option '%s'%s", argument, "");

    char shown_name[64];
    if (is_long)
        snprintf(shown_name, sizeof shown_name, "--%s", option->name);
    else
        snprintf(shown_name, sizeof shown_name, "-%c", option->letter);
    const char *attached = is_long ? (equals ? equals + 1 : NULL) : (argument[2] ? argument + 2 : NULL);
    if (option->kind == ARGS_FLAG) {
        if (attached) return fail(error, "%s takes no value, found '%s'", shown_name, attached);
        return set_value(option, shown_name, "", error);
    }
    if (!attached) {
        if (*position + 1 >= argument_count) return fail(error, "%s needs a value: %s", shown_name, option->value_name);
        attached = arguments[++*position];
    }
    return set_value(option, shown_name, attached, error);
}

bool args_parse(const struct args_option *options, int argument_count, char *const *arguments, const char **positionals,
                size_t positional_capacity, size_t *positional_count, struct args_error *error) {
    bool options_ended = false;
    *positional_count = 0;
    for (int position = 0; position < argument_count; position++) {
        const char *argument = arguments[position];
        if (!options_ended && strcmp(argument, "--") == 0) {
            options_ended = true;
        } else if (!options_ended && argument[0] == '-' && argument[1] != '\0') {
            if (!take_option(options, argument_count, arguments, &position, error)) return false;
        } else {
            if (*positional_count == positional_capacity)
                return fail(error, "unexpected argument '%s'%s", argument, "");
            positionals[(*positional_count)++] = argument;
        }
    }
    return true;
}

void args_print_options(const struct args_option *options, FILE *stream) {
    for (; options->name; options++) {
        char left[80];
        int used = options->letter ? snprintf(left, sizeof left, "  -%c, --%s", options->letter, options->name)
                                   : snprintf(left, sizeof left, "  --%s", options->name);
        if (options->value_name) used += snprintf(left + used, sizeof left - (size_t)used, " %s", options->value_name);
        fputs(left, stream);
        if (used >= HELP_COLUMN) {
            fputc('\n', stream);
            used = 0;
        }
        for (const char *line = options->help; line;) {
            const char *end = strchr(line, '\n');
            const int line_length = end ? (int)(end - line) : (int)strlen(line);
            fprintf(stream, "%*s%.*s\n", HELP_COLUMN - used, "", line_length, line);
            used = 0;
            line = end ? end + 1 : NULL;
        }
    }
}
