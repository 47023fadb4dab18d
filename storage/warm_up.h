/* warm_up.h - reading a cold store into the page cache in the background.
 *
 * A cold store (residency.h) reads single rows, as its searches ask for them, so its first answer comes soon; but a
 * thousand searches later most of it is still on the disk. A thread that reads the sections one after the other, in the
 * largest pieces, has all of it there much sooner, and as large pages. Small sections are first: they are those that
 * every search needs.
 *
 * Of a store that memory cannot hold, what the list of hot pages has (hot_pages.h) is read, up to half of the memory
 * that this process may use. Without a list there is no warm-up.
 */
#ifndef RHUMB_STORAGE_WARM_UP_H
#define RHUMB_STORAGE_WARM_UP_H

#include "storage/store.h"

typedef struct rhumb__warm_up_progress {
    uint64_t done_bytes;
    uint64_t total_bytes; /* 0: there is no warm-up */
} rhumb__warm_up_progress;

/* Starts the thread of a store that has just been opened, if the store is cold or memory cannot hold it. It begins to
 * read at once, or when the
 * first search has been answered, with which it would compete for the disk. Without memory there is none. */
void rhumb__warm_up_start(rhumb__store *store, bool at_once);

/* To be called by a search of such a store when it has its answer. Takes no lock. */
void rhumb__warm_up_allow(rhumb__store *store);

/* Ends the thread, which takes as long as reading one piece. Closing a store begins with it. */
void rhumb__warm_up_stop(rhumb__store *store);

rhumb__warm_up_progress rhumb__warm_up_progress_of(const rhumb__store *store);

#endif /* RHUMB_STORAGE_WARM_UP_H */
