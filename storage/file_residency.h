/* file_residency.h - how much of a file is in the page cache, range by range, without reading any of it.
 *
 * The kernel tells the owner of a file, and those who may write to it; to others every page seems to be there.
 */
#ifndef RHUMB_STORAGE_FILE_RESIDENCY_H
#define RHUMB_STORAGE_FILE_RESIDENCY_H

#include "storage/file_mapping.h"

typedef struct rhumb__file_residency {
    rhumb__file_mapping mapping;
    unsigned char *pages; /* the kernel's answer for some of them */
} rhumb__file_residency;

/* Maps the first `bytes` of the file, which is at least that long; `bytes` is not 0. RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__file_residency_begin(rhumb__io *io, uint64_t bytes, rhumb__file_residency *out) RHUMB_NODISCARD;

/* The bytes of the range that are in memory, counted in pages; what of it lies after the mapped bytes is not. */
uint64_t rhumb__file_residency_bytes(const rhumb__file_residency *residency, uint64_t offset, uint64_t bytes);

/* Releases what the other made. A zeroed one is fine. */
void rhumb__file_residency_end(rhumb__file_residency *residency);

#endif /* RHUMB_STORAGE_FILE_RESIDENCY_H */
