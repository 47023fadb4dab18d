/* extract.h - vectors out of an index: what get and export have in common. */
#ifndef RHUMB_CLI_EXTRACT_H
#define RHUMB_CLI_EXTRACT_H

#include "cli.h"
#include "key_list.h"

struct extract_options {
    const char *index_path;
    const char *out_path, *format_name; /* as in vector_writer.h */
    const char *keys_out;               /* a .npy of the keys, row by row; NULL: not wanted */
    const struct key_source *source;    /* the keys; NULL: all that the index has */
};

/* Writes the vectors. Keys that the index lacks are left out of jsonl and make CLI_PROBLEM at the end; other formats
 * have no place that tells which row is whose, and are not written then. Returns an exit code; failures are reported.
 * */
int extract_run(struct cli *cli, const struct extract_options *options);

#endif /* RHUMB_CLI_EXTRACT_H */
