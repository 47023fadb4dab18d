/* log_file.h - the log's file without its writer: the header, single records, what a scan finds, and the steps that
 * make a file ready for records. Internal to the log; the layout is in FORMAT.md, section 14.
 *
 * Nothing here takes a lock or keeps state of its own. The caller has the handle to itself, except that
 * rhumb__log_scan_visit only reads, so it may run beside another thread's write. */
#ifndef RHUMB_STORAGE_LOG_LOG_FILE_H
#define RHUMB_STORAGE_LOG_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "storage/frame/format.h"
#include "storage/io/io.h"
#include "storage/log/log.h"

/* What is read or written at once: more than the longest record. */
#define RHUMB__LOG_WINDOW_BYTES (1u << 20)

static_assert(sizeof(rhumb__log_record_header) + RHUMB__LOG_PAYLOAD_BYTES_MAX < RHUMB__LOG_WINDOW_BYTES,
              "every record fits into a window");

/* ---- records ---- */

/* What a record with that payload takes up. */
static inline uint64_t rhumb__log_record_bytes(uint32_t payload_bytes) {
    return rhumb__round_up(sizeof(rhumb__log_record_header) + payload_bytes, RHUMB__LOG_RECORD_ALIGNMENT);
}

/* Where the checksums of a log with that salt begin. */
static inline uint32_t rhumb__log_seed(uint64_t salt) { return (uint32_t)(salt ^ salt >> 32); }

/* The crc field that a whole record should have. */
uint32_t rhumb__log_record_crc(uint32_t seed, const void *record, uint64_t record_bytes);

/* ---- the file's name and header ---- */

/* The log's path, allocated; NULL without memory. */
char *rhumb__log_path_make(const char *index_path);

/* Makes a header for a log without records, under a salt whose seed is not that of `header` before: it begins behind
 * the LSN given. Generation and UUID stay. RHUMB_E_IO when the system has no random numbers. */
rhumb_status rhumb__log_header_renew(rhumb__log_header *header, uint64_t lsn, const char *path) RHUMB_NODISCARD;

/* Reads the newest header. Not found is what a creation that was cut short leaves: a file without any place for records
 * in which no header counts. RHUMB_E_CORRUPT, RHUMB_E_VERSION, and what reading gives. */
rhumb_status rhumb__log_header_read(rhumb__io *io, rhumb__log_header *header, bool *found_out) RHUMB_NODISCARD;

/* Whether the log belongs to an index with this UUID and to a checkpoint with this LSN: RHUMB_OK or RHUMB_E_LOG. */
rhumb_status rhumb__log_header_check_owner(const rhumb__log_header *header, const uint8_t uuid[16],
                                           uint64_t checkpoint_lsn, const char *path) RHUMB_NODISCARD;

/* Completes the header and writes both copies of the slot of its generation. Drained, not synced. */
rhumb_status rhumb__log_header_write(rhumb__io *io, rhumb__log_header *header) RHUMB_NODISCARD;

/* ---- scanning ---- */

/* What is known of a batch: how many of its operations there are, and whether they count. */
typedef struct rhumb__log_batch {
    uint64_t batch; /* 0: no entry */
    uint64_t operation_count;
    bool committed;
} rhumb__log_batch;

/* The valid records of a log. */
typedef struct rhumb__log_scan {
    uint32_t seed;
    uint64_t checkpoint_lsn;
    rhumb__log_mark begin; /* the place of the first record */
    rhumb__log_mark end;   /* the place behind the last valid one */
    uint64_t record_count;
    uint64_t operation_count; /* that rhumb__log_scan_visit visits */
    uint64_t synced_lsn;      /* the highest that a record claims to be synced */
    uint32_t range_crc;       /* CRC-32C of all bytes from begin to end */

    rhumb__log_batch *batches; /* open addressing; at most half full */
    uint64_t batch_capacity;
    uint64_t batch_count;
    uint8_t *window; /* RHUMB__LOG_WINDOW_BYTES */
} rhumb__log_scan;

/* Reads all records. RHUMB_E_CORRUPT when a record that had been synced is damaged, RHUMB_E_VERSION, RHUMB_E_NOMEM, and
 * what reading gives. `scan` is to be cleared in every case. */
rhumb_status rhumb__log_scan_run(rhumb__io *io, const rhumb__log_header *header, uint64_t checkpoint_lsn,
                                 rhumb__log_scan *scan) RHUMB_NODISCARD;

/* Reads them again, and visits the operations that count (see rhumb__log_replay). */
rhumb_status rhumb__log_scan_visit(rhumb__io *io, const rhumb__log_scan *scan, rhumb__log_visit visit,
                                   void *context) RHUMB_NODISCARD;

void rhumb__log_scan_clear(rhumb__log_scan *scan);

/* ---- making the file ready for records ----
 * All three return only when what they did survives a power cut, the file's name included if `sync_name`. */

/* Creates the file, in the place of what a creation that was cut short has left, and opens it. */
rhumb_status rhumb__log_file_create(const rhumb__io_backend *backend, const char *path, bool remove_leftover,
                                    rhumb__log_header *header, rhumb__io **io_out) RHUMB_NODISCARD;

/* Makes durable what was found at open, and cuts off what is behind it. What was found may be in the page cache only:
 * if the sync of whoever wrote it failed, the kernel has forgotten that it never got to the disk. Writing the same
 * bytes again is what makes the next sync carry them. */
rhumb_status rhumb__log_file_settle(rhumb__io *io, rhumb__log_header *header,
                                    const rhumb__log_scan *found) RHUMB_NODISCARD;

/* Makes `header`, with the next generation, the newest. */
rhumb_status rhumb__log_file_advance(rhumb__io *io, rhumb__log_header *header, bool sync_name) RHUMB_NODISCARD;

/* Gives back what lies before `first_offset`, or, with `empty`, everything but the header. Best effort: what cannot be
 * given back is in nobody's way, and the next cut tries again. */
void rhumb__log_file_trim(rhumb__io *io, uint64_t first_offset, bool empty);

#endif /* RHUMB_STORAGE_LOG_LOG_FILE_H */
