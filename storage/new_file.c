/* new_file.c - see new_file.h.
 *
 * Owns the handle and the paths. Each function waits for its writes, so none is in flight between calls. A failure
 * leaves a file of the working name, which rhumb__new_file_abandon removes.
 *
 * Locking: the writer's lock of a working file tells a creation that goes on from one that was interrupted. A process
 * that removes what is left holds it, and removes the file only while its path still leads to it; one that has created
 * a working file makes sure of the same once it has the lock. So no two processes take the same file for theirs.
 */
#define _GNU_SOURCE
#include "storage/new_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/frame/file_locks.h"
#include "storage/frame/format.h"

#define BUFFER_BYTES (8 * RHUMB__ARRAY_CHUNK_BYTES)

/* Other processes may be at the same; none is as unlucky so often in a row. */
#define ATTEMPT_COUNT_MAX 8

static rhumb_status fail_exists(const char *path) {
    return rhumb__fail_at(RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE, "a file of that name exists already");
}

/* ---- what interrupted creations have left ---- */

static rhumb_status read_beginning(rhumb__io *io, uint8_t *bytes, uint64_t bytes_max, uint64_t *file_bytes_out) {
    rhumb_status status = rhumb__io_size(io, file_bytes_out);
    memset(bytes, 0, bytes_max);
    if (status == RHUMB_OK) status = rhumb__io_read(io, bytes, rhumb__min_u64(*file_bytes_out, bytes_max), 0);
    return status;
}

