/* key_list.c - see key_list.h. Owns the keys: 8 bytes for each.
 */
#include "key_list.h"

#include <errno.h>
#include <stdlib.h>

static bool parse_key(const char *text, uint64_t *key) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *key = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *key != UINT64_MAX;
}

bool key_source_parse(struct key_source *source, struct cli *cli, const struct cli_typed *typed,
                      const struct args_option *options, int *exit_code) {
    const size_t bytes = ((size_t)typed->count + 1) * sizeof *source->positionals;
    size_t count = 0;
    source->positionals = malloc(bytes);
    if (!source->positionals) {
        *exit_code = cli_fail_memory(cli, bytes);
        return false;
    }
    if (!cli_parse_some(cli, typed->command, options, typed->count, typed->texts, source->positionals, 1, &count,
                        exit_code))
        return false;
    source->index_path = source->positionals[0];
    source->texts = source->positionals + 1;
    source->text_count = count - 1;
    if (source->text_count > 0 || source->path) return true;
    *exit_code = cli_fail(cli, CLI_USAGE, "a key is missing: name some, or a file with --keys");
    return false;
}

void key_source_close(struct key_source *source) { free(source->positionals); }

static int read_keys(struct key_list *list, struct cli *cli, const struct key_source *source, struct dataset *rows) {
    const size_t row_count = rows ? (size_t)dataset_info_get(rows)->row_count : 0;
    const size_t count = source->text_count + row_count;
    list->keys = malloc((count + 1) * sizeof *list->keys);
    if (!list->keys) return cli_fail_memory(cli, (count + 1) * sizeof *list->keys);
    for (; list->count < source->text_count; list->count++)
        if (!parse_key(source->texts[list->count], &list->keys[list->count]))
            return cli_fail(cli, CLI_USAGE, "a key must be a number from 0 to 18446744073709551614, found '%s'",
                            source->texts[list->count]);
    if (!rows) return CLI_OK;
    const int exit_code = cli_read_keys(cli, rows, 0, row_count, list->keys + list->count);
    list->count = count;
    return exit_code;
}

int key_list_open(struct key_list *list, struct cli *cli, const struct key_source *source) {
    struct dataset *rows = NULL;
    *list = (struct key_list){NULL, 0};
    int exit_code = source->path ? cli_open_keys(cli, source->path, source->format_name, &rows) : CLI_OK;
    if (exit_code == CLI_OK) exit_code = read_keys(list, cli, source, rows);
    dataset_close(rows);
    return exit_code;
}

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void key_list_sort(struct key_list *list) {
    size_t kept = 0;
    qsort(list->keys, list->count, sizeof *list->keys, compare_keys);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || list->keys[i] != list->keys[i - 1]) list->keys[kept++] = list->keys[i];
    list->count = kept;
}

int key_list_count_absent(const struct key_list *list, struct cli *cli, rhumb_index *index, uint64_t *absent_count_out,
                          uint64_t *first_out) {
    *absent_count_out = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool found = false;
        const rhumb_status status = rhumb_index_contains(index, list->keys[i], &found);
        if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot look up a key");
        if (!found && (*absent_count_out)++ == 0) *first_out = list->keys[i];
    }
    return CLI_OK;
}

void key_list_close(struct key_list *list) {
    free(list->keys);
    *list = (struct key_list){NULL, 0};
}
