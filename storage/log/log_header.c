/* log_header.c - see log_header.h.
 *
 * A header copy is valid if its magic and its checksum are right; the highest generation among the valid copies is the
 * newest header, and one with impossible values is an error, not passed over in favour of an older one. The header of
 * each generation is written in two copies, over those of the generation before the last, so that the previous one
 * stays complete until the new one is; and one copy after the other, so that a crash leaves one of them whole. A header
 * without a valid copy is therefore damage, and if it may have been the newest, the log cannot be used.
 */
#define _GNU_SOURCE
#include "storage/log/log_header.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

static uint64_t copy_offset(uint32_t index, uint32_t copy) {
    return (uint64_t)index * RHUMB__LOG_HEADER_BYTES + (uint64_t)copy * RHUMB__LOG_COPY_STRIDE;
}

static uint32_t header_crc(const rhumb__log_header *header) {
    return rhumb__crc32c_header(header, sizeof *header, offsetof(rhumb__log_header, crc));
}

rhumb__log_owner rhumb__log_owner_of(const rhumb__superblock *superblock, uint64_t checkpoint_lsn) {
    rhumb__log_owner owner = {.checkpoint_lsn = checkpoint_lsn,
                              .history = superblock->history,
                              .log_lsn = superblock->log_lsn,
                              .log_expected = superblock->log_expected != 0};
    memcpy(owner.uuid, superblock->uuid, sizeof owner.uuid);
    return owner;
}

static rhumb_status draw_number(uint64_t *number_out, const char *path) {
    if (getrandom(number_out, sizeof *number_out, 0) == (ssize_t)sizeof *number_out) return RHUMB_OK;
    return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "cannot draw a random number");
}

rhumb_status rhumb__log_header_begin_history(rhumb__log_header *header, uint64_t previous_history, uint64_t lsn,
                                             const char *path) {
    uint64_t history = 0;
    while (history == 0 || history == previous_history) {
        const rhumb_status status = draw_number(&history, path);
        if (status != RHUMB_OK) return status;
    }
    header->history = history;
    header->previous_history = previous_history;
    header->history_lsn = lsn;
    return RHUMB_OK;
}

rhumb_status rhumb__log_header_renew(rhumb__log_header *header, uint64_t lsn, const char *path) {
    const uint32_t seed_before = rhumb__log_seed(header->salt);
    uint64_t salt = 0;
    do {
        const rhumb_status status = draw_number(&salt, path);
        if (status != RHUMB_OK) return status;
    } while (rhumb__log_seed(salt) == seed_before);
    header->salt = salt;
    header->first_offset = RHUMB__LOG_RECORDS_OFFSET;
    header->first_lsn = lsn + 1;
    header->first_previous_crc = 0;
    return RHUMB_OK;
}

/* Checks the values of a valid header, which was read at byte `offset`. */
static rhumb_status check_header(const rhumb__log_header *header, uint64_t offset, const char *path) {
    if (header->format_version != RHUMB__LOG_FORMAT_VERSION) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__log_header, format_version),
                              "format version of the log: expected %u, found %u", RHUMB__LOG_FORMAT_VERSION,
                              header->format_version);
    }
    const uint64_t index = offset % RHUMB__LOG_COPY_STRIDE / RHUMB__LOG_HEADER_BYTES;
    if (header->generation % RHUMB__LOG_HEADER_COUNT != index || header->generation > RHUMB__LOG_GENERATION_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__log_header, generation),
                              "generation %llu in log header %llu", (unsigned long long)header->generation,
                              (unsigned long long)index);
    }
    if (header->first_offset < RHUMB__LOG_RECORDS_OFFSET || header->first_offset % RHUMB__LOG_RECORD_ALIGNMENT != 0 ||
        header->first_offset > INT64_MAX || header->first_lsn == 0 || header->first_lsn > RHUMB__LOG_LSN_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__log_header, first_offset),
                              "the log cannot begin at byte %llu with record %llu",
                              (unsigned long long)header->first_offset, (unsigned long long)header->first_lsn);
    }
    return RHUMB_OK;
}

/* The copies as they are in the file; zeros where it ends before. */
typedef struct header_copies {
    rhumb__log_header items[RHUMB__LOG_HEADER_COUNT][RHUMB__LOG_COPY_COUNT];
    uint64_t file_bytes;
} header_copies;

