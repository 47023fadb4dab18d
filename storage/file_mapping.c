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

rhumb_status rhumb__file_mapping_make(rhumb__io *io, uint64_t bytes, rhumb__file_mapping *mapping_out) {
    rhumb_status status;
    rhumb__file_mapping mapping = {.bytes = mapped_bytes(bytes)};
    void *base = mmap(NULL, mapping.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        return rhumb__fail_errno(errno, io->path, RHUMB_OFFSET_NONE, "reserving %llu bytes of address space",
                                 (unsigned long long)mapping.bytes);
    }
    mapping.base = base;
    RHUMB_TRY(rhumb__bus_guard_add(mapping.base, mapping.bytes, false, &io->bus_flag, &mapping.guard));
    RHUMB_TRY(rhumb__io_map(io, base, mapping.bytes, 0, RHUMB__IO_MAP_SHARED_READ));
    *mapping_out = mapping;
done:
    if (status != RHUMB_OK) rhumb__file_mapping_drop(&mapping);
    return status;
}

void rhumb__file_mapping_drop(rhumb__file_mapping *mapping) {
    rhumb__bus_guard_remove(mapping->guard);
    if (mapping->base != NULL) munmap((void *)mapping->base, mapping->bytes);
    *mapping = (rhumb__file_mapping){.base = NULL};
}
