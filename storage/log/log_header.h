/* log_header.h - the header of a log: which log it is, and where its records begin. The layout is in FORMAT.md, section
 * 14.
 *
 * Nothing here takes a lock or keeps state. The caller is the only user of the handle, or only reads.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_HEADER_H
#define RHUMB_STORAGE_LOG_LOG_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/format.h"
#include "storage/io/io.h"

/* The highest generation of a header. It cannot be reached; a header that has a higher one is damaged. */
#define RHUMB__LOG_GENERATION_MAX (UINT64_C(1) << 62)

/* The index that a log should belong to. */
typedef struct rhumb__log_owner {
    uint8_t uuid[16];
    uint64_t checkpoint_lsn; /* the last operation that the owner's version holds */
} rhumb__log_owner;

/* The value that the checksums of the records of a log with that salt continue from. */
static inline uint32_t rhumb__log_seed(uint64_t salt) { return (uint32_t)(salt ^ salt >> 32); }

/* Makes a header for a log without records that begins after `lsn`, under a salt whose seed differs from that of
 * `header`. Generation and UUID stay. RHUMB_E_IO when the system has no random numbers. */
rhumb_status rhumb__log_header_renew(rhumb__log_header *header, uint64_t lsn, const char *path) RHUMB_NODISCARD;

/* Reads the newest header. None is found in what an interrupted creation leaves: a file that has no room for records
 * and no valid header. RHUMB_E_CORRUPT, RHUMB_E_VERSION, RHUMB_E_IO, RHUMB_E_TRUNCATED. */
rhumb_status rhumb__log_header_read(rhumb__io *io, rhumb__log_header *header, bool *found_out) RHUMB_NODISCARD;

/* Whether the log belongs to `owner` and lacks no operation after its checkpoint: RHUMB_OK or RHUMB_E_LOG. */
rhumb_status rhumb__log_header_check_owner(const rhumb__log_header *header, const rhumb__log_owner *owner,
                                           const char *path) RHUMB_NODISCARD;

/* Completes the header and writes both copies of its generation. Drained, not synced. */
rhumb_status rhumb__log_header_write(rhumb__io *io, rhumb__log_header *header) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_LOG_LOG_HEADER_H */