static bool all_zero(const uint8_t *bytes, uint64_t bytes_count) {
    for (uint64_t i = 0; i < bytes_count; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

/* Whether a file of a working name is one of ours: it begins as our files do, or has no beginning yet. */
static rhumb_status check_is_ours(rhumb__io *io, bool *is_ours_out) {
    static const uint8_t mark[3] = {0x89, 'r', 'h'};
    uint8_t bytes[8];
    uint64_t file_bytes = 0;
    const rhumb_status status = read_beginning(io, bytes, sizeof bytes, &file_bytes);
    *is_ours_out = memcmp(bytes, mark, sizeof mark) == 0 || all_zero(bytes, sizeof bytes);
    return status;
}

/* Whether a file of a final name holds nothing: its creation ended before its first superblock was written. */
static rhumb_status check_is_blank(rhumb__io *io, bool *is_blank_out) {
    uint64_t file_bytes = 0;
    uint8_t *bytes = rhumb__alloc_zeroed(RHUMB__CONTENT_OFFSET, 1);
    if (bytes == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a file's beginning");
    const rhumb_status status = read_beginning(io, bytes, RHUMB__CONTENT_OFFSET, &file_bytes);
    *is_blank_out = file_bytes <= RHUMB__CONTENT_OFFSET && all_zero(bytes, RHUMB__CONTENT_OFFSET);
    rhumb__free(bytes);
    return status;
}

/* Removes the file if no process has locked it and `check` finds that it has been left; otherwise RHUMB_E_EXISTS. */
static rhumb_status remove_left(const rhumb__io_backend *backend, const char *path,
                                rhumb_status (*check)(rhumb__io *io, bool *left_out)) {
    rhumb_status status;
    bool taken = false;
    bool left = false;
    rhumb__io *io = NULL;
    status = rhumb__io_open(backend, path, RHUMB__IO_WRITE, &io);
    if (status == RHUMB_E_NOTFOUND) return RHUMB_OK;
    if (status != RHUMB_OK) return status == RHUMB_E_NOMEM ? status : fail_exists(path);
    RHUMB_TRY(rhumb__writer_lock_take(io, &taken));
    if (!taken) {
        status = rhumb__fail_at(RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE, "another process is creating a file here");
        goto done;
    }
    RHUMB_TRY(check(io, &left));
    status = left ? rhumb__io_remove_own(io, path) : fail_exists(path);
done:
    rhumb__io_close(io);
    return status;
}

/* A name that is taken should be reported before the work, not after it. */
static rhumb_status clear_name(const rhumb__io_backend *backend, const char *path) {
    bool blank = false;
    rhumb__io *io = NULL;
    rhumb_status status = rhumb__io_open(backend, path, RHUMB__IO_READ, &io);
    if (status == RHUMB_E_NOTFOUND) return RHUMB_OK;
    if (status == RHUMB_OK) status = check_is_blank(io, &blank);
    rhumb__io_close(io);
    if (status != RHUMB_OK && status != RHUMB_E_INVALID) return status;
    return blank ? remove_left(backend, path, check_is_blank) : fail_exists(path);
}

/* ---- a working file ---- */

/* Whether the file that was just created is still the one of its name, locked by this handle. */
static rhumb_status secure(rhumb__io *io, bool lock_optional, bool *secured_out) {
    bool taken = false;
    *secured_out = false;
    rhumb_status status = rhumb__writer_lock_take(io, &taken);
    if (status != RHUMB_OK && !lock_optional) return status;
    if (taken || status != RHUMB_OK) status = rhumb__io_is_at(io, io->path, secured_out);
    return status;
}

/* Keeps the thread's error record: nothing more can be done about a failure. */
static void remove_own(rhumb__io *io) {
    rhumb_error cause;
    rhumb__error_save(&cause);
    (void)!rhumb__io_remove_own(io, io->path);
    rhumb__error_restore(&cause);
}

static rhumb_status open_working(const rhumb__new_place *place, const char *working_path, rhumb__io **io_out) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t attempt = 0; attempt < ATTEMPT_COUNT_MAX; attempt++) {
        rhumb__io *io = NULL;
        bool secured = false;
        status = rhumb__io_create_like(place->backend, working_path, place->access, &io);
        if (status == RHUMB_OK) status = secure(io, place->lock_optional, &secured);
        if (status == RHUMB_OK && secured) {
            *io_out = io;
            return RHUMB_OK;
        }
        if (io != NULL && status != RHUMB_OK) remove_own(io);
        rhumb__io_close(io);
        if (status == RHUMB_E_EXISTS) status = remove_left(place->backend, working_path, check_is_ours);
        if (status != RHUMB_OK) return status;
    }
    return rhumb__fail_at(RHUMB_E_EXISTS, working_path, RHUMB_OFFSET_NONE, "other processes are creating a file here");
}

char *rhumb__new_path_make(const char *path) {
    char folder[PATH_MAX] = ".";
    char absolute[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const size_t folder_length = slash == NULL ? 1 : (size_t)(name - path);
    if (folder_length >= sizeof folder) return rhumb__alloc_text(path);
    if (slash != NULL) memcpy(folder, path, folder_length);
    if (realpath(folder, absolute) == NULL) return rhumb__alloc_text(path);
    const size_t length = strlen(absolute) + 1 + strlen(name) + 1;
    char *made = rhumb__alloc_zeroed(length, 1);
    if (made == NULL) return NULL;
    snprintf(made, length, "%s/%s", strcmp(absolute, "/") == 0 ? "" : absolute, name);
    return made;
}

rhumb_status rhumb__new_place_open(const rhumb__new_place *place, rhumb__io **io_out) {
    rhumb_error before;
    rhumb__error_save(&before);
    rhumb_status status = clear_name(place->backend, place->path);
    if (status != RHUMB_OK) return status;
    const size_t length = strlen(place->path) + strlen(place->suffix) + 1;
    char *working_path = rhumb__alloc_zeroed(length, 1);
    if (working_path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    snprintf(working_path, length, "%s%s", place->path, place->suffix);
    status = open_working(place, working_path, io_out);
    if (status == RHUMB_OK) rhumb__error_restore(&before);
    rhumb__free(working_path);
    return status;
}

static void new_file_release(rhumb__new_file *file) {
    rhumb__io_close(file->io);
    rhumb__free(file->path);
    memset(file, 0, sizeof *file);
}

rhumb_status rhumb__new_file_begin(rhumb__new_file *file, const rhumb__new_place *place) {
    rhumb_status status;
    rhumb__new_place absolute = *place;
    absolute.path = file->path = rhumb__new_path_make(place->path);
    if (file->path == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
        goto done;
    }
    status = rhumb__new_place_open(&absolute, &file->io);
done:
    if (status != RHUMB_OK) new_file_release(file);
    return status;
}

rhumb_status rhumb__new_file_finish(rhumb__new_file *file) {
    rhumb_status status;
    RHUMB_TRY(rhumb__io_sync(file->io));
    RHUMB_TRY(rhumb__io_take_name(file->io, file->path));
    RHUMB_TRY(rhumb__io_sync_directory(file->io->backend, file->path));
    new_file_release(file);
done:
    return status;
}

void rhumb__new_file_abandon(rhumb__new_file *file) {
    if (file->io == NULL) return;
    remove_own(file->io);
    new_file_release(file);
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
