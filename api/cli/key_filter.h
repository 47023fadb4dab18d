/* key_filter.h - a filter of keys from a file: only these, or all but these.
 */
#ifndef RHUMB_CLI_KEY_FILTER_H
#define RHUMB_CLI_KEY_FILTER_H

#include "cli.h"

struct key_filter {
    uint64_t *keys;
    rhumb_filter filter;
};

/* Reads the keys at `path`, one column of integers in any order. `exclude`: all keys but these match. CLI_OK or a
 * reported failure; in both cases key_filter_close is due. */
int key_filter_open(struct key_filter *filter, struct cli *cli, const char *path, bool exclude);

void key_filter_close(struct key_filter *filter);

#endif /* RHUMB_CLI_KEY_FILTER_H */
