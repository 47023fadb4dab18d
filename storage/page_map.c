/* page_map.c - see page_map.h.
 *
 * Owns nothing but the map. Locking: none; threads that refresh at the same time look at different spans, and what one
 * notes over the other is as good.
 *
 * To a process that does not own the file and may not write to it, the kernel says that every page is there: its
 * searches wait for each page that is not.
 */
#define _GNU_SOURCE
#include "storage/page_map.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bits.h"

/* What is looked at in one go: it takes some tens of microseconds. */
#define SPAN_PAGES 1024u

bool rhumb__page_is_resident(const void *address) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned char found = 1;
    void *page = (void *)rhumb__round_down((uintptr_t)address, page_bytes);
    return mincore(page, page_bytes, &found) != 0 || (found & 1) != 0;
}

rhumb__page_map *rhumb__page_map_new(void *base, uint64_t bytes) {
    const uint64_t page_count = bytes / RHUMB__MAPPED_PAGE_BYTES + (bytes % RHUMB__MAPPED_PAGE_BYTES != 0);
    rhumb__page_map *map = rhumb__alloc_zeroed(offsetof(rhumb__page_map, states) + page_count, 1);
    if (map == NULL) return NULL;
    map->base = base;
    map->page_count = page_count;
    return map;
}

void rhumb__page_map_refresh(rhumb__page_map *map) {
    unsigned char found[SPAN_PAGES];
    if (map->page_count == 0) return;
    const uint64_t span_count = (map->page_count + SPAN_PAGES - 1) / SPAN_PAGES;
    const uint64_t begin = atomic_fetch_add_explicit(&map->next, 1, memory_order_relaxed) % span_count * SPAN_PAGES;
    const uint64_t count = rhumb__min_u64(map->page_count - begin, SPAN_PAGES);
    if (mincore(map->base + begin * RHUMB__MAPPED_PAGE_BYTES, count * RHUMB__MAPPED_PAGE_BYTES, found) != 0) return;
    for (uint64_t i = 0; i < count; i++) {
        atomic_store_explicit(&map->states[begin + i], found[i] & 1, memory_order_relaxed);
    }
}

bool rhumb__page_map_look(rhumb__page_map *map, const void *address) {
    if (!rhumb__page_is_resident(address)) return false;
    rhumb__page_map_set(map, address, RHUMB__PAGE_PRESENT);
    return true;
}
