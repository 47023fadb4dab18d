/* renewal.h - writing rows of an append-only section again.
 *
 * No version of the file changes by that. A writer changes its own memory and notes which chunks have changed; the next
 * publication writes the granules around these to new blocks, and the old ones are retired, as those of a mutable
 * section are. Until then a crash, or closing, leaves the rows as they were. So this is for rows of which any of two
 * states will do, such as derived ones.
 *
 * The rows of a section are read without a lock. It is the client's part that no thread reads those that are written.
 *
 * Locking: the store's publishing lock is held from rhumb__renewal_begin to rhumb__renewal_end, so no publication is
 * under way, and guards the notes.
 */
#ifndef RHUMB_STORAGE_RENEWAL_H
#define RHUMB_STORAGE_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

/* Begins to write rows of a writer's section again. RHUMB_E_NOMEM, and what rhumb__store_check returns: then it has not
 * begun. */
rhumb_status rhumb__renewal_begin(rhumb__store *store, rhumb__section *section) RHUMB_NODISCARD;

/* Replaces a row, which may be one that has not been published. */
void rhumb__renewal_write(rhumb__section *section, uint64_t row, const void *bytes);

void rhumb__renewal_end(rhumb__store *store);

/* ---- for publications ---- */

/* What is written to new blocks as one: a power of two of chunks, so many that a section has a limited number; of a
 * large section whole large pages. */
uint64_t rhumb__renewal_granule_bytes(const rhumb__section *section);

/* Whether chunks that begin in [begin, end) have changed. */
bool rhumb__renewal_is_needed(const rhumb__section *section, uint64_t begin, uint64_t end);

/* Forgets that they have. */
void rhumb__renewal_forget(rhumb__section *section, uint64_t begin, uint64_t end);

#endif /* RHUMB_STORAGE_RENEWAL_H */
