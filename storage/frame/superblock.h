/* superblock.h - the root of a version of the file. Publishing a version means writing its superblock.
 *
 * Two superblocks are used in turn, so that the previous version stays complete until the new one is. Each has two
 * copies, which are written one after the other with a sync between: so a crash leaves at least one of them whole, and
 * a superblock without a whole copy has been damaged. This file knows a single superblock; frame_reader.h finds those
 * of a file.
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

/* Where a copy of the superblock of that index lies, and the inverse: the index of the superblock at that offset. */
static inline uint64_t rhumb__superblock_offset(uint32_t index, uint32_t copy) {
    return (uint64_t)index * RHUMB__SUPERBLOCK_STRIDE + (uint64_t)copy * RHUMB__SUPERBLOCK_COPY_STRIDE;
}

static inline uint32_t rhumb__superblock_index_at(uint64_t offset) {
    return (uint32_t)(offset % RHUMB__SUPERBLOCK_COPY_STRIDE / RHUMB__SUPERBLOCK_STRIDE);
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

/* Completes the superblock and writes it: copy 0, a sync, then copy 1, which any later sync makes durable. When it
 * returns RHUMB_OK, the superblock is durable, and so is everything that was written before. The caller has synced
 * since copy 1 of this superblock was last written, so that at each moment one of the copies is whole. RHUMB_E_FATAL,
 * what writing returns. */
rhumb_status rhumb__superblock_write(rhumb__io *io, rhumb__superblock *superblock) RHUMB_NODISCARD;

/* For a new file: writes both copies of superblock 0 with epoch 0, which stand for no version, so that from the first
 * version on a superblock without a valid copy is a damaged one. Drained, not synced. */
rhumb_status rhumb__superblock_write_none(rhumb__io *io, const rhumb__superblock *superblock) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_FRAME_SUPERBLOCK_H */
