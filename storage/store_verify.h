/* store_verify.h - compares the chunks of a version with their checksums. */
#ifndef RHUMB_STORAGE_STORE_VERIFY_H
#define RHUMB_STORAGE_STORE_VERIFY_H

#include <stdint.h>

#include "base/progress.h"
#include "storage/store.h"

/* Reads every chunk of the version that this handle stands on from the file and compares checksums. A wrong one, or a
 * damaged table of them, is counted and is not a failure; the first is described in `first_error` (may be NULL; at
 * least 512 bytes). `progress` (may be NULL) is advanced by one for each chunk. RHUMB_E_CANCELLED, RHUMB_E_IO,
 * RHUMB_E_TRUNCATED, RHUMB_E_NOMEM. */
rhumb_status rhumb__store_verify(rhumb__store *store, rhumb__progress *progress, uint64_t *chunk_count_out,
                                 uint64_t *error_count_out, char *first_error) RHUMB_NODISCARD;

/* The chunks that it reads. */
uint64_t rhumb__store_chunk_count(rhumb__store *store);

/* Counts the copies of superblocks that are damaged, or were being written when a crash came; `first_damage` (512
 * bytes) names the first. The index is whole without them. RHUMB_E_CORRUPT when the newest version may be lost;
 * RHUMB_E_IO. */
rhumb_status rhumb__store_verify_superblocks(rhumb__store *store, uint64_t *damaged_count_out,
                                             char *first_damage) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_STORE_VERIFY_H */
