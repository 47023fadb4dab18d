/* residency.h - whether memory can hold the mapped sections of a store, and what advice the kernel gets accordingly.
 *
 * An index that fits is soon read completely anyway: large pages mean fewer faults, and fewer entries of the page table
 * afterwards. Of one that does not, single rows are read from all over the disk, and every byte that is read along with
 * a row displaces another one: no read-ahead and no large pages, and code that knows which rows come next asks for them
 * (engine/search/walk/read_ahead.h).
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

/* Judges again, and advises the kernel on all sections if the verdict has changed. To be called when all sections are
 * attached, and whenever the published rows have grown; under the publishing lock in a store that others know. */
void rhumb__residency_review(rhumb__store *store);

/* Advises the kernel on a part of a section that has just been written and mapped: its pages are in the page cache,
 * and entering them into the page tables here saves the searches a fault on each. Under the publishing lock. */
void rhumb__residency_advise(const rhumb__store *store, void *address, uint64_t bytes);

#endif /* RHUMB_STORAGE_RESIDENCY_H */
