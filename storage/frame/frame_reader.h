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
    uint64_t file_bytes;     /* the length of the file after they were read */
    bool newest_lost;        /* the other superblock has no valid copy, and may have been that of a newer version */
    uint32_t damaged_count;  /* copies that are not valid */
    uint64_t damaged_offset; /* of the first of them */
} rhumb__frame_versions;

/* Reads all copies of both superblocks. A copy is valid if its magic and its checksum are right; of a superblock's
 * valid copies that of the higher epoch stands for it, and of one epoch that of the higher stamp.
 *
 * The strict modes (READ, WRITE, PARTIAL) check the newest version with rhumb__superblock_check and fail with its
 * status: the newest version is never passed over for an older one, which would silently serve stale data. For the same
 * reason they fail if the newest version may be the one that is lost. An older version is found only if it is sound and
 * its epoch is the one before the newest.
 *
 * LENIENT returns every version that has a valid copy, unchecked; see rhumb__frame_check.
 *
 * RHUMB_E_NOT_AN_INDEX  the file has no superblock
 * RHUMB_E_VERSION       no copy is valid, and the file is of another format version
 * RHUMB_E_CORRUPT       no copy of a version is valid; strict: or the newest version may be lost
 * RHUMB_E_IO            a copy cannot be read; LENIENT: and none is valid */
rhumb_status rhumb__frame_find(rhumb__io *io, rhumb__frame_mode mode, rhumb__frame_versions *found) RHUMB_NODISCARD;

/* Passes a message to the program if copies are not valid that other copies replace: the next damage may hit those. A
 * write that a crash has interrupted leaves such a copy too, until a writer opens the file. */
void rhumb__frame_warn(const rhumb__io *io, const rhumb__frame_versions *found);

/* Checks version number `index` of those that LENIENT found. The statuses of rhumb__superblock_check. */
rhumb_status rhumb__frame_check(const rhumb__io *io, const rhumb__frame_versions *found,
                                uint32_t index) RHUMB_NODISCARD;

/* Whether a failure to read means that the file is damaged or cut short there, so that a lenient reader continues; all
 * other failures end the reading. */
static inline bool rhumb__frame_is_damage(rhumb_status status) {
    return status == RHUMB_E_IO || status == RHUMB_E_TRUNCATED;
}

#endif /* RHUMB_STORAGE_FRAME_FRAME_READER_H */
