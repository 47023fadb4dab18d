/* superblock.h - the root of a version of the file. Publishing a version means writing its superblock.
 *
 * Two superblocks are used in turn, so that the previous version stays complete until the new one is; each has two
 * copies, so that one damaged sector does not silently lose a version. This file knows a single superblock;
 * frame_reader.h finds those of a file.
 */
#ifndef RHUMB_STORAGE_FRAME_SUPERBLOCK_H
#define RHUMB_STORAGE_FRAME_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/format.h"
#include "storage/io/io.h"

/* The feature bits that this version of rhumb knows. */
#define RHUMB__FEATURE_READ_METADATA UINT64_C(1) /* the version has the user's own bytes, which a writer must keep */
#define RHUMB__FEATURES_READ_KNOWN RHUMB__FEATURE_READ_METADATA
#define RHUMB__FEATURES_INCOMPATIBLE_KNOWN UINT64_C(0)

/* How much of the frame (superblocks and directory) has to be right. */
typedef enum rhumb__frame_mode {
    RHUMB__FRAME_READ = 0,    /* everything that reading needs */
    RHUMB__FRAME_WRITE = 1,   /* as READ, and no feature that forbids writing */
    RHUMB__FRAME_PARTIAL = 2, /* as READ, but the file may end before the version does */
    RHUMB__FRAME_LENIENT = 3  /* as PARTIAL, and a copy that is damaged or cannot be read is a finding, not a failure */
} rhumb__frame_mode;

/* Where a copy of the superblock of that index lies. */
static inline uint64_t rhumb__superblock_offset(uint32_t index, uint32_t copy) {
    return (uint64_t)index * RHUMB__SUPERBLOCK_STRIDE + (uint64_t)copy * RHUMB__SUPERBLOCK_COPY_STRIDE;
}

/* Whether a copy is valid: magic and checksum are right. */
bool rhumb__superblock_is_valid(const rhumb__superblock *superblock);

/* Refuses a file of another format version: RHUMB_E_VERSION, with a message that says what the user can do. `offset` is
 * that of the superblock which names it. */
rhumb_status rhumb__superblock_refuse(uint32_t format_version, const char *path, uint64_t offset) RHUMB_NODISCARD;

/* Checks what a valid superblock, read from byte `offset` of the file, says: format version, features, epoch and place,
 * block size, and that the directory lies within a file of `file_bytes`. PARTIAL and LENIENT do not compare the length
 * that the superblock asks for with `file_bytes`; LENIENT does not ask whether the epoch belongs to this place.
 *
 * RHUMB_E_VERSION   of another format version, or with features that this library does not know
 * RHUMB_E_READONLY  WRITE: a feature forbids writing
 * RHUMB_E_CORRUPT   it says something impossible
 * RHUMB_E_TRUNCATED READ, WRITE: the file is shorter than it should be */
rhumb_status rhumb__superblock_check(const rhumb__superblock *superblock, rhumb__frame_mode mode, uint64_t file_bytes,
                                     const char *path, uint64_t offset) RHUMB_NODISCARD;

/* Computes the checksum and queues both copies of the superblock that the epoch belongs to. Not synced. `superblock`
 * must stay unchanged until the next drain or sync. */
rhumb_status rhumb__superblock_write(rhumb__io *io, rhumb__superblock *superblock) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_FRAME_SUPERBLOCK_H */
