/* reclaim.h - how blocks become free again: when no version that can still be needed refers to them.
 *
 * Locking: rhumb__store_trim takes the store's publishing lock; the others expect it to be held, or the store to be
 * known to no other thread yet.
 */
#ifndef RHUMB_STORAGE_RECLAIM_H
#define RHUMB_STORAGE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/* At the opening of a writer: every block that neither the newest version nor `previous` (NULL when it cannot be used)
 * refers to is noted as retired. RHUMB_E_CORRUPT, RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__store_find_free(rhumb__store *store, const rhumb__superblock *previous) RHUMB_NODISCARD;

/* Retires blocks: the version `last_epoch` is the last to refer to them. Without memory for the note they stay unused
 * until the next open. */
void rhumb__store_retire(rhumb__store *store, uint64_t last_epoch, uint64_t offset, uint64_t bytes);

/* Makes those retired blocks free that no superblock on the disk and no pinned version can refer to. Returns whether
 * some of the others are kept only by a reader's pin. */
bool rhumb__store_reclaim(rhumb__store *store);

/* In builds with debug asserts: checks that no block that the newest version refers to is free. */
void rhumb__store_assert_used(const rhumb__store *store);

/* Releases free blocks to the file system, and cuts off the free end of the file; *left_out is whether blocks are left
 * that only a reader's pin keeps. RHUMB_E_IO. */
rhumb_status rhumb__store_trim(rhumb__store *store, bool *left_out) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_RECLAIM_H */
