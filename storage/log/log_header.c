/* log_header.c - see log_header.h.
 *
 * A header copy is valid if its magic and its checksum are right; the highest generation among the valid copies is the
 * newest header, and one with impossible values is an error, not passed over in favour of an older one. The header of
 * each generation is written in two copies, over those of the generation before the last, so that the previous one
 * stays complete until the new one is.
 *
 * A file is given room for records only after its headers have been synced. So a file without that room cannot have
 * lost a record, whatever it contains, and one that has the room and no valid header is damaged.
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
    return ((uint64_t)index * RHUMB__LOG_COPY_COUNT + copy) * RHUMB__LOG_HEADER_BYTES;
}

static uint32_t header_crc(const rhumb__log_header *header) {
    return rhumb__crc32c_header(header, sizeof *header, offsetof(rhumb__log_header, crc));
}

rhumb_status rhumb__log_header_renew(rhumb__log_header *header, uint64_t lsn, const char *path) {
    const uint32_t seed_before = rhumb__log_seed(header->salt);
    uint64_t salt = 0;
    do {
        if (getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt) {
            return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "cannot draw a salt");
        }
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
    const uint64_t index = offset / RHUMB__LOG_HEADER_BYTES / RHUMB__LOG_COPY_COUNT;
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

/* The meaning of a file without a valid header: damage, or an interrupted creation. */
static rhumb_status explain_no_header(const rhumb__log_header *copies, uint64_t file_bytes, const char *path) {
    for (uint32_t i = 0; i < RHUMB__LOG_HEADER_COUNT * RHUMB__LOG_COPY_COUNT; i++) {
        const uint32_t version = copies[i].format_version;
        if (copies[i].magic == RHUMB__LOG_MAGIC && version > RHUMB__LOG_FORMAT_VERSION) {
            return rhumb__fail_at(RHUMB_E_VERSION, path, i * RHUMB__LOG_HEADER_BYTES,
                                  "format version of the log: expected %u, found %u", RHUMB__LOG_FORMAT_VERSION,
                                  version);
        }
    }
    if (file_bytes <= RHUMB__LOG_RECORDS_OFFSET) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, 0,
                          "the log has %llu bytes but none of its headers has the checksum it should have",
                          (unsigned long long)file_bytes);
}

/* Reads the four copies; zeros where the file ends before. */
static rhumb_status read_header_copies(rhumb__io *io, rhumb__log_header *copies, uint64_t *file_bytes_out) {
    rhumb_status status;
    uint64_t file_bytes = 0;
    memset(copies, 0, RHUMB__LOG_RECORDS_OFFSET);
    RHUMB_TRY(rhumb__io_size(io, &file_bytes));
    RHUMB_TRY(rhumb__io_read(io, copies, rhumb__min_u64(file_bytes, RHUMB__LOG_RECORDS_OFFSET), 0));
    *file_bytes_out = file_bytes;
done:
    return status;
}

rhumb_status rhumb__log_header_read(rhumb__io *io, rhumb__log_header *header, bool *found_out) {
    rhumb__log_header copies[RHUMB__LOG_HEADER_COUNT * RHUMB__LOG_COPY_COUNT];
    uint64_t file_bytes = 0;
    rhumb_status status = read_header_copies(io, copies, &file_bytes);
    if (status != RHUMB_OK) return status;
    static_assert(sizeof copies == RHUMB__LOG_RECORDS_OFFSET, "the records follow the headers");
    const rhumb__log_header *newest = NULL;
    /* No record can have been acknowledged before the file had room for the first. */
    const uint32_t count = file_bytes < RHUMB__LOG_RECORDS_OFFSET ? 0 : sizeof copies / sizeof copies[0];
    for (uint32_t i = 0; i < count; i++) {
        if (copies[i].magic != RHUMB__LOG_MAGIC || copies[i].crc != header_crc(&copies[i])) continue;
        if (newest == NULL || copies[i].generation > newest->generation) newest = &copies[i];
    }
    *found_out = newest != NULL;
    if (newest == NULL) return explain_no_header(copies, file_bytes, io->path);
    *header = *newest;
    return check_header(header, (uint64_t)(newest - copies) * RHUMB__LOG_HEADER_BYTES, io->path);
}

static void format_uuid(const uint8_t uuid[16], char text[33]) {
    for (uint32_t i = 0; i < 16; i++) {
        text[2 * i] = "0123456789abcdef"[uuid[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[uuid[i] & 15];
    }
    text[32] = '\0';
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
    if (header->first_lsn - 1 > owner->checkpoint_lsn) {
        return rhumb__fail_at(RHUMB_E_LOG, path, offsetof(rhumb__log_header, first_lsn),
                              "operations are missing between index and log: the index's checkpoint ends with "
                              "operation %llu, the log begins with %llu",
                              (unsigned long long)owner->checkpoint_lsn, (unsigned long long)header->first_lsn);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__log_header_write(rhumb__io *io, rhumb__log_header *header) {
    header->magic = RHUMB__LOG_MAGIC;
    header->format_version = RHUMB__LOG_FORMAT_VERSION;
    header->crc = header_crc(header);
    const uint32_t index = (uint32_t)(header->generation % RHUMB__LOG_HEADER_COUNT);
    rhumb_status status = RHUMB_OK;
    RHUMB_ASSERT_DEBUG(header->generation <= RHUMB__LOG_GENERATION_MAX);
    RHUMB_ASSERT_DEBUG(header->first_offset >= RHUMB__LOG_RECORDS_OFFSET && header->first_lsn > 0);
    for (uint32_t copy = 0; copy < RHUMB__LOG_COPY_COUNT && status == RHUMB_OK; copy++) {
        status = rhumb__io_write(io, header, sizeof *header, copy_offset(index, copy));
    }
    const rhumb_status drained = rhumb__io_drain(io);
    return status != RHUMB_OK ? status : drained;
}
