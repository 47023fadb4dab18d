/* log_file.c - the log's header and the steps that make its file ready for records; see log_file.h.
 *
 * A header copy counts if its magic and its checksum are right; the highest generation among those that count is the
 * newest header, and one that says something impossible is not passed over in favour of an older one. Both copies of a
 * slot are written together, over the generation before the last, so the newest stays whole until the next one is.
 *
 * A file is given room for records only after its headers have been synced. So a file that has no such room cannot have
 * lost a record, whatever is in it, and one that has and shows no header is damaged.
 */
#define _GNU_SOURCE
#include "storage/log/log_file.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/crc32c.h"
#include "base/status.h"

#define SUFFIX "-wal"

/* Cannot be reached; a header that has a higher one is damaged. */
#define GENERATION_MAX (UINT64_C(1) << 62)

char *rhumb__log_path_make(const char *index_path) {
    const size_t length = strlen(index_path);
    char *path = rhumb__alloc_zeroed(length + sizeof SUFFIX, 1);
    if (path == NULL) return NULL;
    memcpy(path, index_path, length);
    memcpy(path + length, SUFFIX, sizeof SUFFIX);
    return path;
}

uint32_t rhumb__log_record_crc(uint32_t seed, const void *record, uint64_t record_bytes) {
    const size_t skipped_bytes = sizeof(uint32_t);
    return rhumb__crc32c(seed, (const uint8_t *)record + skipped_bytes, record_bytes - skipped_bytes);
}

/* ---- the header ---- */

static uint64_t copy_offset(uint32_t slot, uint32_t copy) {
    return ((uint64_t)slot * RHUMB__LOG_COPY_COUNT + copy) * RHUMB__LOG_HEADER_BYTES;
}

static uint32_t header_crc(const rhumb__log_header *header) {
    const uint32_t zero = 0;
    const uint8_t *bytes = (const uint8_t *)header;
    const size_t crc_offset = offsetof(rhumb__log_header, crc);
    uint32_t crc = rhumb__crc32c(0, bytes, crc_offset);
    crc = rhumb__crc32c(crc, &zero, sizeof zero);
    return rhumb__crc32c(crc, bytes + crc_offset + sizeof zero, sizeof *header - crc_offset - sizeof zero);
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

/* Checks what a header that counts says about itself. */
static rhumb_status check_content(const rhumb__log_header *header, uint64_t offset, const char *path) {
    if (header->format_version != RHUMB__LOG_FORMAT_VERSION) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offset + offsetof(rhumb__log_header, format_version),
                              "format version of the log: expected %u, found %u", RHUMB__LOG_FORMAT_VERSION,
                              header->format_version);
    }
    const uint64_t slot = offset / RHUMB__LOG_HEADER_BYTES / RHUMB__LOG_COPY_COUNT;
    if (header->generation % RHUMB__LOG_SLOT_COUNT != slot || header->generation > GENERATION_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__log_header, generation),
                              "log header of generation %llu in slot %llu", (unsigned long long)header->generation,
                              (unsigned long long)slot);
    }
    if (header->first_offset < RHUMB__LOG_RECORDS_OFFSET || header->first_offset % RHUMB__LOG_RECORD_ALIGNMENT != 0 ||
        header->first_offset > INT64_MAX || header->first_lsn == 0 || header->first_lsn > RHUMB__LOG_LSN_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset + offsetof(rhumb__log_header, first_offset),
                              "the log cannot begin at byte %llu with record %llu",
                              (unsigned long long)header->first_offset, (unsigned long long)header->first_lsn);
    }
    return RHUMB_OK;
}

