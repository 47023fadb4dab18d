/* directory.h - the sections of a version of the file and their positions, in memory and as bytes.
 *
 * A plain value without a lock; a directory belongs to one thread.
 */
#ifndef RHUMB_STORAGE_FRAME_DIRECTORY_H
#define RHUMB_STORAGE_FRAME_DIRECTORY_H

#include <stdint.h>

#include "storage/frame/extent_list.h"
#include "storage/frame/format.h"
#include "storage/io/io.h"

typedef enum rhumb__section_kind {
    RHUMB__SECTION_APPEND = 1, /* rows never change once published; it grows at its end */
    RHUMB__SECTION_MUTABLE = 2 /* rows change; a checkpoint writes changed chunks to new blocks */
} rhumb__section_kind;

typedef struct rhumb__directory_entry {
    rhumb__section_record record; /* as in the file that it was read from or is going to */
    rhumb__extent_list extents;
} rhumb__directory_entry;

typedef struct rhumb__directory {
    uint64_t epoch;
    uint32_t section_count;
    uint32_t checksum_crc;
    uint64_t checksum_count;
    uint64_t checksum_offset; /* of the first chunk checksum in the file */
    uint64_t file_offset;     /* of the directory itself, and the bytes of the blocks that it occupies */
    uint64_t file_bytes;
    rhumb__kept_version *kept; /* by ascending epoch; of a directory to be encoded, the caller's */
    uint32_t kept_count;
    uint32_t patch_count; /* the patches, as in the header */
    uint32_t patch_crc;
    uint64_t patch_offset;
    uint64_t patch_bytes;
    rhumb__directory_entry entries[RHUMB__SECTION_COUNT_MAX];
} rhumb__directory;

/* Reads the root of the directory that `superblock` points to and checks everything in it: checksum, counts, kinds,
 * sizes, that every extent lies in the file and that no two overlap. Does not read the chunk checksums. On success the
 * caller owns *directory_out (rhumb__directory_free). RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__directory_read(rhumb__io *io, const rhumb__superblock *superblock,
                                   rhumb__directory **directory_out) RHUMB_NODISCARD;

/* Reads the chunk checksums that follow the root, and compares them with their own checksum. *checksums_out is the
 * caller's (rhumb__free), NULL when there are none. RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__directory_read_checksums(rhumb__io *io, const rhumb__directory *directory,
                                             uint32_t **checksums_out) RHUMB_NODISCARD;

/* The entry of the section with that id, or NULL. */
rhumb__directory_entry *rhumb__directory_find(rhumb__directory *directory, uint32_t id);

/* Encodes the root (header, records, extents, kept versions) of a directory with these entries into *root_out, which is
 * the caller's (rhumb__free). Fills in the fields of the records on extents and checksums. RHUMB_E_FULL,
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__directory_encode(rhumb__directory *directory, uint8_t **root_out,
                                     uint32_t *root_bytes_out) RHUMB_NODISCARD;

/* The number of a section's chunks that hold published bytes. */
uint64_t rhumb__section_record_chunk_count(const rhumb__section_record *record);

/* The ranges of the file that this version refers to, including its own directory and its patches, but not what its
 * kept versions refer to: ascending, not overlapping; *ranges_out is the caller's (rhumb__free). RHUMB_E_NOMEM,
 * and RHUMB_E_CORRUPT when two overlap. */
rhumb_status rhumb__directory_ranges(const rhumb__directory *directory, const char *path, rhumb__extent **ranges_out,
                                     uint32_t *count_out) RHUMB_NODISCARD;

/* NULL is fine. */
void rhumb__directory_free(rhumb__directory *directory);

#endif /* RHUMB_STORAGE_FRAME_DIRECTORY_H */
