/* frame_reader.c - see frame_reader.h.
 *
 * Reads through the io backend, while a writer may be replacing a superblock: the checksum of a copy tells a complete
 * one from one that is being written. The writer never writes both copies of a superblock at once, but a reading may
 * meet the one after the other; so a superblock counts as damaged only if a second reading finds the same bytes. Holds
 * no state and no lock.
 */
#include "storage/frame/frame_reader.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/log_message.h"
#include "base/status.h"

/* A reader that finds a superblock without a valid copy reads again, so often at most. */
#define READ_COUNT_MAX 8

/* The copies as they are in the file; zeros where the file ends before. */
typedef struct superblock_copies {
    rhumb__superblock items[RHUMB__SUPERBLOCK_COUNT][RHUMB__SUPERBLOCK_COPY_COUNT];
    rhumb_error unreadable; /* LENIENT: the first failure to read one; status RHUMB_OK: none */
} superblock_copies;

static rhumb_status read_superblock_copy(rhumb__io *io, uint64_t file_bytes, uint64_t offset, rhumb__superblock *copy) {
    if (offset >= file_bytes) return RHUMB_OK;
    return rhumb__io_read(io, copy, rhumb__min_u64(file_bytes - offset, sizeof *copy), offset);
}

static rhumb_status read_superblock_copies(rhumb__io *io, bool lenient, superblock_copies *copies) {
    uint64_t file_bytes = 0;
    rhumb_error before;
    rhumb__error_save(&before);
    memset(copies, 0, sizeof *copies);
    rhumb_status status = rhumb__io_size(io, &file_bytes);
    if (status != RHUMB_OK) return status;
    for (uint32_t i = 0; i < RHUMB__SUPERBLOCK_COUNT * RHUMB__SUPERBLOCK_COPY_COUNT; i++) {
        const uint32_t index = i / RHUMB__SUPERBLOCK_COPY_COUNT;
        const uint32_t copy = i % RHUMB__SUPERBLOCK_COPY_COUNT;
        rhumb__superblock *superblock = &copies->items[index][copy];
        status = read_superblock_copy(io, file_bytes, rhumb__superblock_offset(index, copy), superblock);
        if (status == RHUMB_OK) continue;
        if (!lenient || !rhumb__frame_is_damage(status)) return status;
        if (copies->unreadable.status == RHUMB_OK) rhumb__error_save(&copies->unreadable);
        memset(superblock, 0xFF, sizeof *superblock); /* neither valid nor blank */
        rhumb__error_restore(&before);
    }
    return RHUMB_OK;
}

static bool has_valid_copy(const superblock_copies *copies, uint32_t index) {
    bool valid = false;
    for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
        valid = valid || rhumb__superblock_is_valid(&copies->items[index][copy]);
    }
    return valid;
}

static bool all_superblocks_valid(const superblock_copies *copies) {
    bool valid = true;
    for (uint32_t i = 0; i < RHUMB__SUPERBLOCK_COUNT; i++) valid = valid && has_valid_copy(copies, i);
    return valid;
}

/* Reads until each superblock has a valid copy, or two readings in succession have found the same bytes. */
static rhumb_status read_settled_copies(rhumb__io *io, bool lenient, superblock_copies *copies) {
    superblock_copies before;
    rhumb_status status = read_superblock_copies(io, lenient, copies);
    for (uint32_t i = 1; status == RHUMB_OK && i < READ_COUNT_MAX && !all_superblocks_valid(copies); i++) {
        memcpy(before.items, copies->items, sizeof before.items);
        status = read_superblock_copies(io, lenient, copies);
        if (status == RHUMB_OK && memcmp(before.items, copies->items, sizeof before.items) == 0) break;
    }
    return status;
}

/* The reason why a file has no version. */
static rhumb_status explain_no_superblock(const superblock_copies *copies, const char *path) {
    bool all_zero = true;
    bool has_magic = false;
    uint32_t version = RHUMB__FORMAT_VERSION;
    if (copies->unreadable.status != RHUMB_OK) {
        rhumb__error_restore(&copies->unreadable);
        return copies->unreadable.status;
    }
    for (uint32_t i = 0; i < RHUMB__SUPERBLOCK_COUNT * RHUMB__SUPERBLOCK_COPY_COUNT; i++) {
        const rhumb__superblock *superblock =
            &copies->items[i / RHUMB__SUPERBLOCK_COPY_COUNT][i % RHUMB__SUPERBLOCK_COPY_COUNT];
        all_zero = all_zero && superblock->magic == 0;
        if (superblock->magic != RHUMB__MAGIC) continue;
        has_magic = true;
        if (superblock->format_version != RHUMB__FORMAT_VERSION) version = superblock->format_version;
    }
    if (all_zero) {
        return rhumb__fail_at(RHUMB_E_NOT_AN_INDEX, path, 0,
                              "no superblock: not a rhumb index, or one whose creation was interrupted");
    }
    if (!has_magic) {
        return rhumb__fail_at(RHUMB_E_NOT_AN_INDEX, path, 0, "not a rhumb index: the file begins with other bytes");
    }
    if (version != RHUMB__FORMAT_VERSION) return rhumb__superblock_refuse(version, path, 0);
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, 0,
                          "all superblocks are damaged: none of a version has the checksum it should have");
}

