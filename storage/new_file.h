/* new_file.h - a file that is written once, from beginning to end, and has its name only when it is whole and durable.
 *
 * Until then it has another name; a crash leaves at most that. One thread at a time.
 */
#ifndef RHUMB_STORAGE_NEW_FILE_H
#define RHUMB_STORAGE_NEW_FILE_H

#include "storage/io/io.h"

/* For files that something else creates: RHUMB_E_EXISTS when there is a file of that name, and the name for the time
 * until the file is whole, which is the caller's (rhumb__free). */
rhumb_status rhumb__new_name_begin(const rhumb__io_backend *backend, const char *path, const char *suffix,
                                   char **working_path_out) RHUMB_NODISCARD;

/* Gives the file its name, unless that has been taken meanwhile; *named_out is whether it has it, also on failure. What
 * is in the file has been synced before. */
rhumb_status rhumb__new_name_take(const rhumb__io_backend *backend, const char *working_path, const char *path,
                                  bool *named_out) RHUMB_NODISCARD;

typedef struct rhumb__new_file {
    rhumb__io *io;
    char *path;
    char *working_path;
} rhumb__new_file;

/* Creates the file under the name `path` with `suffix` behind it. RHUMB_E_EXISTS when there is a file of either name.
 * On failure there is nothing to abandon. `file` is zeroed. */
rhumb_status rhumb__new_file_begin(rhumb__new_file *file, const rhumb__io_backend *backend, const char *path,
                                   const char *suffix) RHUMB_NODISCARD;

/* Syncs the file, gives it its name, syncs the directory, and closes. On failure it is to be abandoned. RHUMB_E_EXISTS
 * when the name has been taken meanwhile. */
rhumb_status rhumb__new_file_finish(rhumb__new_file *file) RHUMB_NODISCARD;

/* Removes and closes what has been begun and not finished. Keeps the thread's error record. */
void rhumb__new_file_abandon(rhumb__new_file *file);

/* Checksums of arrays are taken over so many bytes at a time, beginning with the array. */
#define RHUMB__ARRAY_CHUNK_BYTES 65536u

/* Writes an array into a file, piece by piece, and takes its checksums. Several may be under way at once. */
typedef struct rhumb__array_writer {
    rhumb__io *io;
    uint64_t offset; /* in the file, of what is in the buffer */
    uint8_t *buffer;
    uint64_t used_bytes;
    uint32_t *checksums; /* the caller's: one for each chunk, in order */
} rhumb__array_writer;

/* `writer` is zeroed, and to be destroyed in every case. RHUMB_E_NOMEM. */
rhumb_status rhumb__array_writer_begin(rhumb__array_writer *writer, rhumb__io *io, uint64_t offset,
                                       uint32_t *checksums) RHUMB_NODISCARD;

rhumb_status rhumb__array_writer_add(rhumb__array_writer *writer, const void *bytes,
                                     uint64_t bytes_count) RHUMB_NODISCARD;

/* Writes what is still in the buffer. */
rhumb_status rhumb__array_writer_end(rhumb__array_writer *writer) RHUMB_NODISCARD;

void rhumb__array_writer_destroy(rhumb__array_writer *writer);

#endif /* RHUMB_STORAGE_NEW_FILE_H */
