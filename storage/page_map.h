/* page_map.h - which pages of a section are in memory, as far as is known: for sections that memory cannot hold, so
 * that a search can go on with what is there while what is not is being read.
 *
 * The kernel is asked for many pages at a time, a span after each search, so what is known is somewhat old. A page that
 * is believed to be in memory and is not is read when it is touched; one that is, and is believed not to be, is asked
 * for in vain. Pages of rows that are in no file yet are in memory.
 */
#ifndef RHUMB_STORAGE_PAGE_MAP_H
#define RHUMB_STORAGE_PAGE_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RHUMB__MAPPED_PAGE_BYTES 4096u

typedef enum rhumb__page_state {
    RHUMB__PAGE_ABSENT = 0,
    RHUMB__PAGE_PRESENT = 1,
    RHUMB__PAGE_ASKED = 2 /* it has been asked for, and was not there when it was last looked at */
} rhumb__page_state;

/* Whether the page of an address is in memory, as the kernel says; true where it does not tell. */
bool rhumb__page_is_resident(const void *address);

typedef struct rhumb__page_map {
    uint8_t *base; /* the first page */
    uint64_t page_count;
    _Atomic uint64_t next; /* pages from here on are looked at next */
    _Atomic uint8_t states[];
} rhumb__page_map;

/* A map of the pages that begin at `base`, a multiple of a page; all are absent. NULL: there is no memory. The caller
 * frees it (rhumb__free). */
rhumb__page_map *rhumb__page_map_new(void *base, uint64_t bytes);

/* Asks the kernel about the next pages. Thread-safe, as all of these. */
void rhumb__page_map_refresh(rhumb__page_map *map);

/* Asks the kernel about the page of an address. */
bool rhumb__page_map_look(rhumb__page_map *map, const void *address);

/* The place of a page's state, or NULL for addresses beyond the map, which are in memory. The states are hints: relaxed
 * loads and stores. */
static inline _Atomic uint8_t *rhumb__page_map_state(rhumb__page_map *map, const void *address) {
    const uint64_t page = ((uintptr_t)address - (uintptr_t)map->base) / RHUMB__MAPPED_PAGE_BYTES;
    return page < map->page_count ? &map->states[page] : NULL;
}

static inline rhumb__page_state rhumb__page_map_get(rhumb__page_map *map, const void *address) {
    const _Atomic uint8_t *state = rhumb__page_map_state(map, address);
    if (state == NULL) return RHUMB__PAGE_PRESENT;
    return (rhumb__page_state)atomic_load_explicit(state, memory_order_relaxed);
}

static inline void rhumb__page_map_set(rhumb__page_map *map, const void *address, rhumb__page_state now) {
    _Atomic uint8_t *state = rhumb__page_map_state(map, address);
    if (state == NULL || atomic_load_explicit(state, memory_order_relaxed) == (uint8_t)now) return;
    atomic_store_explicit(state, (uint8_t)now, memory_order_relaxed);
}

#endif /* RHUMB_STORAGE_PAGE_MAP_H */
