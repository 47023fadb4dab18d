/* call_progress.h - one long call of the library: how far it is, on stderr, and how Ctrl-C ends it.
 */
#ifndef RHUMB_CLI_CALL_PROGRESS_H
#define RHUMB_CLI_CALL_PROGRESS_H

#include "api/cli/console/progress.h"
#include "cli.h"

struct call_progress {
    const struct cli *cli;
    struct progress progress;
    bool begun; /* the library has reported how much there is to do */
};

/* A rhumb_progress_fn; `context` is a struct call_progress of which `cli` is set and the rest is zero. */
bool call_progress_tell(void *context, uint64_t done_count, uint64_t total_count);

/* Clears what is shown, if anything is. Call it when the library's function has returned. */
void call_progress_end(struct call_progress *call);

#endif /* RHUMB_CLI_CALL_PROGRESS_H */
