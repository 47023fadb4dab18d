/* units.c - numbers as people read them. Owns nothing, cannot fail; all texts fit struct units_text. */
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *units_count(struct units_text *buffer, uint64_t count) {
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *out = buffer->text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return buffer->text;
}

const char *units_bytes(struct units_text *buffer, uint64_t bytes) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned step = 0;
    for (; value >= 1024 && step < sizeof names / sizeof names[0] - 1; step++) value /= 1024;
    snprintf(buffer->text, sizeof buffer->text, step == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, names[step]);
    return buffer->text;
}

const char *units_rate(struct units_text *buffer, double per_second) {
    static const char *const names[] = {"", "k", "M", "G"};
    unsigned step = 0;
    for (; per_second >= 1000 && step < sizeof names / sizeof names[0] - 1; step++) per_second /= 1000;
    const int decimals = per_second >= 100 || (step == 0 && per_second >= 10) ? 0 : per_second >= 10 ? 1 : 2;
    /* %.3g bounds the length of what is beyond every name. */
    if (per_second < 1e9)
        snprintf(buffer->text, sizeof buffer->text, "%.*f%s", decimals, per_second, names[step]);
    else
        snprintf(buffer->text, sizeof buffer->text, "%.3g%s", per_second, names[step]);
    return buffer->text;
}

const char *units_duration(struct units_text *buffer, double seconds) {
    const unsigned long long whole = seconds > 0 && seconds < 1e15 ? (unsigned long long)(seconds + 0.5) : 0;
    if (!(seconds < 1e15))
        snprintf(buffer->text, sizeof buffer->text, "forever");
    else if (seconds < 1)
        snprintf(buffer->text, sizeof buffer->text, "%.3g ms", seconds * 1e3);
    else if (seconds < 59.5)
        snprintf(buffer->text, sizeof buffer->text, seconds < 10 ? "%.2f s" : "%.0f s", seconds);
    else if (seconds < 3600)
        snprintf(buffer->text, sizeof buffer->text, "%llu:%02llu", whole / 60, whole % 60);
    else
        snprintf(buffer->text, sizeof buffer->text, "%llu:%02llu:%02llu", whole / 3600, whole / 60 % 60, whole % 60);
    return buffer->text;
}

double units_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
