/* npy_header.h - the beginning of a .npy file that the tool writes; dataset_npy.c has the format. */
#ifndef RHUMB_CLI_NPY_HEADER_H
#define RHUMB_CLI_NPY_HEADER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Writes it. `descr` is such as "<f4"; column_count 0 means one axis. False: the stream has failed. */
bool npy_header_write(FILE *stream, const char *descr, uint64_t row_count, uint64_t column_count);

#endif /* RHUMB_CLI_NPY_HEADER_H */
