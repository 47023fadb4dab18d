/* file_mapping.h - maps a whole file for reading: for files that are written once and have no versions.
 */
#ifndef RHUMB_STORAGE_FILE_MAPPING_H
#define RHUMB_STORAGE_FILE_MAPPING_H

#include "storage/io/io.h"

typedef struct rhumb__file_mapping {
    const uint8_t *base; /* NULL: nothing is mapped */
    uint64_t bytes;
    rhumb__bus_range *guard;
} rhumb__file_mapping;

/* Maps the first `bytes` of the file, shared and read-only; the file is at least that long, and `bytes` is not 0. Pages
 * are read when they are touched. RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__file_mapping_make(rhumb__io *io, uint64_t bytes, rhumb__file_mapping *mapping_out) RHUMB_NODISCARD;

/* Unmaps what rhumb__file_mapping_make mapped, and makes the mapping empty. An empty one is fine. */
void rhumb__file_mapping_drop(rhumb__file_mapping *mapping);

#endif /* RHUMB_STORAGE_FILE_MAPPING_H */
