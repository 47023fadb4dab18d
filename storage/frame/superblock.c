/* superblock.c - see superblock.h.
 *
 * A superblock counts if and only if its magic and its CRC are right. One that counts but says something impossible is
 * not passed over in favour of an older one: that would answer from the past without a word. The open fails instead.
 */
#include "storage/frame/superblock.h"

#include <string.h>

#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

static uint64_t copy_offset(uint32_t slot, uint32_t copy) {
    return (uint64_t)slot * RHUMB__SUPERBLOCK_SLOT_STRIDE + (uint64_t)copy * RHUMB__SUPERBLOCK_COPY_STRIDE;
}

static uint32_t superblock_crc(const rhumb__superblock *superblock) {
    const uint32_t zero = 0;
    const uint8_t *bytes = (const uint8_t *)superblock;
    const size_t crc_offset = offsetof(rhumb__superblock, crc);
    uint32_t crc = rhumb__crc32c(0, bytes, crc_offset);
    crc = rhumb__crc32c(crc, &zero, sizeof zero);
    return rhumb__crc32c(crc, bytes + crc_offset + sizeof zero, sizeof *superblock - crc_offset - sizeof zero);
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

static rhumb_status check_content(const rhumb__superblock *superblock, bool for_writing, uint64_t file_bytes,
                                  const char *path, uint64_t offset) {
    if (superblock->format_version != RHUMB__FORMAT_VERSION) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__superblock, format_version),
                              "format version: expected %u, found %u", RHUMB__FORMAT_VERSION,
                              superblock->format_version);
    }
    rhumb_status status = check_features(superblock, for_writing, path, offset);
    if (status != RHUMB_OK) return status;
    const uint64_t slot = offset / RHUMB__SUPERBLOCK_SLOT_STRIDE % RHUMB__SUPERBLOCK_SLOT_COUNT;
    if (superblock->epoch % RHUMB__SUPERBLOCK_SLOT_COUNT != slot || superblock->epoch == 0 ||
        superblock->epoch > RHUMB__EPOCH_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__superblock, epoch),
                              "superblock of epoch %llu in slot %llu", (unsigned long long)superblock->epoch,
                              (unsigned long long)slot);
    }
    if (superblock->block_bytes != RHUMB__BLOCK_BYTES) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__superblock, block_bytes),
                              "block size: expected %u, found %u", RHUMB__BLOCK_BYTES, superblock->block_bytes);
    }
    if (superblock->file_bytes > file_bytes) {
        return rhumb__fail_at(RHUMB_E_TRUNCATED, path, offset + offsetof(rhumb__superblock, file_bytes),
                              "the file should have at least %llu bytes, it has %llu",
                              (unsigned long long)superblock->file_bytes, (unsigned long long)file_bytes);
    }
    const uint64_t directory_offset = superblock->directory_offset;
    if (directory_offset % RHUMB__BLOCK_BYTES != 0 || directory_offset < RHUMB__BLOCK_BYTES ||
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

/* What the user is told when no copy counts. */
static rhumb_status explain_none_valid(rhumb__superblock copies[][RHUMB__SUPERBLOCK_COPY_COUNT], const char *path) {
    bool all_zero = true;
    bool has_magic = false;
    bool has_second = false; /* anything where version 2 belongs */
    uint32_t version = RHUMB__FORMAT_VERSION;
    for (uint32_t slot = 0; slot < RHUMB__SUPERBLOCK_SLOT_COUNT; slot++) {
        for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
            all_zero = all_zero && copies[slot][copy].magic == 0;
            if (copies[slot][copy].magic != RHUMB__MAGIC) continue;
            has_magic = true;
            has_second = has_second || slot == 2 % RHUMB__SUPERBLOCK_SLOT_COUNT;
            version = copies[slot][copy].format_version;
        }
    }
    if (all_zero) {
        return rhumb__fail_at(RHUMB_E_NOT_AN_INDEX, path, 0,
                              "no superblock: not a rhumb index, or one whose creation was interrupted");
    }
    if (!has_magic) {
        return rhumb__fail_at(RHUMB_E_NOT_AN_INDEX, path, 0, "not a rhumb index: the file begins with other bytes");
    }
    if (version != RHUMB__FORMAT_VERSION) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offsetof(rhumb__superblock, format_version),
                              "format version: expected %u, found %u", RHUMB__FORMAT_VERSION, version);
    }
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, 0,
                          "all superblocks are damaged: none has the checksum it should have%s",
                          has_second ? "" : ", unless the index's creation was interrupted before it returned");
}

