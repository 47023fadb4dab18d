/* residency.c - see residency.h. Owns store->exceeds_memory, is_cold and reads_ahead. Everything it tells the kernel is
 * advice: what fails has cost speed, nothing else.
 *
 * A store is cold if it fits into memory, is large enough for that to matter, and lacks a quarter of its pages when its
 * sections have just been attached; until it has nearly all. The kernel is asked for single pages, so that the cost
 * does not grow with the file. It answers the owner of a file and those who may write to it; to others every page seems
 * to be there, so nothing is cold for them. While a store is cold, reads through its file handle (superblocks, small
 * pieces of a warm-up) read no more than they return.
 *
 * Locking: after opening, all of it happens under the publishing lock. A search that looks only tries to take it.
 */
#define _GNU_SOURCE
#include "storage/residency.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/memory_limit.h"
#include "storage/warm_up.h"

/* A smaller index is read in some milliseconds, however that is done. */
#define COLD_BYTES_MIN (UINT64_C(16) << 20)
#define COLD_SHARE_MAX 0.75 /* of a store that is cold, when it is opened */
#define WARM_SHARE_MIN 0.97 /* of one that is cold no longer */
#define SAMPLE_COUNT 32u
#define SEARCHES_PER_LOOK 16u

uint64_t rhumb__residency_mapped_bytes(const rhumb__store *store) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < store->section_count; i++) bytes += rhumb__section_mapped_bytes(store->sections[i]);
    return bytes;
}

/* The address of that byte of all mapped sections, one after the other. */
static const uint8_t *address_of(const rhumb__store *store, uint64_t offset) {
    for (uint32_t i = 0; i < store->section_count; i++) {
        const uint64_t bytes = rhumb__section_mapped_bytes(store->sections[i]);
        if (offset < bytes) return store->sections[i]->base + offset;
        offset -= bytes;
    }
    return NULL;
}

double rhumb__residency_sample(const rhumb__store *store, uint64_t seed) {
    const uint64_t bytes = rhumb__residency_mapped_bytes(store);
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint32_t resident_count = 0;
    for (uint64_t i = 0; i < SAMPLE_COUNT; i++) {
        const uint64_t begin = bytes / SAMPLE_COUNT * i;
        const uint64_t offset = begin + rhumb__mix64(seed + i) % rhumb__max_u64(bytes / SAMPLE_COUNT, 1);
        const uint8_t *address = address_of(store, offset);
        unsigned char found = 1;
        if (address == NULL) return 1;
        void *page = (void *)rhumb__round_down((uintptr_t)address, page_bytes);
        if (mincore(page, page_bytes, &found) != 0) return 1;
        resident_count += found & 1;
    }
    return (double)resident_count / SAMPLE_COUNT;
}

static void advise(uint8_t *address, uint64_t bytes, bool by_rows) {
    if (by_rows) {
        /* On a mapping with large pages a fault would read 2 MiB, whatever MADV_RANDOM says. */
        (void)madvise(address, bytes, MADV_NOHUGEPAGE);
        (void)madvise(address, bytes, MADV_RANDOM);
    } else if (bytes >= RHUMB__LARGE_PAGE_BYTES) {
        (void)madvise(address, bytes, MADV_HUGEPAGE);
    }
}

void rhumb__residency_advise(const rhumb__store *store, void *address, uint64_t bytes) {
    if (rhumb__store_reads_ahead(store)) {
        advise(address, bytes, true);
        return;
    }
#if defined(MADV_POPULATE_READ)
    (void)madvise(address, bytes, MADV_POPULATE_READ);
#endif
}

void rhumb__residency_review(rhumb__store *store) {
    const uint64_t bytes = rhumb__residency_mapped_bytes(store);
    const bool exceeds = bytes > rhumb__memory_limit_bytes() / 2;
    const bool may_be_cold = !exceeds && bytes >= COLD_BYTES_MIN;
    bool cold = may_be_cold && rhumb__store_is_cold(store);
    if (may_be_cold && !store->is_advised)
        cold = rhumb__residency_sample(store, store->superblock.epoch) < COLD_SHARE_MAX;
    const bool by_rows = exceeds || cold;
    const bool changed = by_rows != rhumb__store_reads_ahead(store);
    atomic_store_explicit(&store->exceeds_memory, exceeds, memory_order_relaxed);
    atomic_store_explicit(&store->is_cold, cold, memory_order_relaxed);
    if (!by_rows) rhumb__io_read_exactly(store->io, false);
    if (store->is_advised && !changed) return;
    store->is_advised = true;
    atomic_store_explicit(&store->reads_ahead, by_rows, memory_order_relaxed);
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *section = store->sections[i];
        const uint64_t section_bytes = rhumb__round_up(rhumb__section_mapped_bytes(section), RHUMB__BLOCK_BYTES);
        if (section_bytes == 0) continue;
        if (changed && !by_rows) (void)madvise(section->base, section_bytes, MADV_NORMAL);
        advise(section->base, section_bytes, by_rows);
    }
}

/* With the publishing lock held, which it releases. */
static void become_warm(rhumb__store *store) {
    atomic_store_explicit(&store->is_cold, false, memory_order_relaxed);
    rhumb__residency_review(store);
    rhumb__mutex_unlock(&store->publish_lock);
}

void rhumb__residency_warmed(rhumb__store *store) {
    /* Otherwise a search will notice. */
    if (rhumb__mutex_trylock(&store->publish_lock)) become_warm(store);
}

void rhumb__residency_look(rhumb__store *store) {
    const uint64_t count = atomic_fetch_add_explicit(&store->cold_search_count, 1, memory_order_relaxed);
    if (count == 0) rhumb__warm_up_allow(store);
    if (!rhumb__store_is_cold(store)) return;
    if (count % SEARCHES_PER_LOOK != SEARCHES_PER_LOOK - 1 || !rhumb__mutex_trylock(&store->publish_lock)) return;
    if (rhumb__residency_sample(store, count) >= WARM_SHARE_MIN) {
        become_warm(store);
    } else {
        rhumb__mutex_unlock(&store->publish_lock);
    }
}
