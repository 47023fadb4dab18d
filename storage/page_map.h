/* page_map.h - which pages of a section are in memory, as far as is known: for sections that memory cannot hold, so
 * that a search can go on with what is there while what is not is being read.
 *
 * The kernel drops pages silently, so what is known is forgotten again soon. Time is counted in searches: what
 * a search, or one of the few before it, has found out of a page counts, and after that the page is unknown. Pages of
 * rows that are in no file yet are in memory.
 */
#ifndef RHUMB_STORAGE_PAGE_MAP_H
#define RHUMB_STORAGE_PAGE_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RHUMB__MAPPED_PAGE_BYTES 4096u

typedef enum rhumb__page_state {
    RHUMB__PAGE_UNKNOWN = 0,
    RHUMB__PAGE_PRESENT = 1,
    RHUMB__PAGE_ASKED = 2 /* it has been asked for, and was not there when it was last looked at */
} rhumb__page_state;

/* Whether the page of an address is in memory, as the kernel says; true where it does not tell. */
bool rhumb__page_is_resident(const void *address);

/* The searches for which a page's state counts: with more, pages that have been dropped would be taken for present,
 * and waited for one by one; with fewer, threads that search at the same time would not profit from each other. */
#define RHUMB__PAGE_SEARCHES_VALID 8u

/* A note of a page: its state in the two highest bits, and the number of searches before, modulo the rest. */
#define RHUMB__PAGE_NOTE_BITS 14u
#define RHUMB__PAGE_NOTE_MASK ((1u << RHUMB__PAGE_NOTE_BITS) - 1)

typedef struct rhumb__page_map {
    uint8_t *base; /* the first page */
    uint64_t page_count;
    _Atomic uint32_t search_count;
    _Atomic uint16_t notes[];
} rhumb__page_map;

/* A map of the pages that begin at `base`, a multiple of a page; all are unknown. NULL: there is no memory. The caller
 * frees it (rhumb__free). */
rhumb__page_map *rhumb__page_map_new(void *base, uint64_t bytes);

/* To be called after each search. Thread-safe, as all of these. */
static inline void rhumb__page_map_searched(rhumb__page_map *map) {
    (void)atomic_fetch_add_explicit(&map->search_count, 1, memory_order_relaxed);
}

/* Asks the kernel about the page of an address. */
bool rhumb__page_map_look(rhumb__page_map *map, const void *address);

/* The place of a page's note, or NULL for addresses beyond the map, which are in memory. Notes are hints: relaxed loads
 * and stores. */
static inline _Atomic uint16_t *rhumb__page_map_note(rhumb__page_map *map, const void *address) {
    const uint64_t page = ((uintptr_t)address - (uintptr_t)map->base) / RHUMB__MAPPED_PAGE_BYTES;
    return page < map->page_count ? &map->notes[page] : NULL;
}

static inline rhumb__page_state rhumb__page_map_get(rhumb__page_map *map, const void *address) {
    const _Atomic uint16_t *place = rhumb__page_map_note(map, address);
    if (place == NULL) return RHUMB__PAGE_PRESENT;
    const uint32_t note = atomic_load_explicit(place, memory_order_relaxed);
    const uint32_t now = atomic_load_explicit(&map->search_count, memory_order_relaxed);
    if (((now - note) & RHUMB__PAGE_NOTE_MASK) >= RHUMB__PAGE_SEARCHES_VALID) return RHUMB__PAGE_UNKNOWN;
    return (rhumb__page_state)(note >> RHUMB__PAGE_NOTE_BITS);
}

static inline void rhumb__page_map_set(rhumb__page_map *map, const void *address, rhumb__page_state state) {
    _Atomic uint16_t *place = rhumb__page_map_note(map, address);
    if (place == NULL) return;
    const uint32_t now = atomic_load_explicit(&map->search_count, memory_order_relaxed);
    const uint32_t note = (uint32_t)state << RHUMB__PAGE_NOTE_BITS | (now & RHUMB__PAGE_NOTE_MASK);
    if (atomic_load_explicit(place, memory_order_relaxed) == note) return;
    atomic_store_explicit(place, (uint16_t)note, memory_order_relaxed);
}

#endif /* RHUMB_STORAGE_PAGE_MAP_H */
