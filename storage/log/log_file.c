/* log_file.c - see log_file.h.
 *
 * Invariants: a file has its name only with all its headers; no record is written before what was found at open is
 * durable. Each step returns only when what it did survives a power cut, and changes nothing that the next attempt
 * could not repeat. The caller has the flusher's role (log_state.h) or is alone.
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
#define WORKING_SUFFIX "-creating"

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

rhumb_status rhumb__log_file_create(const rhumb__io_backend *backend, const char *path, const rhumb__io_access *access,
                                    rhumb__log_header *header, rhumb__io **io_out) {
    rhumb_status status;
    rhumb__io *io = NULL;
    const size_t length = strlen(path) + sizeof WORKING_SUFFIX;
    char *working_path = rhumb__alloc_zeroed(length, 1);
    if (working_path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the log's path");
    snprintf(working_path, length, "%s" WORKING_SUFFIX, path);
    status = rhumb__io_create_like(backend, working_path, access, &io);
    if (status == RHUMB_E_EXISTS) {
        /* Only the writer of the index makes its log, so this file has been left by a crash or a failure. */
        RHUMB_TRY(rhumb__io_remove(backend, working_path));
        status = rhumb__io_create_like(backend, working_path, access, &io);
    }
    if (status != RHUMB_OK) goto done;
    RHUMB_TRY(rhumb__log_header_write_all(io, header));
    RHUMB_TRY(rhumb__io_resize(io, RHUMB__LOG_RECORDS_OFFSET));
    RHUMB_TRY(rhumb__io_sync(io));
    RHUMB_TRY(rhumb__io_take_name(io, path));
    RHUMB_TRY(rhumb__io_sync_directory(backend, path));
    *io_out = io;
    io = NULL;
done:
    if (io != NULL) {
        rhumb_error cause;
        rhumb__error_save(&cause);
        (void)!rhumb__io_remove_own(io, io->path);
        rhumb__error_restore(&cause);
    }
    rhumb__io_close(io);
    rhumb__free(working_path);
    return status;
}

rhumb_status rhumb__log_file_settle(rhumb__io *io, rhumb__log_header *header, const rhumb__log_scan *found) {
    rhumb_status status;
    uint64_t file_bytes = 0;
    uint32_t crc = 0;
    RHUMB_TRY(rhumb__io_size(io, &file_bytes));
    /* New records must never precede old ones that were abandoned and might continue their chain. */
    if (file_bytes > found->end.offset) RHUMB_TRY(rhumb__io_resize(io, found->end.offset));
    RHUMB_ASSERT_DEBUG(found->begin.offset <= found->tail.offset && found->tail.offset <= found->end.offset);
    RHUMB_ASSERT_DEBUG(found->window != NULL);
    for (uint64_t offset = found->tail.offset; offset < found->end.offset; offset += RHUMB__LOG_WINDOW_BYTES) {
        const uint64_t bytes = rhumb__min_u64(found->end.offset - offset, RHUMB__LOG_WINDOW_BYTES);
        RHUMB_TRY(rhumb__io_read(io, found->window, bytes, offset));
        crc = rhumb__crc32c(crc, found->window, bytes);
        RHUMB_TRY(rhumb__io_write(io, found->window, bytes, offset));
        RHUMB_TRY(rhumb__io_drain(io));
    }
    if (crc != found->tail_crc) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, io->path, found->tail.offset,
                                "the log's records are not what they were when it was opened");
        goto done;
    }
    status = rhumb__log_file_advance(io, header, true);
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
