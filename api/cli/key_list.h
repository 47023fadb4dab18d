/* key_list.h - the keys that a command is given: on its line, or in a file.
 */
#ifndef RHUMB_CLI_KEY_LIST_H
#define RHUMB_CLI_KEY_LIST_H

#include "cli.h"

struct key_list {
    uint64_t *keys; /* in the order in which they were given */
    size_t count;
};

/* What names keys on a command line. */
struct key_source {
    const char *const *texts;
    size_t text_count;
    const char *path; /* of a file with one column of integers, or of jsonl; NULL: none */
    const char *format_name;
    const char *index_path;
    const char **positionals; /* owned; `texts` is a part of it */
};

/* The option for the file: entries of a table of options. */
#define KEY_LIST_OPTIONS(source)                                                                                       \
    {"keys", 0, ARGS_TEXT, &(source)->path, "FILE", "keys: one column of integers (npy, ivecs), or jsonl with keys"},  \
    {                                                                                                                  \
        "keys-format", 0, ARGS_TEXT, &(source)->format_name, "NAME", "of that file, when its name does not say it"     \
    }

/* Reads the arguments of a command that names an index, and keys in `source`, to which some of the options point. True:
 * continue. False: return *exit_code. In both cases key_source_close is due. */
bool key_source_parse(struct key_source *source, struct cli *cli, const struct cli_typed *typed,
                      const struct args_option *options, int *exit_code);

void key_source_close(struct key_source *source);

/* Reads the keys of both. CLI_OK or a reported failure; in both cases key_list_close is due. */
int key_list_open(struct key_list *list, struct cli *cli, const struct key_source *source);

/* Sorts the keys and drops those that are there again. */
void key_list_sort(struct key_list *list);

/* How many of the keys the index lacks; *first_out is the first of them. CLI_OK or a reported failure. */
int key_list_count_absent(const struct key_list *list, struct cli *cli, rhumb_index *index, uint64_t *absent_count_out,
                          uint64_t *first_out);

void key_list_close(struct key_list *list);

#endif /* RHUMB_CLI_KEY_LIST_H */
