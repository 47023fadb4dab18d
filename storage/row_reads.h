/* row_reads.h - reading single rows of a section that memory cannot hold, past the page cache (io/io_direct.h).
 *
 * Rows of a reader alone: what its sections have in the file does not change. A writer's rows may be in its memory.
 */
#ifndef RHUMB_STORAGE_ROW_READS_H
#define RHUMB_STORAGE_ROW_READS_H

#include "storage/io/io_direct.h"
#include "storage/store.h"

/* Opens the file of a reader for such reads, of `row_bytes` bytes of rows of a section, if memory cannot hold half of
 * it; does nothing where there are none. Before others know the store. */
void rhumb__row_reads_open(rhumb__store *store, const rhumb__section *section, uint32_t row_bytes);

/* Takes a direct reader, which rhumb__row_reads_give returns. NULL: rows are to be read through the mapping. */
rhumb__io_direct *rhumb__row_reads_take(rhumb__store *store);
void rhumb__row_reads_give(rhumb__store *store, rhumb__io_direct *direct);

/* Reads `count` rows, at most RHUMB__IO_DIRECT_COUNT_MAX, of a section of such a store; sets rows[i] to where each is
 * until the next call. Returns false when that failed: then the mapping says why. */
bool rhumb__row_reads_read(rhumb__io_direct *direct, const rhumb__section *section, const uint32_t *numbers,
                           uint32_t count, const void **rows);

/* Closes what was opened; no thread uses it. */
void rhumb__row_reads_close(rhumb__store *store);

#endif /* RHUMB_STORAGE_ROW_READS_H */
