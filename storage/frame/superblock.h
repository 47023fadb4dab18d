/* superblock.h - the root of a version of the file. Publishing a checkpoint is writing one of these.
 *
 * Two slots are used in turn, so the version before stays whole until the new one is; each slot has two copies, so that
 * a damaged sector does not silently turn the clock back by one version.
 */
#ifndef RHUMB_STORAGE_FRAME_SUPERBLOCK_H
#define RHUMB_STORAGE_FRAME_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/format.h"
#include "storage/io/io.h"

/* The feature bits that this version of rhumb knows. */
#define RHUMB__FEATURE_READ_METADATA UINT64_C(1) /* there are the user's own bytes, which a writer must keep */
#define RHUMB__FEATURES_READ_KNOWN RHUMB__FEATURE_READ_METADATA
#define RHUMB__FEATURES_INCOMPATIBLE_KNOWN UINT64_C(0)

/* Reads all copies. `newest` is the valid one with the highest epoch; `previous` that of the other slot, *has_previous
 * tells whether it is valid and of the epoch before. Checks everything that either says about itself: magic, version,
 * checksum, block size, features, epoch, and that the directory lies within the file. RHUMB_E_NOT_AN_INDEX,
 * RHUMB_E_VERSION, RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_READONLY (features that forbid writing), RHUMB_E_IO. */
rhumb_status rhumb__superblock_read(rhumb__io *io, bool for_writing, rhumb__superblock *newest,
                                    rhumb__superblock *previous, bool *has_previous) RHUMB_NODISCARD;

/* The same for reading a file whose end may be missing: nothing is said of its length. What lies behind the end is the
 * caller's care. */
rhumb_status rhumb__superblock_read_short(rhumb__io *io, rhumb__superblock *newest, rhumb__superblock *previous,
                                          bool *has_previous) RHUMB_NODISCARD;

/* Computes the checksum and writes both copies of the slot that the epoch belongs to. Not synced. `superblock` must
 * stay unchanged until the next drain or sync. */
rhumb_status rhumb__superblock_write(rhumb__io *io, rhumb__superblock *superblock) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_FRAME_SUPERBLOCK_H */
