/* assert.c - what happens when an assert fails: one line on standard error, then abort. Owns nothing, takes no lock,
 * and does not return. It writes with one system call and without the heap, since after a failed assert neither stdio's
 * state nor the heap's can be trusted. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void rhumb__assert_failed(const char *expression, const char *file, int line) {
    char text[512];
    int length = snprintf(text, sizeof text, "%s:%d: assertion failed: %s\n", file, line, expression);
    if (length > 0) {
        size_t bytes_count = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
        /* Nothing can be done about a failure here: the process is about to end. */
        if (write(STDERR_FILENO, text, bytes_count) < 0) abort();
    }
    abort();
}
