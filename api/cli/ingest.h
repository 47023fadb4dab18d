/* ingest.h - the rows of a file into an index: what build, add and upsert have in common. */
#ifndef RHUMB_CLI_INGEST_H
#define RHUMB_CLI_INGEST_H

#include "cli.h"
#include "vectors.h"

enum ingest_mode {
    INGEST_BUILD, /* into a new index: what was inserted before a failure stays, and checkpoints make it durable */
    INGEST_ADD,   /* batches that are all or nothing, after all that can be wrong with the file was looked for */
    INGEST_UPSERT
};

struct ingest_options {
    enum ingest_mode mode;
    struct dataset *keys; /* a key per row; NULL: those of the rows, or row numbers from first_key on */
    uint64_t first_key;
    struct vectors_kind kind;  /* of the index */
    uint64_t row_limit;        /* only so many rows; UINT64_MAX: all */
    uint64_t checkpoint_every; /* rows between checkpoints; 0: only at the end */
    uint32_t thread_count;     /* 0: one per processor */
    bool as_batch;             /* of a build: all rows are one batch, which is built in bulk */
    bool skip_existing;        /* pass over keys that the index has */
};

struct ingest_result {
    uint64_t row_count;      /* rows to be handled in all */
    uint64_t inserted_count; /* upsert: those that have replaced others, too */
    uint64_t replaced_count;
    uint64_t skipped_count;
    bool is_upsert;
    double insert_seconds;     /* all of the run: reading, inserting, checkpoints on the way */
    double checkpoint_seconds; /* the last checkpoint */
    bool interrupted;
    bool all_in_log; /* all rows are durable, and only the checkpoint at the end has failed */
};

/* Reads rows in batches of bounded size and inserts them, then makes a checkpoint; so it does when it is interrupted or
 * a batch fails, to keep what is there. Returns CLI_OK, CLI_INTERRUPTED (not reported: the caller knows how to
 * continue), or a reported failure. *result is filled in every case. */
int ingest_run(struct cli *cli, rhumb_index *index, struct dataset *rows, const struct ingest_options *options,
               struct ingest_result *result);

/* Makes an index at `path` of rows that memory cannot hold (rhumb__index_build), of which `options` has mode, keys,
 * kind, row_limit and thread_count. CLI_OK, CLI_INTERRUPTED (not reported), or a reported failure: then there is no
 * file. With CLI_OK and *divided false there is none either, as they have to be inserted one by one. *result is filled
 * in every case. */
int ingest_build(struct cli *cli, const char *path, const rhumb_index_options *index_options, struct dataset *rows,
                 const struct ingest_options *options, struct ingest_result *result, bool *divided);

/* Rows of the file that the index ends with already, under consecutive keys: all rows, or the batches of an earlier run
 * that did not come to its end. 0: none. They are looked for where the last of the keys below `key_next` would be.
 * CLI_OK or a reported failure. */
int ingest_find_tail(struct cli *cli, rhumb_index *index, struct dataset *rows, const struct ingest_options *options,
                     uint64_t key_next, uint64_t *row_count_out);

/* Opens the file of --keys and checks that it has a key for each of `row_count` rows. */
int ingest_open_keys(struct cli *cli, const char *path, uint64_t row_count, struct dataset **keys_out);

/* Writes the result as text or JSON members. `index` may be NULL when its file's size is not to be had. */
void ingest_report(struct cli *cli, const struct ingest_result *result, rhumb_index *index);

#endif /* RHUMB_CLI_INGEST_H */
