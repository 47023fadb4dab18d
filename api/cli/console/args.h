/* args.h - command line options, described by a table from which both the parser and the help are made.
 *
 * Understood: --name VALUE, --name=VALUE, -x VALUE, -xVALUE, and "--" after which everything is positional. Options and
 * positional arguments may be mixed. A later option wins over an earlier one.
 */
#ifndef RHUMB_CLI_ARGS_H
#define RHUMB_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum args_kind {
    ARGS_FLAG,   /* bool *; set to true */
    ARGS_U32,    /* uint32_t * */
    ARGS_U64,    /* uint64_t * */
    ARGS_DOUBLE, /* double * */
    ARGS_TEXT    /* const char **; points into argv */
};

struct args_option {
    const char *name; /* "ef-construction"; NULL ends a table */
    char letter;      /* 'k' for -k, or 0 */
    enum args_kind kind;
    void *value;            /* of the type that `kind` names; holds the default beforehand */
    const char *value_name; /* "N" in the help; NULL for flags */
    const char *help;       /* one or several lines */
};

struct args_error {
    char message[256];
};

/* Parses argv[0 .. argument_count). Positional arguments go to `positionals`, which has `positional_capacity` places;
 * *positional_count is how many there were. False: `error` says why. */
bool args_parse(const struct args_option *options, int argument_count, char *const *arguments, const char **positionals,
                size_t positional_capacity, size_t *positional_count, struct args_error *error);

/* Writes the options with their help, aligned. */
void args_print_options(const struct args_option *options, FILE *stream);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_ARGS_H */
