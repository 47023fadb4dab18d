/* watch.h - `rhumb info --watch`: what changes about an index, again and again. */
#ifndef RHUMB_CLI_WATCH_H
#define RHUMB_CLI_WATCH_H

#include <stdint.h>

#include "api/cli/cli.h"

struct watch_options {
    double interval_seconds;
    uint64_t count; /* 0: until it is interrupted */
};

/* Describes the index so often. Returns an exit code, which is CLI_OK after an interruption too. */
int watch_run(struct cli *cli, const char *path, const struct watch_options *options);

#endif /* RHUMB_CLI_WATCH_H */
