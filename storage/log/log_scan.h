/* log_scan.h - reads the records of a log: which are valid, which are effective, and where the log ends. The one reader
 * of records; log_reader.h adds the header to it.
 *
 * Nothing here takes a lock or keeps state. Only reads, so it may run while another thread appends.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_SCAN_H
#define RHUMB_STORAGE_LOG_LOG_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "storage/frame/format.h"
#include "storage/io/io.h"
#include "storage/log/log.h"
#include "storage/log/log_header.h"

/* The unit of reading and rewriting: more than the longest record. */
#define RHUMB__LOG_WINDOW_BYTES (1u << 20)

static_assert(sizeof(rhumb__log_record_header) + RHUMB__LOG_PAYLOAD_BYTES_MAX < RHUMB__LOG_WINDOW_BYTES,
              "every record fits into a window");

/* Returns the size in the file of a record with that payload. */
static inline uint64_t rhumb__log_record_bytes(uint32_t payload_bytes) {
    return rhumb__round_up(sizeof(rhumb__log_record_header) + payload_bytes, RHUMB__LOG_RECORD_ALIGNMENT);
}

/* Returns the value that the crc field of a complete record should have. */
uint32_t rhumb__log_record_crc(uint32_t seed, const void *record, uint64_t record_bytes);

/* A batch: the numbers of its operations and of its deletes, and whether its commit record is in the log. */
typedef struct rhumb__log_batch {
    uint64_t batch; /* its number; 0: the entry is empty */
    uint64_t operation_count;
    uint64_t delete_count;
    bool committed;       /* after the checkpoint */
    bool committed_early; /* at or before the checkpoint, which holds it */
} rhumb__log_batch;

/* The valid records of a log. */
typedef struct rhumb__log_scan {
    uint32_t seed;
    uint64_t checkpoint_lsn;
    rhumb__log_mark begin; /* before the first record */
    rhumb__log_mark end;   /* after the last valid one */
    uint64_t record_count;
    uint64_t operation_count;    /* that rhumb__log_scan_visit visits */
    uint64_t early_delete_count; /* effective deletes at or before the checkpoint */
    bool divided;                /* a batch that is committed has operations at or before the checkpoint */
    uint64_t synced_lsn;         /* the highest that a record reports as synced */
    rhumb__log_mark tail;        /* the records before it are reported as synced; not far from the first that is not */
    uint32_t tail_crc;           /* CRC-32C of all bytes from tail to end */
    rhumb__log_mark tail_next;   /* becomes `tail` once the records before it are reported as synced */
    uint32_t tail_next_crc;
    uint64_t left_bytes; /* after the end, to the end of the file */

    rhumb__log_batch *batches; /* open addressing; at most half full */
    uint64_t batch_capacity;
    uint64_t batch_count;
    uint8_t *window; /* RHUMB__LOG_WINDOW_BYTES */
} rhumb__log_scan;

/* Reads all records that the header leads to. On failure `scan` has those before it. The caller clears `scan` in every
 * case. RHUMB_E_CORRUPT when a record that had been synced is damaged; RHUMB_E_VERSION, RHUMB_E_NOMEM, RHUMB_E_IO,
 * RHUMB_E_TRUNCATED. */
rhumb_status rhumb__log_scan_run(rhumb__io *io, const rhumb__log_header *header, uint64_t checkpoint_lsn,
                                 rhumb__log_scan *scan) RHUMB_NODISCARD;

/* Reads the records again and visits the effective operations (see rhumb__log_replay). RHUMB_E_CORRUPT when they have
 * changed since; RHUMB_E_NOMEM, RHUMB_E_IO, and what a visit returns. */
rhumb_status rhumb__log_scan_visit(rhumb__io *io, const rhumb__log_scan *scan, rhumb__log_visit visit,
                                   void *context) RHUMB_NODISCARD;

void rhumb__log_scan_clear(rhumb__log_scan *scan);

#endif /* RHUMB_STORAGE_LOG_LOG_SCAN_H */
