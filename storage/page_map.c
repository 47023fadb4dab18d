/* page_map.c - see page_map.h.
 *
 * Owns nothing but the map. Locking: none; what one thread notes over the other is as good.
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

bool rhumb__page_is_resident(const void *address) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned char found = 1;
    void *page = (void *)rhumb__round_down((uintptr_t)address, page_bytes);
    return mincore(page, page_bytes, &found) != 0 || (found & 1) != 0;
}

rhumb__page_map *rhumb__page_map_new(void *base, uint64_t bytes) {
    const uint64_t page_count = bytes / RHUMB__MAPPED_PAGE_BYTES + (bytes % RHUMB__MAPPED_PAGE_BYTES != 0);
    rhumb__page_map *map = rhumb__alloc_zeroed(offsetof(rhumb__page_map, notes) + page_count * sizeof(uint16_t), 1);
    if (map == NULL) return NULL;
    map->base = base;
    map->page_count = page_count;
    return map;
}

bool rhumb__page_map_look(rhumb__page_map *map, const void *address) {
    if (!rhumb__page_is_resident(address)) return false;
    rhumb__page_map_set(map, address, RHUMB__PAGE_PRESENT);
    return true;
}
