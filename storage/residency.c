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

#include "base/bits.h"
#include "base/memory_limit.h"
#include "storage/warm_up.h"

/* A smaller index is read in some milliseconds, however that is done. */
#define COLD_BYTES_MIN (UINT64_C(16) << 20)
#define COLD_SHARE_MAX 0.75 /* of a store that is cold, when it is opened */
#define WARM_SHARE_MIN 0.97 /* of one that is cold no longer */
#define SAMPLE_COUNT 32u
#define SEARCHES_PER_LOOK 16u
#define HELD_SHARE_OF_LIMIT 0.75 /* of the memory that this process may use: what sections that are held take at most */
#define HELD_SHARE_MIN 0.8       /* of a section that stays held */
#define SEARCHES_PER_REVIEW 256u

/* Of a held section that is used after each search. What is held takes at most three times as much as what is left for
 * the rest, of which a search reads some dozens of pages: with this, all of a section has been used before as much has
 * been read as there is room for. With half of it the kernel dropped codes, and searches waited for them, page by
 * page. */
#define KEPT_SPAN_BYTES (UINT64_C(256) << 10)

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
    uint32_t resident_count = 0;
    for (uint64_t i = 0; i < SAMPLE_COUNT; i++) {
        const uint64_t begin = bytes / SAMPLE_COUNT * i;
        const uint64_t offset = begin + rhumb__mix64(seed + i) % rhumb__max_u64(bytes / SAMPLE_COUNT, 1);
        const uint8_t *address = address_of(store, offset);
        resident_count += address == NULL ? 1 : rhumb__page_is_resident(address);
    }
    return (double)resident_count / SAMPLE_COUNT;
}

/* ---- what is held ---- */

double rhumb__residency_share(const rhumb__store *store, const rhumb__section *section) {
    const double bytes = (double)rhumb__section_mapped_bytes(section);
    double left_bytes = HELD_SHARE_OF_LIMIT * (double)rhumb__memory_limit_bytes();
    for (uint32_t i = 0; i < store->section_count; i++) {
        const rhumb__section *other = store->sections[i];
        if (other != section && other->spec.residency_rank <= section->spec.residency_rank) {
            left_bytes -= (double)rhumb__section_mapped_bytes(other);
        }
    }
    if (left_bytes <= 0) return 0;
    return left_bytes >= bytes ? 1 : left_bytes / bytes;
}

bool rhumb__residency_is_to_hold(const rhumb__store *store, const rhumb__section *section) {
    return rhumb__residency_share(store, section) >= 1;
}

/* Reads what is missing of a range, and tells the kernel that all of it is in use: it takes no notice of what is
 * touched in a mapping that is read at random. */
static void use_range(uint8_t *address, uint64_t bytes) {
    (void)madvise(address, bytes, MADV_WILLNEED);
#if defined(MADV_POPULATE_READ)
    (void)madvise(address, bytes, MADV_POPULATE_READ);
#endif
}

void rhumb__residency_hold(rhumb__store *store, uint32_t section_id) {
    rhumb__mutex_lock(&store->publish_lock); /* a compaction replaces sections */
    for (uint32_t i = 0; i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const uint64_t bytes = rhumb__section_mapped_bytes(section);
        if (section->spec.id != section_id || bytes == 0) continue;
        use_range(section->base, rhumb__round_up(bytes, RHUMB__BLOCK_BYTES));
        atomic_store_explicit(&section->held, true, memory_order_relaxed);
    }
    rhumb__mutex_unlock(&store->publish_lock);
}

/* Keeps a section in memory by using a part of it after each search. So all of it is used before a search's reads have
 * displaced what was used before them. With the publishing lock held, as what follows. */
static void keep(rhumb__section *section) {
    const uint64_t bytes = rhumb__section_mapped_bytes(section);
    const uint64_t span_count = bytes / KEPT_SPAN_BYTES + 1;
    const uint64_t number = atomic_fetch_add_explicit(&section->kept_span, 1, memory_order_relaxed) % span_count;
    const uint64_t begin = number * KEPT_SPAN_BYTES;
    if (begin < bytes) use_range(section->base + begin, rhumb__min_u64(KEPT_SPAN_BYTES, bytes - begin));
}

/* Lets go of held sections of which the kernel has dropped much. */
static void review_held(rhumb__store *store, uint64_t seed) {
    for (uint32_t i = 0; i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const uint64_t bytes = rhumb__section_mapped_bytes(section);
        if (bytes == 0 || !atomic_load_explicit(&section->held, memory_order_relaxed)) continue;
        uint32_t resident_count = 0;
        for (uint64_t k = 0; k < SAMPLE_COUNT; k++) {
            resident_count += rhumb__page_is_resident(section->base + rhumb__mix64(seed + k) % bytes);
        }
        if (resident_count >= HELD_SHARE_MIN * SAMPLE_COUNT) continue;
        atomic_store_explicit(&section->held, false, memory_order_relaxed);
    }
}

/* ---- advice ---- */

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

/* Before others know the store: those that come later are read as if all of their pages were there. */
static void map_pages(rhumb__store *store) {
    for (uint32_t i = 0; i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        const uint64_t bytes = rhumb__section_mapped_bytes(section);
        if (bytes > 0 && section->spec.maps_pages) section->page_map = rhumb__page_map_new(section->base, bytes);
    }
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
    if (by_rows && !store->is_advised) map_pages(store);
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

static void refresh(rhumb__store *store) {
    for (uint32_t i = 0; i < store->section_count; i++) {
        rhumb__section *section = store->sections[i];
        if (atomic_load_explicit(&section->held, memory_order_relaxed)) {
            keep(section);
        } else if (section->page_map != NULL) {
            rhumb__page_map_searched(section->page_map);
        }
    }
}

void rhumb__residency_look(rhumb__store *store) {
    const uint64_t count = atomic_fetch_add_explicit(&store->cold_search_count, 1, memory_order_relaxed);
    if (count == 0) rhumb__warm_up_allow(store);
    if (!rhumb__mutex_trylock(&store->publish_lock)) return; /* another thread is at it, or a checkpoint */
    refresh(store);
    const bool cold = rhumb__store_is_cold(store);
    if (cold && count % SEARCHES_PER_LOOK == SEARCHES_PER_LOOK - 1 &&
        rhumb__residency_sample(store, count) >= WARM_SHARE_MIN) {
        become_warm(store);
        return;
    }
    if (!cold && count % SEARCHES_PER_REVIEW == SEARCHES_PER_REVIEW - 1) review_held(store, count);
    rhumb__mutex_unlock(&store->publish_lock);
}
