/* output.h - a file that the tool writes: matrices of results and vectors.
 *
 * A regular file appears under its name only when it is complete: it is written as NAME.partial and renamed at the
 * end, so that a failure leaves what was there before. "-" is the standard output; a pipe or a device that is there
 * already is written to as it is. Writes that a signal interrupts are continued.
 */
#ifndef RHUMB_CLI_OUTPUT_H
#define RHUMB_CLI_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct output {
    const char *path;
    char *partial_path; /* NULL: written in place */
    FILE *stream;       /* NULL: not open */
    bool is_stdout;
};

/* Opens. False: errno says why. */
bool output_open(struct output *output, const char *path);

/* Closes, and gives the file its name if `complete`, else removes it. False: errno says why; the file is removed then.
 * An output that is not open is left alone. */
bool output_close(struct output *output, bool complete);

/* The name in messages. */
const char *output_name(const struct output *output);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_OUTPUT_H */
