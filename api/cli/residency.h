/* residency.h - how much of a file is in the page cache. */
#ifndef RHUMB_CLI_RESIDENCY_H
#define RHUMB_CLI_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>

/* Counts the bytes of the file at `path` that are in memory, in whole pages. False where the system does not tell. */
bool residency_measure(const char *path, uint64_t *resident_bytes_out);

#endif /* RHUMB_CLI_RESIDENCY_H */
