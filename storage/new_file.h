/* new_file.h - a file that is written once, from beginning to end, and gets its name only when it is complete and
 * durable.
 *
 * Until then it has a working name; a crash leaves at most a file of that name. One thread at a time.
 */
#ifndef RHUMB_STORAGE_NEW_FILE_H
#define RHUMB_STORAGE_NEW_FILE_H

#include "storage/io/io.h"

/* Where a new file comes to be. */
typedef struct rhumb__new_place {
    const rhumb__io_backend *backend; /* NULL: the default */
    const char *path;
    const char *suffix;             /* the working name is `path` and this */
    const rhumb__io_access *access; /* who may use it; NULL: those whom the umask lets */
    bool lock_optional;             /* created without a lock where the file system has none */
} rhumb__new_place;

/* Returns the path that the file at `path` has or would have, absolute if the system can resolve its folder, so that a
 * later change of directory does not matter; the caller's (rhumb__free). NULL when there is no memory. */
char *rhumb__new_path_make(const char *path);

/* Creates the file under its working name and takes the writer's lock on it, by which others know that its creation
 * goes on. What an interrupted creation has left, under either name, is removed first: a file of the working name that
 * no process has locked, and one of the final name that has not got further than being filled with zeros.
 * RHUMB_E_EXISTS when there is a file of that name, or another process is creating it; RHUMB_E_NOMEM; the failures of
 * rhumb__io_open.
 */
rhumb_status rhumb__new_place_open(const rhumb__new_place *place, rhumb__io **io_out) RHUMB_NODISCARD;

/* A file in the making. */
typedef struct rhumb__new_file {
    rhumb__io *io;
    char *path;
} rhumb__new_file;

/* Opens the place. `file` is zeroed. On failure there is nothing to abandon. */
rhumb_status rhumb__new_file_begin(rhumb__new_file *file, const rhumb__new_place *place) RHUMB_NODISCARD;

/* Syncs the file, gives it its name, syncs the directory, and closes. On failure it is to be abandoned. RHUMB_E_EXISTS
 * when there is a file of that name by now, which stays. */
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