/* What the absence of any header that counts means. */
static rhumb_status explain_none_valid(const rhumb__log_header *copies, uint64_t file_bytes, const char *path) {
    for (uint32_t i = 0; i < RHUMB__LOG_SLOT_COUNT * RHUMB__LOG_COPY_COUNT; i++) {
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

/* Reads the four copies, as far as the file has them. */
static rhumb_status read_copies(rhumb__io *io, rhumb__log_header *copies, uint64_t *file_bytes_out) {
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
    rhumb__log_header copies[RHUMB__LOG_SLOT_COUNT * RHUMB__LOG_COPY_COUNT];
    uint64_t file_bytes = 0;
    rhumb_status status = read_copies(io, copies, &file_bytes);
    if (status != RHUMB_OK) return status;
    static_assert(sizeof copies == RHUMB__LOG_RECORDS_OFFSET, "the records follow the headers");
    const rhumb__log_header *newest = NULL;
    /* In a file that has not reached its full length no record can have been acknowledged. */
    const uint32_t count = file_bytes < RHUMB__LOG_RECORDS_OFFSET ? 0 : sizeof copies / sizeof copies[0];
    for (uint32_t i = 0; i < count; i++) {
        if (copies[i].magic != RHUMB__LOG_MAGIC || copies[i].crc != header_crc(&copies[i])) continue;
        if (newest == NULL || copies[i].generation > newest->generation) newest = &copies[i];
    }
    *found_out = newest != NULL;
    if (newest == NULL) return explain_none_valid(copies, file_bytes, io->path);
    *header = *newest;
    return check_content(header, (uint64_t)(newest - copies) * RHUMB__LOG_HEADER_BYTES, io->path);
}

static void format_uuid(const uint8_t uuid[16], char text[33]) {
    for (uint32_t i = 0; i < 16; i++) {
        text[2 * i] = "0123456789abcdef"[uuid[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[uuid[i] & 15];
    }
    text[32] = '\0';
}

rhumb_status rhumb__log_header_check_owner(const rhumb__log_header *header, const uint8_t uuid[16],
                                           uint64_t checkpoint_lsn, const char *path) {
    if (memcmp(header->uuid, uuid, sizeof header->uuid) != 0) {
        char expected[33];
        char found[33];
        format_uuid(uuid, expected);
        format_uuid(header->uuid, found);
        return rhumb__fail_at(RHUMB_E_LOG, path, offsetof(rhumb__log_header, uuid),
                              "the log is another index's: expected UUID %s, found %s", expected, found);
    }
    if (header->first_lsn - 1 > checkpoint_lsn) {
        return rhumb__fail_at(RHUMB_E_LOG, path, offsetof(rhumb__log_header, first_lsn),
                              "operations are missing between index and log: the index's checkpoint ends with "
                              "operation %llu, the log begins with %llu",
                              (unsigned long long)checkpoint_lsn, (unsigned long long)header->first_lsn);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__log_header_write(rhumb__io *io, rhumb__log_header *header) {
    header->magic = RHUMB__LOG_MAGIC;
    header->format_version = RHUMB__LOG_FORMAT_VERSION;
    header->crc = header_crc(header);
    const uint32_t slot = (uint32_t)(header->generation % RHUMB__LOG_SLOT_COUNT);
    rhumb_status status = RHUMB_OK;
    for (uint32_t copy = 0; copy < RHUMB__LOG_COPY_COUNT && status == RHUMB_OK; copy++) {
        status = rhumb__io_write(io, header, sizeof *header, copy_offset(slot, copy));
    }
    const rhumb_status drained = rhumb__io_drain(io);
    return status != RHUMB_OK ? status : drained;
}

/* ---- the file ---- */

rhumb_status rhumb__log_file_create(const rhumb__io_backend *backend, const char *path, bool remove_leftover,
                                    rhumb__log_header *header, rhumb__io **io_out) {
    rhumb_status status;
    rhumb__io *io = NULL;
    if (remove_leftover) {
        status = rhumb__io_remove(backend, path);
        if (status != RHUMB_OK && status != RHUMB_E_NOTFOUND) return status;
    }
    RHUMB_TRY(rhumb__io_open(backend, path, RHUMB__IO_CREATE, &io));
    /* Generations 0 and 1 say the same, so that the file has its full length and both slots count. */
    for (header->generation = 0;; header->generation++) {
        RHUMB_TRY(rhumb__log_header_write(io, header));
        if (header->generation == 1) break;
    }
    RHUMB_TRY(rhumb__io_sync(io));
    RHUMB_TRY(rhumb__io_sync_directory(backend, path));
    *io_out = io;
    io = NULL;
done:
    rhumb__io_close(io);
    return status;
}

rhumb_status rhumb__log_file_settle(rhumb__io *io, rhumb__log_header *header, const rhumb__log_scan *found) {
    rhumb_status status;
    uint64_t file_bytes = 0;
    uint32_t crc = 0;
    RHUMB_TRY(rhumb__io_size(io, &file_bytes));
    /* New records must not come to lie before old ones that were given up, and may fit them. */
    if (file_bytes > found->end.offset) RHUMB_TRY(rhumb__io_resize(io, found->end.offset));
    for (uint64_t offset = found->begin.offset; offset < found->end.offset; offset += RHUMB__LOG_WINDOW_BYTES) {
        const uint64_t bytes = rhumb__min_u64(found->end.offset - offset, RHUMB__LOG_WINDOW_BYTES);
        RHUMB_TRY(rhumb__io_read(io, found->window, bytes, offset));
        crc = rhumb__crc32c(crc, found->window, bytes);
        RHUMB_TRY(rhumb__io_write(io, found->window, bytes, offset));
        RHUMB_TRY(rhumb__io_drain(io));
    }
    if (crc != found->range_crc) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, found->begin.offset,
                                "the log's records are not what they were when it was opened");
        goto done;
    }
    RHUMB_TRY(rhumb__log_header_write(io, header));
    RHUMB_TRY(rhumb__io_sync(io));
    RHUMB_TRY(rhumb__io_sync_directory(io->backend, io->path));
done:
    return status;
}

rhumb_status rhumb__log_file_advance(rhumb__io *io, rhumb__log_header *header, bool sync_name) {
    rhumb_status status;
    if (header->generation >= GENERATION_MAX) {
        /* Honest headers do not come this far: the next one could not be opened. */
        return rhumb__fail_at(RHUMB_E_FULL, io->path, RHUMB_OFFSET_NONE, "generation %llu is the last there can be",
                              (unsigned long long)header->generation);
    }
    header->generation++;
    RHUMB_TRY(rhumb__log_header_write(io, header));
    RHUMB_TRY(rhumb__io_sync(io));
    if (sync_name) RHUMB_TRY(rhumb__io_sync_directory(io->backend, io->path));
done:
    return status;
}

void rhumb__log_file_trim(rhumb__io *io, uint64_t first_offset, bool empty) {
    rhumb_error before;
    rhumb_status status;
    rhumb__error_save(&before);
    if (empty) {
        status = rhumb__io_resize(io, RHUMB__LOG_RECORDS_OFFSET);
    } else {
        const uint64_t end = rhumb__round_down(first_offset, RHUMB__LOG_HEADER_BYTES);
        status = rhumb__io_punch(io, RHUMB__LOG_RECORDS_OFFSET, end - RHUMB__LOG_RECORDS_OFFSET);
    }
    if (status != RHUMB_OK) rhumb__error_restore(&before);
}
