/* publish.h - writes a new version of the file next to the newest one and makes it the newest: the checkpoint.
 *
 * Locking: both functions take the store's publishing lock.
 */
#ifndef RHUMB_STORAGE_PUBLISH_PUBLISH_H
#define RHUMB_STORAGE_PUBLISH_PUBLISH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/* Called with a copy of the rows [first_row, first_row + row_count) of a mutable section, to change them into what the
 * version that is being published should hold. Returns whether it changed anything that the section itself still has.
 */
typedef bool (*rhumb__row_filter)(void *context, const rhumb__section *section, uint64_t first_row, uint8_t *rows,
                                  uint64_t row_count);

/* Called once all sections have been copied whose `copied_first` is set. It does not fail. */
typedef void (*rhumb__sections_copied)(void *context);

/* Asked immediately before the superblock is written: whether this version may still become the newest. A failure is
 * final, like one of the disk at that moment. */
typedef rhumb_status (*rhumb__still_allowed)(void *context);

/* A version to publish. Each section has as many rows of it as its next_row_count says, never fewer than published
 * before. */
typedef struct rhumb__publication {
    uint8_t client[RHUMB__CLIENT_BYTES];
    uint64_t features_read; /* of RHUMB__FEATURES_READ_KNOWN, those that the version uses */
    rhumb__row_filter filter;
    rhumb__sections_copied sections_copied; /* may be NULL */
    rhumb__still_allowed still_allowed;     /* may be NULL */
    void *context;                          /* of all three */
    uint64_t bytes_per_second;              /* average rate of writing; 0: as fast as possible */
    const _Atomic bool *hurry; /* once it is true the rate does not count any more; NULL: it always counts */
    bool current_sections;     /* of rhumb__store_write_ahead: not the next sections, even if there are any */
    bool whole_pieces;         /* of rhumb__store_write_ahead: rows that do not fill a large page wait */
    bool pull_down;            /* move extents near the end of the file to free blocks at lower offsets */
    uint64_t written_bytes;    /* out */
} rhumb__publication;

/* Writes what changed, then the directory, syncs, writes the superblock, syncs. The caller guarantees that the
 * published rows of append-only sections are complete; chunks of mutable sections are copied one by one under their
 * locks.
 *
 * RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_NOMEM, RHUMB_E_IO: nothing has changed, and it may be tried again.
 * RHUMB_E_FATAL: it is unknown which version the disk has; nothing may be written any more. */
rhumb_status rhumb__store_publish(rhumb__store *store, rhumb__publication *publication) RHUMB_NODISCARD;

/* Writes rows of append-only sections, of the next sections if there are any, to the blocks where a later version is
 * going to have them, up to the next_row_count of each, and releases their memory. Publishes nothing: a crash leaves
 * free blocks. Only the rate of `publication`, current_sections and whole_pieces are used; mutable sections are left
 * alone. With whole_pieces up to RHUMB__LARGE_PAGE_BYTES of each section stay in memory, so that the system gets each
 * large page in one write. Fails as rhumb__store_publish does. */
rhumb_status rhumb__store_write_ahead(rhumb__store *store, rhumb__publication *publication) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_PUBLISH_PUBLISH_H */