/* Whether a copy is more recent than another one of the same superblock. */
static bool is_newer(const rhumb__superblock *a, const rhumb__superblock *b) {
    return a->epoch > b->epoch || (a->epoch == b->epoch && a->stamp > b->stamp);
}

/* Adds the valid copy of a superblock, if there is one, to the versions found, which stay sorted. One of epoch 0 stands
 * for no version. */
static void add_version(const superblock_copies *copies, uint32_t index, rhumb__frame_versions *found) {
    const rhumb__superblock *best = NULL;
    uint64_t offset = 0;
    for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
        const rhumb__superblock *candidate = &copies->items[index][copy];
        if (!rhumb__superblock_is_valid(candidate)) {
            if (found->damaged_count++ == 0) found->damaged_offset = rhumb__superblock_offset(index, copy);
            continue;
        }
        if (best != NULL && !is_newer(candidate, best)) continue;
        best = candidate;
        offset = rhumb__superblock_offset(index, copy);
    }
    if (best == NULL || (best->epoch == 0 && index == 0)) return;
    RHUMB_ASSERT_DEBUG(found->count < RHUMB__SUPERBLOCK_COUNT);
    uint32_t at = found->count++;
    for (; at > 0 && found->items[at - 1].epoch < best->epoch; at--) {
        found->items[at] = found->items[at - 1];
        found->offsets[at] = found->offsets[at - 1];
    }
    found->items[at] = *best;
    found->offsets[at] = offset;
}

/* Whether the superblock other than that of the only version may have been of a newer version. If it is damaged, it may
 * still name its epoch: damage rarely hits that very field. If it stands for no version, there has been one version
 * only. */
static bool may_be_newer(const superblock_copies *copies, uint32_t index, uint64_t epoch) {
    bool was_older = false;
    if (has_valid_copy(copies, index)) return epoch != 1;
    for (uint32_t copy = 0; copy < RHUMB__SUPERBLOCK_COPY_COUNT; copy++) {
        const rhumb__superblock *superblock = &copies->items[index][copy];
        was_older = was_older || (superblock->magic == RHUMB__MAGIC && superblock->epoch + 1 == epoch);
    }
    return !was_older;
}

/* Keeps the older version only if it is sound and directly precedes the newest. */
static void check_previous(const rhumb__io *io, rhumb__frame_mode mode, rhumb__frame_versions *found) {
    rhumb_error before;
    if (found->count < 2) return;
    found->count = 1;
    if (found->items[1].epoch + 1 != found->items[0].epoch) return;
    rhumb__error_save(&before);
    if (rhumb__superblock_check(&found->items[1], mode, found->file_bytes, io->path, found->offsets[1]) == RHUMB_OK) {
        found->count = 2;
    }
    rhumb__error_restore(&before);
}

void rhumb__frame_warn(const rhumb__io *io, const rhumb__frame_versions *found) {
    if (found->damaged_count == 0) return;
    rhumb__log_message(RHUMB_LOG_WARNING, io->path,
                       "%u copies of superblocks are damaged or were being written when a process or the power failed, "
                       "the first at byte %llu; the other copies are whole and are used",
                       found->damaged_count, (unsigned long long)found->damaged_offset);
}

static rhumb_status fail_newest_lost(const rhumb__io *io, uint32_t lost) {
    return rhumb__fail_at(
        RHUMB_E_CORRUPT, io->path, rhumb__superblock_offset(lost, 0),
        "superblock %u is damaged, in both copies, and may have been that of a newer version than the "
        "one that is left; 'rhumb repair' makes a new index of what is intact",
        lost);
}

rhumb_status rhumb__frame_find(rhumb__io *io, rhumb__frame_mode mode, rhumb__frame_versions *found) {
    rhumb_status status;
    superblock_copies copies;
    uint32_t lost = 0;
    memset(found, 0, sizeof *found);
    RHUMB_TRY(read_settled_copies(io, mode == RHUMB__FRAME_LENIENT, &copies));
    /* Asked again: a writer may have made the file longer before it wrote the superblock that was just read. */
    RHUMB_TRY(rhumb__io_size(io, &found->file_bytes));
    for (uint32_t index = 0; index < RHUMB__SUPERBLOCK_COUNT; index++) add_version(&copies, index, found);
    if (found->count == 0) return explain_no_superblock(&copies, io->path);
    if (found->count == 1) {
        lost = rhumb__superblock_index_at(found->offsets[0]) == 0 ? 1 : 0;
        found->newest_lost = may_be_newer(&copies, lost, found->items[0].epoch);
    }
    if (mode == RHUMB__FRAME_LENIENT) return RHUMB_OK;
    check_previous(io, mode, found);
    RHUMB_TRY(rhumb__superblock_check(&found->items[0], mode, found->file_bytes, io->path, found->offsets[0]));
    if (found->newest_lost) return fail_newest_lost(io, lost);
done:
    return status;
}

rhumb_status rhumb__frame_check(const rhumb__io *io, const rhumb__frame_versions *found, uint32_t index) {
    RHUMB_ASSERT_DEBUG(index < found->count);
    return rhumb__superblock_check(&found->items[index], RHUMB__FRAME_LENIENT, found->file_bytes, io->path,
                                   found->offsets[index]);
}
