/* call_progress.c - see call_progress.h. No locks: the library reports progress on one thread at a time, and on none
 * after its function has returned.
 */
#include "call_progress.h"

#include "api/cli/console/interrupt.h"

bool call_progress_tell(void *context, uint64_t done_count, uint64_t total_count) {
    struct call_progress *call = context;
    const struct cli *cli = call->cli;
    if (!call->begun) progress_begin(&call->progress, cli->command, total_count, cli->quiet, cli->json);
    call->begun = true;
    progress_update(&call->progress, done_count);
    return !interrupt_requested();
}

void call_progress_end(struct call_progress *call) {
    if (call->begun) progress_end(&call->progress);
}
