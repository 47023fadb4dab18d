/* progress.h - how far a long command is, on stderr.
 *
 * On a terminal: one line that is redrawn, with a bar, the rate and the time left. Elsewhere (a log): a plain line
 * every ten seconds. Quiet: nothing. The rate is that of the recent past, since inserting slows down as an index grows.
 */
#ifndef RHUMB_CLI_PROGRESS_H
#define RHUMB_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_style { PROGRESS_NONE, PROGRESS_LINES, PROGRESS_BAR };

struct progress {
    const char *label; /* "build" */
    enum progress_style style;
    uint64_t total_count;
    double start;     /* times are seconds of units_now */
    double drawn;     /* when something was last written */
    double rate;      /* per second, smoothed */
    double rate_time; /* when it was last computed, and for how many */
    uint64_t rate_count;
};

/* `quiet` is the user's wish, `json` that stdout is for a program: lines in a log are left out then, a bar is not. */
void progress_begin(struct progress *progress, const char *label, uint64_t total_count, bool quiet, bool json);

/* May be called as often as one likes; it writes rarely. */
void progress_update(struct progress *progress, uint64_t done_count);

/* Clears the bar. Returns the seconds since progress_begin. */
double progress_end(struct progress *progress);

#endif /* RHUMB_CLI_PROGRESS_H */
