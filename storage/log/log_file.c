/* log_file.c - see log_file.h.
 *
 * Invariants: the headers of a new file are durable before it has room for records; no record is written before what
 * was found at open is durable. Each step returns only when what it did survives a power cut, and changes nothing that
 * the next attempt could not repeat. The caller has the flusher's role (log_state.h) or is alone.
 */
#include "storage/log/log_file.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

#define SUFFIX "-wal"

char *rhumb__log_path_make(const char *index_path) {
    const size_t length = strlen(index_path);
    char *path = rhumb__alloc_zeroed(length + sizeof SUFFIX, 1);
    if (path == NULL) return NULL;
    snprintf(path, length + sizeof SUFFIX, "%s" SUFFIX, index_path);
    return path;
}

rhumb_status rhumb__log_file_open(const rhumb__io_backend *backend, const char *path, rhumb__io_mode mode,
                                  rhumb__io **io_out) {
    rhumb_error before;
    rhumb__error_save(&before);
    *io_out = NULL;
    const rhumb_status status = rhumb__io_open(backend, path, mode, io_out);
    if (status != RHUMB_E_NOTFOUND) return status;
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

rhumb_status rhumb__log_file_create(const rhumb__io_backend *backend, const char *path, bool remove_leftover,
                                    rhumb__log_header *header, rhumb__io **io_out) {
    rhumb_status status;
    rhumb__io *io = NULL;
    if (remove_leftover) {
        status = rhumb__io_remove(backend, path);
        if (status != RHUMB_OK && status != RHUMB_E_NOTFOUND) return status;
    }
    RHUMB_TRY(rhumb__io_open(backend, path, RHUMB__IO_CREATE, &io));
    /* Generations 0 and 1 are equal, so that the file has its full length and every copy is valid. */
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
    /* New records must never precede old ones that were abandoned and might continue their chain. */
    if (file_bytes > found->end.offset) RHUMB_TRY(rhumb__io_resize(io, found->end.offset));
    RHUMB_ASSERT_DEBUG(found->begin.offset <= found->end.offset && found->window != NULL);
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
    if (header->generation >= RHUMB__LOG_GENERATION_MAX) {
        /* Only a crafted log gets here: a header of the next generation would be taken for damaged. */
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
    RHUMB_ASSERT_DEBUG(first_offset >= RHUMB__LOG_RECORDS_OFFSET);
    rhumb__error_save(&before);
    if (empty) {
        status = rhumb__io_resize(io, RHUMB__LOG_RECORDS_OFFSET);
    } else {
        const uint64_t end = rhumb__round_down(first_offset, RHUMB__LOG_HEADER_BYTES);
        status = rhumb__io_punch(io, RHUMB__LOG_RECORDS_OFFSET, end - RHUMB__LOG_RECORDS_OFFSET);
    }
    if (status != RHUMB_OK) rhumb__error_restore(&before);
}
