/* progress.c - how far a long command is, on stderr. Owns the terminal's current line while a bar is shown. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "units.h"

#define BAR_PERIOD_S 0.1
#define LINE_PERIOD_S 10.0
#define RATE_PERIOD_S 0.5
#define RATE_WEIGHT 0.2 /* of the newest measurement: the rate follows the last two or three seconds */
#define BAR_WIDTH 30

void progress_begin(struct progress *progress, const char *label, uint64_t total_count, bool quiet, bool json) {
    const char *terminal = getenv("TERM");
    const bool can_redraw = isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
    const double now = units_now();
    *progress = (struct progress){
        .label = label,
        .style = quiet        ? PROGRESS_NONE
                 : can_redraw ? PROGRESS_BAR
                 : json       ? PROGRESS_NONE
                              : PROGRESS_LINES,
        .total_count = total_count,
        .start = now,
        .drawn = now,
        .rate_time = now,
    };
}

static void update_rate(struct progress *progress, uint64_t done_count, double now) {
    const double elapsed = now - progress->rate_time;
    if (elapsed < RATE_PERIOD_S || done_count < progress->rate_count) return;
    const double newest = (double)(done_count - progress->rate_count) / elapsed;
    const bool is_first = progress->rate_count == 0;
    progress->rate = is_first ? newest : (1 - RATE_WEIGHT) * progress->rate + RATE_WEIGHT * newest;
    progress->rate_time = now;
    progress->rate_count = done_count;
}

static void draw(const struct progress *progress, uint64_t done_count) {
    struct units_text done, total, rate, left;
    const double share = progress->total_count ? (double)done_count / (double)progress->total_count : 1;
    const uint64_t left_count = progress->total_count > done_count ? progress->total_count - done_count : 0;
    const double left_seconds = progress->rate > 0 ? (double)left_count / progress->rate : 1e300;
    char numbers[160];
    if (progress->rate > 0)
        snprintf(numbers, sizeof numbers, "%5.1f%%  %s/%s  %s/s  %s left", share * 100, units_count(&done, done_count),
                 units_count(&total, progress->total_count), units_rate(&rate, progress->rate),
                 units_duration(&left, left_seconds));
    else
        snprintf(numbers, sizeof numbers, "%5.1f%%  %s/%s", share * 100, units_count(&done, done_count),
                 units_count(&total, progress->total_count));
    if (progress->style == PROGRESS_LINES) {
        fprintf(stderr, "%s %s\n", progress->label, numbers);
        return;
    }
    char bar[BAR_WIDTH + 1];
    const int filled = share < 1 ? (int)(share * BAR_WIDTH) : BAR_WIDTH;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '=', (size_t)filled);
    if (filled < BAR_WIDTH) bar[filled] = '>';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %s\033[K", progress->label, bar, numbers);
    fflush(stderr);
}

void progress_update(struct progress *progress, uint64_t done_count) {
    if (progress->style == PROGRESS_NONE) return;
    const double now = units_now();
    update_rate(progress, done_count, now);
    if (now - progress->drawn < (progress->style == PROGRESS_BAR ? BAR_PERIOD_S : LINE_PERIOD_S)) return;
    progress->drawn = now;
    draw(progress, done_count);
}

double progress_end(struct progress *progress) {
    const bool bar_is_shown = progress->style == PROGRESS_BAR && progress->drawn > progress->start;
    if (bar_is_shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    return units_now() - progress->start;
}
