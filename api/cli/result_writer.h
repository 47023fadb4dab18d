/* result_writer.h - where the results of a search go: stdout as text or JSON, or matrices in files (output.h).
 */
#ifndef RHUMB_CLI_RESULT_WRITER_H
#define RHUMB_CLI_RESULT_WRITER_H

#include "cli.h"
#include "output.h"

struct result_file {
    const char *path; /* NULL: not wanted */
    struct output output;
    bool is_npy;
};

/* Names of files; NULL: not wanted. */
struct result_files {
    const char *keys_path, *distances_path;
    const char *format_name; /* of both; NULL: their extensions say it */
};

struct result_writer {
    struct cli *cli;
    size_t k;
    const char *format_name;
    bool to_stdout;               /* results are printed */
    bool holds_stdout;            /* nothing else may be */
    struct result_file keys;      /* .npy (u64) or .ivecs (i32) */
    struct result_file distances; /* .npy (f32) or .fvecs (f32) */
};

/* Opens the files that are wanted. `query_count` rows will follow. CLI_OK or a reported failure; in both cases
 * result_writer_close is due. */
int result_writer_open(struct result_writer *writer, struct cli *cli, uint64_t query_count, size_t k, bool to_stdout,
                       const struct result_files *files);

/* Writes `query_count` rows of k; `found_counts` are the numbers of filled entries. CLI_OK or a reported failure. */
int result_writer_add(struct result_writer *writer, uint64_t query_first, size_t query_count, const uint64_t *keys,
                      const float *distances, const size_t *found_counts);

/* Closes the files and, if `complete`, gives them their names; else removes them. CLI_OK or a reported failure. */
int result_writer_close(struct result_writer *writer, bool complete);

#endif /* RHUMB_CLI_RESULT_WRITER_H */
