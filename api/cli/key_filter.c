/* key_filter.c - see key_filter.h. Owns the keys: 8 bytes for each row of the file.
 */
#include "key_filter.h"

#include <stdlib.h>

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static int read_keys(struct key_filter *filter, struct cli *cli, struct dataset *rows) {
    const size_t count = (size_t)dataset_info_get(rows)->row_count;
    filter->keys = malloc((count + 1) * sizeof *filter->keys);
    if (!filter->keys) return cli_fail_memory(cli, (count + 1) * sizeof *filter->keys);
    const int exit_code = cli_read_keys(cli, rows, 0, count, filter->keys);
    if (exit_code != CLI_OK) return exit_code;
    qsort(filter->keys, count, sizeof *filter->keys, compare_keys);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || filter->keys[i] != filter->keys[i - 1]) filter->keys[kept++] = filter->keys[i];
    filter->filter.keys = filter->keys;
    filter->filter.key_count = kept;
    return CLI_OK;
}

int key_filter_open(struct key_filter *filter, struct cli *cli, const char *path, bool exclude) {
    struct dataset *rows = NULL;
    filter->keys = NULL;
    rhumb_filter_init(&filter->filter, sizeof filter->filter);
    filter->filter.kind = RHUMB_FILTER_KEYS;
    filter->filter.negate = exclude;
    int exit_code = cli_open_keys(cli, path, NULL, &rows);
    if (exit_code == CLI_OK) exit_code = read_keys(filter, cli, rows);
    dataset_close(rows);
    return exit_code;
}

void key_filter_close(struct key_filter *filter) {
    free(filter->keys);
    filter->keys = NULL;
}