static rhumb_status explain_no_header(const header_copies *copies, const char *path) {
    for (uint32_t i = 0; i < RHUMB__LOG_HEADER_COUNT * RHUMB__LOG_COPY_COUNT; i++) {
        const rhumb__log_header *header = &copies->items[i / RHUMB__LOG_COPY_COUNT][i % RHUMB__LOG_COPY_COUNT];
        if (header->magic == RHUMB__LOG_MAGIC && header->format_version > RHUMB__LOG_FORMAT_VERSION) {
            return rhumb__fail_at(RHUMB_E_VERSION, path, offsetof(rhumb__log_header, format_version),
                                  "format version of the log: expected %u, found %u", RHUMB__LOG_FORMAT_VERSION,
                                  header->format_version);
        }
    }
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, 0,
                          "the log has %llu bytes but none of its headers has the checksum it should have",
                          (unsigned long long)copies->file_bytes);
}

static rhumb_status read_header_copies(rhumb__io *io, header_copies *copies) {
    rhumb_status status;
    memset(copies, 0, sizeof *copies);
    RHUMB_TRY(rhumb__io_size(io, &copies->file_bytes));
    for (uint32_t i = 0; i < RHUMB__LOG_HEADER_COUNT * RHUMB__LOG_COPY_COUNT; i++) {
        rhumb__log_header *header = &copies->items[i / RHUMB__LOG_COPY_COUNT][i % RHUMB__LOG_COPY_COUNT];
        const uint64_t offset = copy_offset(i / RHUMB__LOG_COPY_COUNT, i % RHUMB__LOG_COPY_COUNT);
        if (offset >= copies->file_bytes) continue;
        RHUMB_TRY(rhumb__io_read(io, header, rhumb__min_u64(copies->file_bytes - offset, sizeof *header), offset));
    }
done:
    return status;
}

/* The valid copy of a header, with the higher generation if both are valid, or NULL. */
static const rhumb__log_header *find_valid_copy(const header_copies *copies, uint32_t index,
                                                rhumb__log_damage *damage) {
    const rhumb__log_header *best = NULL;
    for (uint32_t copy = 0; copy < RHUMB__LOG_COPY_COUNT; copy++) {
        const rhumb__log_header *header = &copies->items[index][copy];
        if (header->magic != RHUMB__LOG_MAGIC || header->crc != header_crc(header)) {
            const uint64_t offset = copy_offset(index, copy);
            if (damage->copy_count++ == 0 || offset < damage->copy_offset) damage->copy_offset = offset;
        } else if (best == NULL || header->generation > best->generation) {
            best = header;
        }
    }
    return best;
}

/* Whether a header without a valid copy may have been of a newer generation: it may still name its own, since damage
 * rarely hits that very field. */
static bool may_be_newer(const header_copies *copies, uint32_t index, uint64_t generation) {
    bool was_older = false;
    for (uint32_t copy = 0; copy < RHUMB__LOG_COPY_COUNT; copy++) {
        const rhumb__log_header *header = &copies->items[index][copy];
        was_older = was_older || (header->magic == RHUMB__LOG_MAGIC && header->generation + 1 == generation);
    }
    return !was_older;
}

rhumb_status rhumb__log_header_read(rhumb__io *io, rhumb__log_header *header, rhumb__log_damage *damage) {
    header_copies copies;
    rhumb_status status;
    const rhumb__log_header *valid[RHUMB__LOG_HEADER_COUNT];
    *damage = (rhumb__log_damage){.copy_count = 0};
    RHUMB_TRY(read_header_copies(io, &copies));
    for (uint32_t i = 0; i < RHUMB__LOG_HEADER_COUNT; i++) valid[i] = find_valid_copy(&copies, i, damage);
    if (valid[0] == NULL && valid[1] == NULL) return explain_no_header(&copies, io->path);
    const uint32_t newest =
        valid[0] == NULL || (valid[1] != NULL && valid[1]->generation > valid[0]->generation) ? 1 : 0;
    *header = *valid[newest];
    const uint32_t copy = valid[newest] == &copies.items[newest][0] ? 0 : 1;
    RHUMB_TRY(check_header(header, copy_offset(newest, copy), io->path));
    if (copies.file_bytes < RHUMB__LOG_RECORDS_OFFSET) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, copies.file_bytes,
                                "the log has been cut short: at least %u bytes expected, %llu found",
                                RHUMB__LOG_RECORDS_OFFSET, (unsigned long long)copies.file_bytes);
        goto done;
    }
    if (valid[1 - newest] == NULL && may_be_newer(&copies, 1 - newest, header->generation)) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, copy_offset(1 - newest, 0),
                                "header %u of the log is damaged, in both copies, and may have been newer than the "
                                "other one; 'rhumb repair' makes a new index of what is intact",
                                1 - newest);
    }
