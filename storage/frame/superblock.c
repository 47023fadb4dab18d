/* superblock.c - see superblock.h.
 *
 * Everything here works on bytes that anyone may have written: each number is checked against what bounds it. Holds no
 * state and no lock.
 */
#include "storage/frame/superblock.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/status.h"

static uint32_t superblock_crc(const rhumb__superblock *superblock) {
    return rhumb__crc32c_header(superblock, sizeof *superblock, offsetof(rhumb__superblock, crc));
}

bool rhumb__superblock_is_valid(const rhumb__superblock *superblock) {
    return superblock->magic == RHUMB__MAGIC && superblock->crc == superblock_crc(superblock);
}

static rhumb_status check_features(const rhumb__superblock *superblock, bool for_writing, const char *path,
                                   uint64_t offset) {
    const uint64_t unknown_incompatible = superblock->features_incompatible & ~RHUMB__FEATURES_INCOMPATIBLE_KNOWN;
    if (unknown_incompatible != 0) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__superblock, features_incompatible),
                              "the index uses features that this version does not know (bits 0x%llx)",
                              (unsigned long long)unknown_incompatible);
    }
    const uint64_t unknown_read = superblock->features_read & ~RHUMB__FEATURES_READ_KNOWN;
    if (for_writing && unknown_read != 0) {
        return rhumb__fail_at(
            RHUMB_E_READONLY, path, offset + offsetof(rhumb__superblock, features_read),
            "the index uses features (bits 0x%llx) that this version can only read; open it read-only",
            (unsigned long long)unknown_read);
    }
    return RHUMB_OK;
}

static rhumb_status check_epoch(const rhumb__superblock *superblock, rhumb__frame_mode mode, const char *path,
                                uint64_t offset) {
    const uint64_t epoch = superblock->epoch;
    const uint32_t index = rhumb__superblock_index_at(offset);
    const bool misplaced = mode != RHUMB__FRAME_LENIENT && epoch % RHUMB__SUPERBLOCK_COUNT != index;
    if (!misplaced && epoch != 0 && epoch <= RHUMB__EPOCH_MAX) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__superblock, epoch),
                          "epoch %llu in superblock %u", (unsigned long long)epoch, index);
}

/* The length that the superblock asks for, and the directory within it. */
static rhumb_status check_length(const rhumb__superblock *superblock, rhumb__frame_mode mode, uint64_t file_bytes,
                                 const char *path, uint64_t offset) {
    const bool may_be_short = mode == RHUMB__FRAME_PARTIAL || mode == RHUMB__FRAME_LENIENT;
    if (!may_be_short && superblock->file_bytes > file_bytes) {
        return rhumb__fail_at(RHUMB_E_TRUNCATED, path, offset + offsetof(rhumb__superblock, file_bytes),
                              "the file should have at least %llu bytes, it has %llu",
                              (unsigned long long)superblock->file_bytes, (unsigned long long)file_bytes);
    }
    if (superblock->file_bytes > INT64_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__superblock, file_bytes),
                              "a file of %llu bytes cannot exist", (unsigned long long)superblock->file_bytes);
    }
    const uint64_t directory_offset = superblock->directory_offset;
    if (directory_offset % RHUMB__BLOCK_BYTES != 0 || directory_offset < RHUMB__CONTENT_OFFSET ||
        directory_offset > superblock->file_bytes ||
        superblock->directory_bytes > superblock->file_bytes - directory_offset ||
        superblock->root_bytes > superblock->directory_bytes ||
        superblock->root_bytes < sizeof(rhumb__directory_header)) {
        return rhumb__fail_at(
            RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__superblock, directory_offset),
            "the directory (%llu bytes at %llu, root of %u) does not lie within the file's %llu bytes",
            (unsigned long long)superblock->directory_bytes, (unsigned long long)directory_offset,
            superblock->root_bytes, (unsigned long long)superblock->file_bytes);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__superblock_refuse(uint32_t format_version, const char *path, uint64_t offset) {
    RHUMB_ASSERT_DEBUG(format_version != RHUMB__FORMAT_VERSION);
    const bool is_older = format_version < RHUMB__FORMAT_VERSION;
    return rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__superblock, format_version),
                          "format version: expected %u, found %u: %s", RHUMB__FORMAT_VERSION, format_version,
                          is_older ? "an older rhumb wrote the file and can still read the vectors; build the index "
                                     "again from them with this one"
                                   : "a newer rhumb wrote the file, and is needed to open it");
}

rhumb_status rhumb__superblock_check(const rhumb__superblock *superblock, rhumb__frame_mode mode, uint64_t file_bytes,
                                     const char *path, uint64_t offset) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(rhumb__superblock_is_valid(superblock));
    if (superblock->format_version != RHUMB__FORMAT_VERSION) {
        return rhumb__superblock_refuse(superblock->format_version, path, offset);
    }
    RHUMB_TRY(check_features(superblock, mode == RHUMB__FRAME_WRITE, path, offset));
    RHUMB_TRY(check_epoch(superblock, mode, path, offset));
    if (superblock->block_bytes != RHUMB__BLOCK_BYTES) {
        status = rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__superblock, block_bytes),
                                "block size: expected %u, found %u", RHUMB__BLOCK_BYTES, superblock->block_bytes);
        goto done;
    }
    status = check_length(superblock, mode, file_bytes, path, offset);
done:
    return status;
}

static void complete(rhumb__superblock *superblock) {
    superblock->magic = RHUMB__MAGIC;
    superblock->format_version = RHUMB__FORMAT_VERSION;
    superblock->block_bytes = RHUMB__BLOCK_BYTES;
    superblock->crc = superblock_crc(superblock);
}

rhumb_status rhumb__superblock_write(rhumb__io *io, rhumb__superblock *superblock) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(superblock->epoch > 0 && superblock->epoch <= RHUMB__EPOCH_MAX);
    const uint32_t index = (uint32_t)(superblock->epoch % RHUMB__SUPERBLOCK_COUNT);
    complete(superblock);
    RHUMB_TRY(rhumb__io_write(io, superblock, sizeof *superblock, rhumb__superblock_offset(index, 0)));
    RHUMB_TRY(rhumb__io_sync(io));
    RHUMB_TRY(rhumb__io_write(io, superblock, sizeof *superblock, rhumb__superblock_offset(index, 1)));
    status = rhumb__io_drain(io);
done:
    return status;
}

rhumb_status rhumb__superblock_write_none(rhumb__io *io, const rhumb__superblock *superblock) {
    rhumb__superblock none = {.creator_version = superblock->creator_version,
                              .created_unix_ns = superblock->created_unix_ns};
    rhumb_status status = RHUMB_OK;
    memcpy(none.uuid, superblock->uuid, sizeof none.uuid);
    complete(&none);
    for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT && status == RHUMB_OK; copy++) {
        status = rhumb__io_write(io, &none, sizeof none, rhumb__superblock_offset(0, copy));
    }
    const rhumb_status drained = rhumb__io_drain(io);
    return status != RHUMB_OK ? status : drained;
}
