/* scratch_file.c - see scratch_file.h.
 *
 * Owns the descriptor. Takes no lock.
 */
#define _GNU_SOURCE
#include "storage/scratch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/nameless_file.h"
#include "base/status.h"

/* So much is written before the disk is to begin with it. */
#define SENT_BYTES (UINT64_C(4) << 20)

rhumb_status rhumb__scratch_file_open(const char *path, rhumb__scratch_file *file) {
    const int descriptor = rhumb__nameless_file_open(path);
    if (descriptor < 0) {
        return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "making a scratch file next to it");
    }
    *file = (rhumb__scratch_file){.path = path, .descriptor = descriptor, .is_open = true};
    return RHUMB_OK;
}

rhumb_status rhumb__scratch_file_write(rhumb__scratch_file *file, const void *bytes, size_t bytes_count,
                                       uint64_t offset) {
    const uint8_t *rest = bytes;
    file->unsent_bytes += bytes_count;
    while (bytes_count > 0) {
        const ssize_t written = pwrite(file->descriptor, rest, bytes_count, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return rhumb__fail_errno(errno, file->path, offset, "writing to a scratch file next to it");
        rest += written;
        offset += (uint64_t)written;
        bytes_count -= (size_t)written;
    }
    if (file->unsent_bytes >= SENT_BYTES) {
        (void)sync_file_range(file->descriptor, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
        file->unsent_bytes = 0;
    }
    return RHUMB_OK;
}

rhumb_status rhumb__scratch_file_read(const rhumb__scratch_file *file, void *bytes, size_t bytes_count,
                                      uint64_t offset) {
    uint8_t *rest = bytes;
    while (bytes_count > 0) {
        const ssize_t read_bytes = pread(file->descriptor, rest, bytes_count, (off_t)offset);
        if (read_bytes < 0 && errno == EINTR) continue;
        if (read_bytes < 0) return rhumb__fail_errno(errno, file->path, offset, "reading a scratch file next to it");
        if (read_bytes == 0) {
            return rhumb__fail_at(RHUMB_E_TRUNCATED, file->path, offset,
                                  "a scratch file next to it: expected %zu bytes more", bytes_count);
        }
        rest += read_bytes;
        offset += (uint64_t)read_bytes;
        bytes_count -= (size_t)read_bytes;
    }
    return RHUMB_OK;
}

void rhumb__scratch_file_forget(const rhumb__scratch_file *file, uint64_t offset, uint64_t bytes) {
    (void)posix_fadvise(file->descriptor, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
}

void rhumb__scratch_file_close(rhumb__scratch_file *file) {
    if (file->is_open) close(file->descriptor);
    *file = (rhumb__scratch_file){0};
}
