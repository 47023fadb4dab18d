/* units.h - numbers as people read them. Each function writes into the caller's buffer and returns it. */
#ifndef RHUMB_CLI_UNITS_H
#define RHUMB_CLI_UNITS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Large enough for every text made here. */
struct units_text {
    char text[32];
};

/* 1234567 -> "1,234,567" */
const char *units_count(struct units_text *buffer, uint64_t count);

/* 1536 -> "1.5 KiB", 100 -> "100 B" */
const char *units_bytes(struct units_text *buffer, uint64_t bytes);

/* 12345.6 -> "12.3k": three significant digits for rates */
const char *units_rate(struct units_text *buffer, double per_second);

/* 0.0042 -> "4.2 ms", 3.2 -> "3.20 s", 75 -> "1:15", 3723 -> "1:02:03" */
const char *units_duration(struct units_text *buffer, double seconds);

/* Seconds of a clock that only goes forward. */
double units_now(void);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_UNITS_H */
