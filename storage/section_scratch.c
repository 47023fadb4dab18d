/* section_scratch.c - see section_scratch.h.
 *
 * The file has no name (base/nameless_file.h). It is mapped shared and writable, which no file of an index ever is:
 * here a half-done change that the kernel writes back does no harm. Reading a page of it back can fail like any
 * other read: the section's guard covers it, and the index handle then says so.
 *
 * Owns the descriptor. Locks: none of its own. Fork: a child does not inherit the mapping.
 */
#define _GNU_SOURCE
#include "storage/section_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/nameless_file.h"
#include "base/status.h"

rhumb_status rhumb__section_scratch_begin(rhumb__section *section, rhumb__io *io, const char *path) {
    RHUMB_ASSERT_DEBUG(section->writable && section->published_row_count == 0 && section->scratch.io == NULL);
    const int descriptor = rhumb__nameless_file_open(path);
    if (descriptor < 0) {
        return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "making a scratch file next to it");
    }
    section->scratch = (rhumb__section_scratch){.io = io, .descriptor = descriptor, .bytes = section->memory.bytes};
    return RHUMB_OK;
}

rhumb_status rhumb__section_scratch_extend(rhumb__section *section) {
    rhumb_status status;
    rhumb__section_scratch *scratch = &section->scratch;
    const uint64_t bytes = section->memory.bytes;
    const uint64_t added_bytes = bytes - scratch->bytes;
    RHUMB_ASSERT_DEBUG(scratch->io != NULL && scratch->bytes <= bytes);
    if (added_bytes == 0) return RHUMB_OK;
    /* Not posix_fallocate, which writes zeros where the file system cannot allocate. */
    if (fallocate(scratch->descriptor, 0, (off_t)scratch->bytes, (off_t)added_bytes) != 0 && errno != EOPNOTSUPP) {
        return rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "taking %llu bytes for a scratch file",
                                 (unsigned long long)added_bytes);
    }
    if (ftruncate(scratch->descriptor, (off_t)bytes) != 0) {
        return rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "making a scratch file longer");
    }
    RHUMB_TRY(rhumb__section_guard(section, scratch->io, bytes));
    void *place = section->base + scratch->bytes;
    const int flags = MAP_SHARED | MAP_FIXED;
    if (mmap(place, added_bytes, PROT_READ | PROT_WRITE, flags, scratch->descriptor, (off_t)scratch->bytes) ==
        MAP_FAILED) {
        return rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "mapping a scratch file");
    }
    (void)madvise(place, added_bytes, MADV_DONTFORK);
    (void)madvise(place, added_bytes, MADV_RANDOM); /* reads of neighbours would displace what is needed */
    scratch->bytes = bytes;
done:
    return status;
}

void rhumb__section_scratch_write_out(const rhumb__section *section) {
    if (section->scratch.io == NULL) return;
    (void)sync_file_range(section->scratch.descriptor, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
}

void rhumb__section_scratch_end(rhumb__section *section) {
    if (section->scratch.io != NULL) close(section->scratch.descriptor);
    section->scratch = (rhumb__section_scratch){.io = NULL};
}
