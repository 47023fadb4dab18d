/* kept_versions.h - the versions of a file whose blocks a writer must not reuse, and which blocks these are.
 *
 * A writer knows the newest two versions, and those older ones that readers held when they left the newest two. A
 * version is *kept* while a reader pins it; what it keeps are its own blocks, not all that has been retired since.
 *
 * Locking: the functions expect the store's publishing lock to be held, or the store to be known to no other thread
 * yet.
 */
#ifndef RHUMB_STORAGE_KEPT_VERSIONS_H
#define RHUMB_STORAGE_KEPT_VERSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/* Notes a version that the writer has found or published; by ascending epochs. RHUMB_E_NOMEM. */
rhumb_status rhumb__kept_versions_add(rhumb__store *store, const rhumb__kept_version *version) RHUMB_NODISCARD;

/* Makes sure that the next call of rhumb__kept_versions_add needs no memory. RHUMB_E_NOMEM. */
rhumb_status rhumb__kept_versions_make_room(rhumb__store *store) RHUMB_NODISCARD;

/* Where the version of a superblock has its directory. */
rhumb__kept_version rhumb__kept_version_of(const rhumb__superblock *superblock);

/* Forgets the versions older than the newest two that no reader pins any more, and finds out which blocks the others
 * keep. Returns the lowest epoch that is pinned while it is not known which blocks it needs, UINT64_MAX if there is
 * none: it may need any block that was retired with that epoch or a later one. */
uint64_t rhumb__kept_versions_update(rhumb__store *store);

/* The first part of [*begin, end) that a kept version needs; false when there is none. */
bool rhumb__kept_versions_need(const rhumb__store *store, uint64_t *begin, uint64_t *end);

/* The records that the version of `epoch`, which is going to be the newest, has of the versions that are going to be
 * older than the newest two. *kept_out is the caller's (rhumb__free), NULL when there are none. RHUMB_E_NOMEM. */
rhumb_status rhumb__kept_versions_list(rhumb__store *store, uint64_t epoch, rhumb__kept_version **kept_out,
                                       uint32_t *count_out) RHUMB_NODISCARD;

void rhumb__kept_versions_clear(rhumb__store *store);

#endif /* RHUMB_STORAGE_KEPT_VERSIONS_H */
