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
    uint64_t history;        /* what its superblock says */
    uint64_t log_lsn;
    bool log_expected;
} rhumb__log_owner;

/* What the superblock of a version says of its log. `checkpoint_lsn` is the last operation that the version holds. */
rhumb__log_owner rhumb__log_owner_of(const rhumb__superblock *superblock, uint64_t checkpoint_lsn);

/* Copies of headers that are not valid, but are replaced by others. */
typedef struct rhumb__log_damage {
    uint32_t copy_count;
    uint64_t copy_offset; /* of the first */
} rhumb__log_damage;

/* The value that the checksums of the records of a log with that salt continue from. */
static inline uint32_t rhumb__log_seed(uint64_t salt) { return (uint32_t)(salt ^ salt >> 32); }

/* Makes a header for a log without records that begins after `lsn`, under a salt whose seed differs from that of
 * `header`. Generation and UUID stay. RHUMB_E_IO when the system has no random numbers. */
rhumb_status rhumb__log_header_renew(rhumb__log_header *header, uint64_t lsn, const char *path) RHUMB_NODISCARD;

/* Draws the history of an opening that goes on to write after operation `lsn`, on an index whose superblock says
 * `previous_history`. RHUMB_E_IO when the system has no random numbers. */
rhumb_status rhumb__log_header_begin_history(rhumb__log_header *header, uint64_t previous_history, uint64_t lsn,
                                             const char *path) RHUMB_NODISCARD;

/* Reads the newest header. A file gets the name of a log only with all its headers, and each is written one copy after
 * the other; so RHUMB_E_CORRUPT when the copies of a header that may be the newest are all damaged. RHUMB_E_VERSION,
 * RHUMB_E_IO, RHUMB_E_TRUNCATED. */
rhumb_status rhumb__log_header_read(rhumb__io *io, rhumb__log_header *header,
                                    rhumb__log_damage *damage) RHUMB_NODISCARD;

/* Whether the log belongs to `owner`, has its history or the one that follows, and lacks no operation after its
 * checkpoint: RHUMB_OK or RHUMB_E_LOG. */
rhumb_status rhumb__log_header_check_owner(const rhumb__log_header *header, const rhumb__log_owner *owner,
                                           const char *path) RHUMB_NODISCARD;

/* Whether a log whose last record is `end_lsn`, and which passes the check above, belongs to `owner` with all its
 * records. A log whose history follows that of the superblock has been left by a crash before the superblock was
 * written again, and cannot have records of its own history; and every log has the records that the superblock has seen
 * in it. RHUMB_OK or RHUMB_E_LOG. */
rhumb_status rhumb__log_header_check_end(const rhumb__log_header *header, const rhumb__log_owner *owner,
                                         uint64_t end_lsn, const char *path) RHUMB_NODISCARD;

/* Fails with RHUMB_E_LOG: the owner expects a log, and there is none at `path`. */
rhumb_status rhumb__log_fail_missing(const rhumb__log_owner *owner, const char *path) RHUMB_NODISCARD;

/* Completes the header and writes its generation: copy 0, a sync, then copy 1, which any later sync makes durable. When
 * it returns RHUMB_OK, the header is durable, and so is everything that was written before. RHUMB_E_IO,
 * RHUMB_E_FATAL. */
rhumb_status rhumb__log_header_write(rhumb__io *io, rhumb__log_header *header) RHUMB_NODISCARD;

/* For a new file, which has no name yet: writes all copies, generations 0 and 1; header->generation is 1 then. Drained,
 * not synced. */
rhumb_status rhumb__log_header_write_all(rhumb__io *io, rhumb__log_header *header) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_LOG_LOG_HEADER_H */