done:
    return status;
}

static void format_uuid(const uint8_t uuid[16], char text[33]) {
    for (uint32_t i = 0; i < 16; i++) {
        text[2 * i] = "0123456789abcdef"[uuid[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[uuid[i] & 15];
    }
    text[32] = '\0';
}

static rhumb_status fail_other_history(const char *path) {
    return rhumb__fail_at(RHUMB_E_LOG, path, offsetof(rhumb__log_header, history),
                          "the log and the index have gone on separately, as copies of one index or after one of them "
                          "was restored; put the log that it had last next to the index, or open it with discard_log, "
                          "without what only this log holds");
}

rhumb_status rhumb__log_header_check_owner(const rhumb__log_header *header, const rhumb__log_owner *owner,
                                           const char *path) {
    if (memcmp(header->uuid, owner->uuid, sizeof header->uuid) != 0) {
        char expected[33];
        char found[33];
        format_uuid(owner->uuid, expected);
        format_uuid(header->uuid, found);
        return rhumb__fail_at(RHUMB_E_LOG, path, offsetof(rhumb__log_header, uuid),
                              "the log belongs to another index: expected UUID %s, found %s", expected, found);
    }
    if (header->history != owner->history && header->previous_history != owner->history) {
        return fail_other_history(path);
    }
    if (header->first_lsn - 1 > owner->checkpoint_lsn) {
        return rhumb__fail_at(RHUMB_E_LOG, path, offsetof(rhumb__log_header, first_lsn),
                              "operations are missing between index and log: the index's checkpoint ends with "
                              "operation %llu, the log begins with %llu",
                              (unsigned long long)owner->checkpoint_lsn, (unsigned long long)header->first_lsn);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__log_header_check_end(const rhumb__log_header *header, const rhumb__log_owner *owner,
                                         uint64_t end_lsn, const char *path) {
    if (header->history != owner->history && end_lsn > header->history_lsn) return fail_other_history(path);
    if (!owner->log_expected || end_lsn >= owner->log_lsn) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_LOG, path, RHUMB_OFFSET_NONE,
                          "the log ends with operation %llu, but had number %llu when the index was written: it is an "
                          "older copy, or has been cut short; put the newest one next to the index, or open the index "
                          "with discard_log, without what only the log holds",
                          (unsigned long long)end_lsn, (unsigned long long)owner->log_lsn);
}

rhumb_status rhumb__log_fail_missing(const rhumb__log_owner *owner, const char *path) {
    return rhumb__fail_at(RHUMB_E_LOG, path, RHUMB_OFFSET_NONE,
                          "the index says that its log is here and holds operations after number %llu, but there is no "
                          "such file; put it next to the index, or open the index with discard_log, without them",
                          (unsigned long long)owner->checkpoint_lsn);
}

static void complete(rhumb__log_header *header) {
    RHUMB_ASSERT_DEBUG(header->generation <= RHUMB__LOG_GENERATION_MAX);
    RHUMB_ASSERT_DEBUG(header->first_offset >= RHUMB__LOG_RECORDS_OFFSET && header->first_lsn > 0);
    header->magic = RHUMB__LOG_MAGIC;
    header->format_version = RHUMB__LOG_FORMAT_VERSION;
    header->crc = header_crc(header);
}

static rhumb_status write_copy(rhumb__io *io, const rhumb__log_header *header, uint32_t copy) {
    const uint32_t index = (uint32_t)(header->generation % RHUMB__LOG_HEADER_COUNT);
    const rhumb_status status = rhumb__io_write(io, header, sizeof *header, copy_offset(index, copy));
    const rhumb_status drained = rhumb__io_drain(io);
    return status != RHUMB_OK ? status : drained;
}

rhumb_status rhumb__log_header_write(rhumb__io *io, rhumb__log_header *header) {
    rhumb_status status;
    complete(header);
    RHUMB_TRY(write_copy(io, header, 0));
    RHUMB_TRY(rhumb__io_sync(io));
    status = write_copy(io, header, 1);
done:
    return status;
}

rhumb_status rhumb__log_header_write_all(rhumb__io *io, rhumb__log_header *header) {
    rhumb_status status = RHUMB_OK;
    for (header->generation = 0;; header->generation++) {
        complete(header);
        for (uint32_t copy = 0; copy < RHUMB__LOG_COPY_COUNT; copy++) RHUMB_TRY(write_copy(io, header, copy));
        if (header->generation == RHUMB__LOG_HEADER_COUNT - 1) break;
    }
done:
    return status;
}
