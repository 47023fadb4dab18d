/* frame_reader.h - finds the versions that a file holds. The one reader of superblocks: opening uses its strict modes,
 * repair the lenient one, and both then read the version's directory with directory.h.
 */
#ifndef RHUMB_STORAGE_FRAME_FRAME_READER_H
#define RHUMB_STORAGE_FRAME_FRAME_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/superblock.h"
#include "storage/io/io.h"

/* The valid superblocks of a file, the newest first. */
typedef struct rhumb__frame_versions {
    rhumb__superblock items[RHUMB__SUPERBLOCK_COUNT];
    uint64_t offsets[RHUMB__SUPERBLOCK_COUNT]; /* of the copies that they were read from */
    uint32_t count;
    uint64_t file_bytes; /* the length of the file after they were read */
    bool newest_lost;    /* the other superblock is damaged, and may have been that of a newer version */
} rhumb__frame_versions;

/* Reads all copies of both superblocks. A copy is valid if its magic and its checksum are right; the valid copy of the
 * higher epoch stands for its superblock.
 *
 * The strict modes (READ, WRITE, PARTIAL) check the newest version with rhumb__superblock_check and fail with its
 * status: the newest version is never passed over for an older one, which would silently serve stale data. An older
 * version is found only if it is sound and its epoch is the one before the newest.
 *
 * LENIENT returns every version that has a valid copy, unchecked; see rhumb__frame_check.
 *
 * RHUMB_E_NOT_AN_INDEX  the file has no superblock
 * RHUMB_E_VERSION       no copy is valid, and the file is of another format version
 * RHUMB_E_CORRUPT       no copy is valid
 * RHUMB_E_IO            a copy cannot be read; LENIENT: and none is valid */
rhumb_status rhumb__frame_find(rhumb__io *io, rhumb__frame_mode mode, rhumb__frame_versions *found) RHUMB_NODISCARD;

/* Checks version number `index` of those that LENIENT found. The statuses of rhumb__superblock_check. */
rhumb_status rhumb__frame_check(const rhumb__io *io, const rhumb__frame_versions *found,
                                uint32_t index) RHUMB_NODISCARD;

/* Whether a failure to read means that the file is damaged or cut short there, so that a lenient reader continues; all
 * other failures end the reading. */
static inline bool rhumb__frame_is_damage(rhumb_status status) {
    return status == RHUMB_E_IO || status == RHUMB_E_TRUNCATED;
}

#endif /* RHUMB_STORAGE_FRAME_FRAME_READER_H */
