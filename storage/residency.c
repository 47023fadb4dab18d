/* residency.c - see residency.h. Owns store->exceeds_memory. Everything it tells the kernel is advice: what fails has
 * cost speed, nothing else. */
#define _GNU_SOURCE
#include "storage/residency.h"

#include <sys/mman.h>

#include "base/bits.h"
#include "base/memory_limit.h"

/* The published bytes that are mapped; 0 for a section of which a reader needs the length alone. */
static uint64_t mapped_bytes(const rhumb__section *section) {
    return section->spec.unmapped ? 0 : section->published_row_count * section->row_stride_bytes;
}

static void advise(uint8_t *address, uint64_t bytes, bool exceeds) {
    if (exceeds) {
        /* On a mapping with large pages a fault would read 2 MiB, whatever MADV_RANDOM says. */
        (void)madvise(address, bytes, MADV_NOHUGEPAGE);
        (void)madvise(address, bytes, MADV_RANDOM);
    } else if (bytes >= RHUMB__LARGE_PAGE_BYTES) {
        (void)madvise(address, bytes, MADV_HUGEPAGE);
    }
}

void rhumb__residency_advise(const rhumb__store *store, void *address, uint64_t bytes) {
    if (rhumb__store_exceeds_memory(store)) {
        advise(address, bytes, true);
        return;
    }
#if defined(MADV_POPULATE_READ)
    (void)madvise(address, bytes, MADV_POPULATE_READ);
#endif
}

void rhumb__residency_review(rhumb__store *store) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < store->section_count; i++) bytes += mapped_bytes(store->sections[i]);
    const bool exceeds = bytes > rhumb__memory_limit_bytes() / 2;
    const bool changed = exceeds != rhumb__store_exceeds_memory(store);
    if (store->is_advised && !changed) return;
    store->is_advised = true;
    atomic_store_explicit(&store->exceeds_memory, exceeds, memory_order_relaxed);
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *section = store->sections[i];
        const uint64_t section_bytes = rhumb__round_up(mapped_bytes(section), RHUMB__BLOCK_BYTES);
        if (section_bytes == 0) continue;
        if (changed && !exceeds) (void)madvise(section->base, section_bytes, MADV_NORMAL);
        advise(section->base, section_bytes, exceeds);
    }
}
