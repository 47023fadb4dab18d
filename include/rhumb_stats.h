/* rhumb_stats.h - what an index reports about itself: statistics, and metadata of the caller's. Part of the manual;
 * include rhumb.h, which includes this file.
 */
#ifndef RHUMB_STATS_H
#define RHUMB_STATS_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- statistics -------------------------------------------------------------------------------------------------- */

/* What an index is, what it holds, and what its handle has done.
 *
 * A "reader" is a read-only handle. Its fields about its own checkpoints, the log and compactions are 0, except those
 * that mention it. */
typedef struct rhumb_index_stats {
    size_t size;                                /* The size that the caller passed. */
    uint32_t format_version;                    /* Version of the file's format. */
    uint32_t creator_version;                   /* rhumb_version of the library that created the index. */
    uint8_t uuid[16];                           /* Identity of the file. */
    uint64_t created_unix_ns;                   /* When the index was created, in nanoseconds since 1970. */
    uint64_t count;                             /* Vectors that searches can find. */
    uint64_t slot_count;                        /* Slots in use, including those of deleted vectors. */
    uint32_t level_top;                         /* Highest level in use. */
    uint64_t level_counts[RHUMB_LEVEL_MAX + 1]; /* Nodes whose highest level is this one, including deleted ones. */
    uint64_t epoch;                             /* Number of the checkpoint that the handle is based on. */
    uint64_t file_bytes;                        /* Length of the file. */
    uint64_t file_free_bytes;                   /* Bytes of the file that the newest checkpoint does not use. */
    uint64_t mapping_count;                     /* Parts of the file that are mapped separately. */
    uint64_t checkpoint_count;                  /* Checkpoints that this handle made, including that of the creation. */
    uint64_t checkpoint_bytes;                  /* Bytes that its last checkpoint wrote. */
    uint64_t checkpoint_ns;                     /* Duration of its last checkpoint. */
    bool read_only;                             /* Whether the handle is a reader. */
    char io_backend[16];                        /* How the file is written: "uring" or "plain". */
    char simd[16];                              /* Instruction set of the distances: "scalar", "avx2" or "avx512". */
    uint64_t key_next;                          /* One above the largest key ever inserted. */
    rhumb_durability durability;                /* Durability mode of the handle. */
    uint64_t checkpoint_pause_ns;               /* How long the last checkpoint blocked deletes, upserts and batches. */
    uint64_t checkpoint_pause_max_ns;           /* The longest such pause. */
    uint64_t checkpoint_failed_count;           /* Checkpoints in the background that failed. */
    char checkpoint_failure[256];               /* Why the last failed checkpoint failed, or "". */
    uint64_t lsn;                      /* Number of the last operation. Reader: the last in the checkpoint it shows. */
    uint64_t durable_lsn;              /* Number of the last operation that a power cut cannot undo. Reader: lsn. */
    uint64_t log_bytes;                /* Length of the log since the last checkpoint. */
    uint64_t log_sync_count;           /* Syncs of the log. */
    uint64_t log_synced_count;         /* Operations that these syncs made durable. */
    uint64_t log_pending_count;        /* Reader: operations in the log, which it does not show. */
    uint64_t unlinked_count;           /* Vectors from a log that wait to be linked; searches measure each of them. */
    uint64_t unreachable_count;        /* Live vectors that no path led to at unreachable_lsn. Counted from time to time
                                          after many deletes; see also rhumb_index_verify. */
    uint64_t unreachable_lsn;          /* Number of the last operation when they were counted; 0: not yet counted. */
    bool compacting;                   /* Whether a compaction in place is running. */
    uint64_t compaction_count;         /* Compactions in place that this handle completed. */
    uint64_t compaction_dropped_count; /* Deleted vectors that the last compaction dropped. */
    uint64_t compaction_carried_count; /* Operations that ran during the last compaction and were carried over. */
    uint64_t compaction_ns;            /* Duration of the last compaction. */
    uint64_t compaction_pause_ns;      /* How long the last compaction blocked writers. */
    uint64_t compaction_pause_max_ns;  /* The longest such pause. */
    uint64_t compaction_delay_max_ns;  /* The longest delay of a single operation by a compaction before its pause. */
    uint64_t compaction_failed_count;  /* Compactions that failed. */
    char compaction_failure[256];      /* Why the last failed compaction failed, or "". */
    char custom_name[64];              /* Name of the custom metric, or "". */
} rhumb_index_stats;

/* Fills `stats`. A reader scans the log to count what it does not show, so its call takes time in proportion to the
 * length of the log.
 *
 * Parameters:
 *   size    sizeof(rhumb_index_stats) as the caller compiled it
 *
 * Errors:
 *   RHUMB_E_IO    the log could not be read
 */
RHUMB_API rhumb_status rhumb_index_stats_get(rhumb_index *index, rhumb_index_stats *stats, size_t size) RHUMB_NODISCARD;

/* Fills `options` with what an index was created with: defaults are resolved, and `open` is NULL. The name of a custom
 * metric is in rhumb_index_stats.custom_name.
 *
 * Parameters:
 *   size    sizeof(rhumb_index_options) as the caller compiled it
 */
RHUMB_API rhumb_status rhumb_index_options_get(rhumb_index *index, rhumb_index_options *options,
                                               size_t size) RHUMB_NODISCARD;

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

#define RHUMB_METADATA_BYTES_MAX 3072u /* largest size of the metadata */

/* Replaces the metadata of an index: bytes of the caller's, such as the name of the model that made its vectors.
 *
 * It makes a checkpoint, so on RHUMB_OK the metadata survives a power cut. On failure the old metadata stays; after
 * RHUMB_E_FATAL it is not known which of the two the file has. Repair and compaction keep the metadata.
 *
 * Parameters:
 *   bytes          copied; may be NULL if bytes_count is 0
 *   bytes_count    0 to RHUMB_METADATA_BYTES_MAX; 0 removes the metadata
 *
 * Errors:
 *   RHUMB_E_INVALID     bytes_count is too large
 *   RHUMB_E_READONLY    the handle is read-only
 *   RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_IO, RHUMB_E_FATAL    as for rhumb_index_checkpoint
 */
RHUMB_API rhumb_status rhumb_index_metadata_set(rhumb_index *index, const void *bytes,
                                                size_t bytes_count) RHUMB_NODISCARD;

/* Copies the metadata of an index. A read-only handle has that of the checkpoint it shows.
 *
 * Parameters:
 *   bytes          room for `capacity` bytes; may be NULL if capacity is 0
 *   bytes_count    receives the size of the metadata, which may exceed `capacity`; 0: there is none
 */
RHUMB_API rhumb_status rhumb_index_metadata_get(rhumb_index *index, void *bytes, size_t capacity,
                                                size_t *bytes_count) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STATS_H */
