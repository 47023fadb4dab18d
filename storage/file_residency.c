/* file_residency.c - see file_residency.h. Maps the whole file, which takes addresses and no memory, and asks for its
 * pages (mincore). Owns the mapping and room for one answer. Takes no lock. Where the kernel does not answer, nothing
 * counts as being in memory.
 */
#define _GNU_SOURCE
#include "storage/file_residency.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"

#define PAGES_PER_CALL UINT64_C(65536)

rhumb_status rhumb__file_residency_begin(rhumb__io *io, uint64_t bytes, rhumb__file_residency *out) {
    rhumb_status status;
    rhumb__file_residency residency = {.pages = rhumb__alloc_zeroed(PAGES_PER_CALL, 1)};
    if (residency.pages == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for the answer on pages");
    RHUMB_TRY(rhumb__file_mapping_make(io, bytes, &residency.mapping));
    *out = residency;
done:
    if (status != RHUMB_OK) rhumb__free(residency.pages);
    return status;
}

uint64_t rhumb__file_residency_bytes(const rhumb__file_residency *residency, uint64_t offset, uint64_t bytes) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t end = rhumb__min_u64(rhumb__round_up(offset + bytes, page_bytes), residency->mapping.bytes);
    uint64_t page_count = 0;
    for (uint64_t at = rhumb__round_down(offset, page_bytes); at < end; at += PAGES_PER_CALL * page_bytes) {
        const uint64_t length = rhumb__min_u64(end - at, PAGES_PER_CALL * page_bytes);
        if (mincore((void *)(residency->mapping.base + at), length, residency->pages) != 0) break;
        for (uint64_t i = 0; i < length / page_bytes; i++) page_count += residency->pages[i] & 1;
    }
    return page_count * page_bytes;
}

void rhumb__file_residency_end(rhumb__file_residency *residency) {
    rhumb__file_mapping_drop(&residency->mapping);
    rhumb__free(residency->pages);
    *residency = (rhumb__file_residency){.pages = NULL};
}
