/* file_mapping.c - see file_mapping.h.
 *
 * Reserves addresses first, because rhumb__io_map replaces a mapping. The caller owns the mapping; nothing here keeps
 * state or takes a lock. A failure leaves nothing mapped.
 */
#define _GNU_SOURCE
#include "storage/file_mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/status.h"

/* Whole pages: the bytes of the last one after the end of the file read as zeros. */
static uint64_t mapped_bytes(uint64_t bytes) { return rhumb__round_up(bytes, (uint64_t)sysconf(_SC_PAGESIZE)); }

rhumb_status rhumb__file_mapping_make(rhumb__io *io, uint64_t bytes, const uint8_t **base_out) {
    const uint64_t page_bytes = mapped_bytes(bytes);
    void *base = mmap(NULL, page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return rhumb__fail_errno(errno, io->path, RHUMB_OFFSET_NONE, "reserving %llu bytes of address space",
                                 (unsigned long long)page_bytes);
    }
    const rhumb_status status = rhumb__io_map(io, base, page_bytes, 0, RHUMB__IO_MAP_SHARED_READ);
    if (status != RHUMB_OK) {
        munmap(base, page_bytes);
        return status;
    }
    *base_out = base;
    return RHUMB_OK;
}

void rhumb__file_mapping_drop(const uint8_t *base, uint64_t bytes) {
    if (base != NULL) munmap((void *)base, mapped_bytes(bytes));
}
