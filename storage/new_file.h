/* new_file.h - a file that is written once, from beginning to end, and gets its name only when it is complete and
 * durable.
 *
 * Until then it has a working name; a crash leaves at most a file of that name. One thread at a time.
 */
#ifndef RHUMB_STORAGE_NEW_FILE_H
#define RHUMB_STORAGE_NEW_FILE_H

#include "storage/io/io.h"

/* For files that other code creates: makes the working name, `path` followed by `suffix`, which is the caller's
 * (rhumb__free). RHUMB_E_EXISTS when there is a file at `path`; RHUMB_E_NOMEM. */
rhumb_status rhumb__new_name_begin(const rhumb__io_backend *backend, const char *path, const char *suffix,
                                   char **working_path_out) RHUMB_NODISCARD;

/* Renames the file to `path`, unless there is a file by now, and syncs the directory; *named_out is whether it was
 * renamed, also on failure. The content has been synced before. RHUMB_E_EXISTS, RHUMB_E_IO. */
rhumb_status rhumb__new_name_take(const rhumb__io_backend *backend, const char *working_path, const char *path,
                                  bool *named_out) RHUMB_NODISCARD;

typedef struct rhumb__new_file {
    rhumb__io *io;
    char *path;
    char *working_path;
} rhumb__new_file;

/* Creates the file under its working name, `path` followed by `suffix`. `file` is zeroed. On failure there is nothing
 * to abandon. RHUMB_E_EXISTS when there is a file of either name. */
rhumb_status rhumb__new_file_begin(rhumb__new_file *file, const rhumb__io_backend *backend, const char *path,
                                   const char *suffix) RHUMB_NODISCARD;

/* Syncs the file, renames it, syncs the directory, and closes. On failure it is to be abandoned. RHUMB_E_EXISTS when
 * there is a file of that name by now. */
rhumb_status rhumb__new_file_finish(rhumb__new_file *file) RHUMB_NODISCARD;

/* Removes and closes a file that has been begun and not finished. Keeps the thread's error record. */
void rhumb__new_file_abandon(rhumb__new_file *file);

/* The unit of an array's checksums, counted from the beginning of the array. */
#define RHUMB__ARRAY_CHUNK_BYTES 65536u

/* Writes an array into a file, part by part, and computes its checksums. Several may be in progress at once. */
typedef struct rhumb__array_writer {
    rhumb__io *io;
    uint64_t offset; /* in the file, of what is in the buffer */
    uint8_t *buffer;
    uint64_t used_bytes;
    uint32_t *checksums; /* the caller's: one for each chunk, in order */
} rhumb__array_writer;

/* Begins an array at `offset` of the file. `writer` is zeroed, and to be destroyed in every case. RHUMB_E_NOMEM. */
rhumb_status rhumb__array_writer_begin(rhumb__array_writer *writer, rhumb__io *io, uint64_t offset,
                                       uint32_t *checksums) RHUMB_NODISCARD;

/* Appends bytes to the array. RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__array_writer_add(rhumb__array_writer *writer, const void *bytes,
                                     uint64_t bytes_count) RHUMB_NODISCARD;

/* Writes what is still in the buffer. */
rhumb_status rhumb__array_writer_end(rhumb__array_writer *writer) RHUMB_NODISCARD;

void rhumb__array_writer_destroy(rhumb__array_writer *writer);

#endif /* RHUMB_STORAGE_NEW_FILE_H */
