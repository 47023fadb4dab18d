/* shard_file.h - the vectors of all shards in a scratch file: those of each shard one after the other, homes before
 * guests, each in the order of the source.
 *
 * How many there are of each is known before the first is written, so every shard has its place. Rows are prepared, and
 * lie in the file as they lie in memory; after all of them come the records of the members.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_FILE_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_FILE_H

#include "engine/upkeep/shards/division.h"
#include "storage/scratch_file.h"

/* What is known of a member besides its row. */
typedef struct rhumb__shard_member {
    uint64_t key;
    uint64_t row; /* of the source */
} rhumb__shard_member;

typedef struct rhumb__shard_file {
    rhumb__scratch_file file;
    const rhumb__space *space;
    const rhumb__division *division;
    uint64_t *begins; /* of each shard its first member, and the end of the last */
} rhumb__shard_file;

typedef struct rhumb__shard_fill {
    const rhumb__row_source *source;
    const char *path; /* next to which the file is; it stays */
    uint64_t memory_bytes;
    rhumb__progress *progress; /* advances by one step for each vector */
} rhumb__shard_fill;

/* Reads all rows once more, and writes them. To be closed also after a failure. RHUMB_E_NOMEM, RHUMB_E_CANCELLED, what
 * reading and rhumb__space_prepare return, RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__shard_file_fill(rhumb__shard_file *file, const rhumb__shard_fill *fill) RHUMB_NODISCARD;

/* Reads the records of all members of a shard. RHUMB_E_IO. */
rhumb_status rhumb__shard_file_members(const rhumb__shard_file *file, uint32_t shard,
                                       rhumb__shard_member *members) RHUMB_NODISCARD;

/* Reads the rows of the first `count` members of a shard, the space's row_stride_bytes each: the one of member i
 * becomes number places[i] of `rows`, or number i where `places` is NULL. RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__shard_file_rows(const rhumb__shard_file *file, uint32_t shard, uint64_t count,
                                    const uint32_t *places, uint8_t *rows) RHUMB_NODISCARD;

void rhumb__shard_file_close(rhumb__shard_file *file);

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_FILE_H */
