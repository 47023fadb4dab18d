/* scratch_file.h - a file without a name, for what a long operation cannot keep in memory.
 *
 * It lies in the folder of an index and is gone when it is closed or the process ends, however that ends. It is in no
 * version and needs no sync. What is written is put on the disk as it comes: in a control group all of whose pages wait
 * to be written, the kernel finds none that it can take back.
 *
 * One thread at a time may write; any number may read what has been written.
 */
#ifndef RHUMB_STORAGE_SCRATCH_FILE_H
#define RHUMB_STORAGE_SCRATCH_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* All zeros: not open. */
typedef struct rhumb__scratch_file {
    const char *path; /* next to which it is, for messages; the caller's */
    int descriptor;
    bool is_open;
    uint64_t unsent_bytes; /* written, and not on their way to the disk */
} rhumb__scratch_file;

/* `path` is absolute and stays while the file is open. RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__scratch_file_open(const char *path, rhumb__scratch_file *file) RHUMB_NODISCARD;

/* Both do the whole range or fail. RHUMB_E_IO, RHUMB_E_NOSPACE, RHUMB_E_TRUNCATED. */
rhumb_status rhumb__scratch_file_write(rhumb__scratch_file *file, const void *bytes, size_t bytes_count,
                                       uint64_t offset) RHUMB_NODISCARD;
rhumb_status rhumb__scratch_file_read(const rhumb__scratch_file *file, void *bytes, size_t bytes_count,
                                      uint64_t offset) RHUMB_NODISCARD;

/* Lets the kernel drop the range from memory. Advice only. */
void rhumb__scratch_file_forget(const rhumb__scratch_file *file, uint64_t offset, uint64_t bytes);

/* Releases the file's room on the disk. One that is not open is fine. */
void rhumb__scratch_file_close(rhumb__scratch_file *file);

#endif /* RHUMB_STORAGE_SCRATCH_FILE_H */