/* The valid copy of a slot, if there is one. */
static bool pick_copy(const rhumb__superblock *copies, uint32_t slot, rhumb__superblock *superblock,
                      uint64_t *offset_out) {
    for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
        const rhumb__superblock *candidate = &copies[copy];
        if (candidate->magic != RHUMB__MAGIC || candidate->crc != superblock_crc(candidate)) continue;
        if (*offset_out != RHUMB_OFFSET_NONE && candidate->epoch <= superblock->epoch) continue;
        *superblock = *candidate;
        *offset_out = copy_offset(slot, copy);
    }
    return *offset_out != RHUMB_OFFSET_NONE;
}

static rhumb_status read_superblocks(rhumb__io *io, bool for_writing, bool may_be_short, rhumb__superblock *newest,
                                     rhumb__superblock *previous, bool *has_previous) {
    rhumb__superblock copies[RHUMB__SUPERBLOCK_SLOT_COUNT][RHUMB__SUPERBLOCK_COPY_COUNT];
    uint64_t file_bytes = 0;
    rhumb_status status = rhumb__io_size(io, &file_bytes);
    if (status != RHUMB_OK) return status;
    memset(copies, 0, sizeof copies);
    for (uint32_t slot = 0; slot < RHUMB__SUPERBLOCK_SLOT_COUNT; slot++) {
        for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
            const uint64_t offset = copy_offset(slot, copy);
            if (offset >= file_bytes) continue;
            const uint64_t bytes = rhumb__min_u64(file_bytes - offset, sizeof copies[slot][copy]);
            status = rhumb__io_read(io, &copies[slot][copy], bytes, offset);
            if (status != RHUMB_OK) return status;
        }
    }
    /* Asked again: a writer may have made the file longer before it wrote the superblock that was read just now. */
    status = rhumb__io_size(io, &file_bytes);
    if (status != RHUMB_OK) return status;
    if (may_be_short) file_bytes = UINT64_MAX;

    rhumb__superblock slots[RHUMB__SUPERBLOCK_SLOT_COUNT];
    uint64_t offsets[RHUMB__SUPERBLOCK_SLOT_COUNT] = {RHUMB_OFFSET_NONE, RHUMB_OFFSET_NONE};
    const bool has_0 = pick_copy(copies[0], 0, &slots[0], &offsets[0]);
    const bool has_1 = pick_copy(copies[1], 1, &slots[1], &offsets[1]);
    if (!has_0 && !has_1) return explain_none_valid(copies, io->path);

    const uint32_t newest_slot = !has_0 || (has_1 && slots[1].epoch > slots[0].epoch) ? 1 : 0;
    *newest = slots[newest_slot];
    *has_previous = has_0 && has_1 && slots[1 - newest_slot].epoch + 1 == newest->epoch;
    if (*has_previous) {
        *previous = slots[1 - newest_slot];
        rhumb_error before;
        rhumb__error_save(&before);
        *has_previous =
            check_content(previous, for_writing, file_bytes, io->path, offsets[1 - newest_slot]) == RHUMB_OK;
        rhumb__error_restore(&before);
    }
    return check_content(newest, for_writing, file_bytes, io->path, offsets[newest_slot]);
}

rhumb_status rhumb__superblock_read(rhumb__io *io, bool for_writing, rhumb__superblock *newest,
                                    rhumb__superblock *previous, bool *has_previous) {
    return read_superblocks(io, for_writing, false, newest, previous, has_previous);
}

rhumb_status rhumb__superblock_read_short(rhumb__io *io, rhumb__superblock *newest, rhumb__superblock *previous,
                                          bool *has_previous) {
    return read_superblocks(io, false, true, newest, previous, has_previous);
}

rhumb_status rhumb__superblock_write(rhumb__io *io, rhumb__superblock *superblock) {
    superblock->magic = RHUMB__MAGIC;
    superblock->format_version = RHUMB__FORMAT_VERSION;
    superblock->block_bytes = RHUMB__BLOCK_BYTES;
    superblock->crc = superblock_crc(superblock);
    const uint32_t slot = (uint32_t)(superblock->epoch % RHUMB__SUPERBLOCK_SLOT_COUNT);
    rhumb_status status = RHUMB_OK;
    for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT && status == RHUMB_OK; copy++) {
        status = rhumb__io_write(io, superblock, sizeof *superblock, copy_offset(slot, copy));
    }
    return status;
}
