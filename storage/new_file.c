/* new_file.c - see new_file.h.
 *
 * Owns the handle and both names. Each function waits for its writes, so none is in flight between calls. Takes no
 * lock. A failure leaves a file of the working name, which rhumb__new_file_abandon removes.
 */
#include "storage/new_file.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"

#define BUFFER_BYTES (8 * RHUMB__ARRAY_CHUNK_BYTES)

/* A name that is taken should be reported before the work, not after it. */
static rhumb_status check_name_is_free(const rhumb__io_backend *backend, const char *path) {
    rhumb__io *io = NULL;
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__io_open(backend, path, RHUMB__IO_READ, &io);
    if (status == RHUMB_E_NOTFOUND) {
        rhumb__error_restore(&before);
        return RHUMB_OK;
    }
    rhumb__io_close(io);
    if (status != RHUMB_OK && status != RHUMB_E_INVALID) return status;
    return rhumb__fail_at(RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE, "a file of that name exists already");
}

rhumb_status rhumb__new_name_begin(const rhumb__io_backend *backend, const char *path, const char *suffix,
                                   char **working_path_out) {
    const size_t length = strlen(path) + strlen(suffix) + 1;
    const rhumb_status status = check_name_is_free(backend, path);
    if (status != RHUMB_OK) return status;
    char *working_path = rhumb__alloc_zeroed(length, 1);
    if (working_path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    snprintf(working_path, length, "%s%s", path, suffix);
    *working_path_out = working_path;
    return RHUMB_OK;
}

rhumb_status rhumb__new_name_take(const rhumb__io_backend *backend, const char *working_path, const char *path,
                                  bool *named_out) {
    rhumb_status status;
    *named_out = false;
    RHUMB_TRY(check_name_is_free(backend, path));
    RHUMB_TRY(rhumb__io_rename(backend, working_path, path));
    *named_out = true;
    status = rhumb__io_sync_directory(backend, path);
done:
    return status;
}

static void new_file_release(rhumb__new_file *file) {
    rhumb__io_close(file->io);
    rhumb__free(file->path);
    rhumb__free(file->working_path);
    memset(file, 0, sizeof *file);
}

rhumb_status rhumb__new_file_begin(rhumb__new_file *file, const rhumb__io_backend *backend, const char *path,
                                   const char *suffix) {
    rhumb_status status;
    RHUMB_TRY(rhumb__new_name_begin(backend, path, suffix, &file->working_path));
    file->path = rhumb__alloc_text(path);
    if (file->path == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
        goto done;
    }
    status = rhumb__io_open(backend, file->working_path, RHUMB__IO_CREATE, &file->io);
done:
    if (status != RHUMB_OK) new_file_release(file);
    return status;
}

rhumb_status rhumb__new_file_finish(rhumb__new_file *file) {
    rhumb_status status;
    bool named = false;
    RHUMB_TRY(rhumb__io_sync(file->io));
    status = rhumb__new_name_take(file->io->backend, file->working_path, file->path, &named);
    if (named) {
        /* From here on the name to remove, if the file is abandoned, is the final one. */
        rhumb__free(file->working_path);
        file->working_path = file->path;
        file->path = NULL;
    }
    if (status == RHUMB_OK) new_file_release(file);
done:
    return status;
}

void rhumb__new_file_abandon(rhumb__new_file *file) {
    if (file->io == NULL) return;
    rhumb_error cause;
    rhumb__error_save(&cause);
    const rhumb_status removed = rhumb__io_remove(file->io->backend, file->working_path);
    (void)removed; /* nothing more can be done about it */
    new_file_release(file);
    rhumb__error_restore(&cause);
}

rhumb_status rhumb__array_writer_begin(rhumb__array_writer *writer, rhumb__io *io, uint64_t offset,
                                       uint32_t *checksums) {
    writer->io = io;
    writer->offset = offset;
    writer->checksums = checksums;
    writer->buffer = rhumb__alloc_zeroed(BUFFER_BYTES, 1);
    return writer->buffer != NULL ? RHUMB_OK : rhumb__fail(RHUMB_E_NOMEM, "no memory for a buffer");
}

static rhumb_status array_flush(rhumb__array_writer *writer) {
    for (uint64_t begin = 0; begin < writer->used_bytes; begin += RHUMB__ARRAY_CHUNK_BYTES) {
        const uint64_t bytes = rhumb__min_u64(writer->used_bytes - begin, RHUMB__ARRAY_CHUNK_BYTES);
        *writer->checksums++ = rhumb__crc32c(0, writer->buffer + begin, bytes);
    }
    const rhumb_status status = rhumb__io_write(writer->io, writer->buffer, writer->used_bytes, writer->offset);
    writer->offset += writer->used_bytes;
    writer->used_bytes = 0;
    return status == RHUMB_OK ? rhumb__io_drain(writer->io) : status;
}

rhumb_status rhumb__array_writer_add(rhumb__array_writer *writer, const void *bytes, uint64_t bytes_count) {
    const uint8_t *source = bytes;
    while (bytes_count > 0) {
        const uint64_t part_bytes = rhumb__min_u64(bytes_count, BUFFER_BYTES - writer->used_bytes);
        memcpy(writer->buffer + writer->used_bytes, source, part_bytes);
        writer->used_bytes += part_bytes;
        source += part_bytes;
        bytes_count -= part_bytes;
        if (writer->used_bytes < BUFFER_BYTES) break;
        const rhumb_status status = array_flush(writer);
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

rhumb_status rhumb__array_writer_end(rhumb__array_writer *writer) {
    return writer->used_bytes == 0 ? RHUMB_OK : array_flush(writer);
}

void rhumb__array_writer_destroy(rhumb__array_writer *writer) {
    rhumb__free(writer->buffer);
    memset(writer, 0, sizeof *writer);
}
