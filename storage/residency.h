/* residency.h - whether memory can hold the mapped sections of a store, whether they are in memory now, and what advice
 * the kernel gets accordingly.
 *
 * An index that fits is soon read completely anyway: large pages mean fewer faults, and fewer entries of the page table
 * afterwards. Of one that does not, single rows are read from all over the disk, and every byte that is read along with
 * a row displaces another one: no read-ahead and no large pages, and code that knows which rows come next asks for them
 * (engine/search/walk/read_ahead.h).
 *
 * Of an index that does not fit, some sections do: those that each step of a search reads, codes before lists. They are
 * *held*: read into memory in the background (warm_up.h), locked there if the system lets this process, and from then
 * on used as in an index that fits. If the kernel drops them all the same, they are held no longer.
 *
 * The same holds, for a time, where an index that fits is not in memory yet: with large pages each fault reads 2 MiB
 * and more, so a first search that touches some thousand rows would read most of the file before it answers. Such a
 * store is *cold*, and is treated as one that does not fit until nearly all of its pages are there.
 */
#ifndef RHUMB_STORAGE_RESIDENCY_H
#define RHUMB_STORAGE_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/* Whether the mapped sections together are more than half of what this process may use (base/memory_limit.h), as of the
 * last review. */
static inline bool rhumb__store_exceeds_memory(const rhumb__store *store) {
    /* Nothing else is read because of it, so relaxed is enough. */
    return atomic_load_explicit(&store->exceeds_memory, memory_order_relaxed);
}

/* Whether code that knows which rows come next should ask for them: memory cannot hold them, or does not hold them
 * yet. */
static inline bool rhumb__store_reads_ahead(const rhumb__store *store) {
    return atomic_load_explicit(&store->reads_ahead, memory_order_relaxed);
}

/* Whether the store is cold. It can be from its opening on, never later. */
static inline bool rhumb__store_is_cold(const rhumb__store *store) {
    return atomic_load_explicit(&store->is_cold, memory_order_relaxed);
}

/* Whether rows of a section should be asked for before they are read. */
static inline bool rhumb__section_reads_ahead(const rhumb__store *store, const rhumb__section *section) {
    return __builtin_expect(rhumb__store_reads_ahead(store), 0) &&
           !atomic_load_explicit(&section->held, memory_order_relaxed);
}

/* Whether a section is to be held: all whose rank is not higher fit into three quarters of the memory that this process
 * may use, together with it. Under the publishing lock, or before others know the store. */
bool rhumb__residency_is_to_hold(const rhumb__store *store, const rhumb__section *section);

/* The share of a section that memory can keep next to the sections of lower ranks: 0 to 1. */
double rhumb__residency_share(const rhumb__store *store, const rhumb__section *section);

/* Holds a section that has been read into memory. Takes the publishing lock. */
void rhumb__residency_hold(rhumb__store *store, uint32_t section_id);

/* Slow path of rhumb__residency_searched. */
void rhumb__residency_look(rhumb__store *store);

/* To be called after each search: now and then looks whether a cold store still is, and whether what is held is in
 * memory. Takes no lock that it would have to wait for. */
static inline void rhumb__residency_searched(rhumb__store *store) {
    if (__builtin_expect(rhumb__store_reads_ahead(store), 0)) rhumb__residency_look(store);
}

/* The bytes of all mapped sections. Under the publishing lock in a store that others know. */
uint64_t rhumb__residency_mapped_bytes(const rhumb__store *store);

/* To be called when all sections have been read into memory: the store is cold no longer. Waits for no lock. */
void rhumb__residency_warmed(rhumb__store *store);

/* The share of the mapped pages that are in memory, from 0 to 1, by a sample of them that is another one for another
 * `seed`; 1 where the system does not tell. Under the publishing lock in a store that others know. */
double rhumb__residency_sample(const rhumb__store *store, uint64_t seed);

/* Judges again, and advises the kernel on all sections if the verdict has changed. To be called when all sections are
 * attached, and whenever the published rows have grown; under the publishing lock in a store that others know. */
void rhumb__residency_review(rhumb__store *store);

/* Advises the kernel on a part of a section that has just been written and mapped: its pages are in the page cache,
 * and entering them into the page tables here saves the searches a fault on each. Under the publishing lock. */
void rhumb__residency_advise(const rhumb__store *store, void *address, uint64_t bytes);

#endif /* RHUMB_STORAGE_RESIDENCY_H */
