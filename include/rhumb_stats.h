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
    uint64_t process_mapping_count;    /* Mappings that the process has, all of them, which the system limits
                                          (vm.max_map_count); 0: unknown. */
    uint32_t pin_count;                /* Versions that readers and leases keep, this reader's own among them, at most
                                          RHUMB_INFO_PIN_COUNT_MAX; rhumb_index_info_get names the processes. */
    uint64_t pin_epoch_oldest;         /* The oldest of them; 0: there is none. */
    uint64_t warm_up_total_bytes;      /* What the handle reads into memory in the background (rhumb_warm_up); 0: the
                                          index was there when it was opened, or is not to be read. */
    uint64_t warm_up_done_bytes;       /* How much of it has been read. */
    bool cold;                         /* Whether searches read single rows from the disk, because much of the index is
                                          not in memory yet. */
    uint64_t fused_row_count;          /* Vectors that have a fused row; 0 in an index without such rows. */
    uint64_t fused_stale_count;        /* Of these, rows whose vector's list of neighbours has changed since they were
                                          made. They are renewed in the background where they are many. */
    uint64_t fused_renewed_count;      /* Rows that this handle has renewed since it was opened or compacted. */
} rhumb_index_stats;

/* Fills `stats`. A reader scans the log to count what it does not show, so its call takes time in proportion to the
 * length of the log. What a smaller struct lacks is not looked up: one that ends before `durability` takes a
 * microsecond.
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

/* ---- a file, without a handle ------------------------------------------------------------------------------------ */

/* What rhumb_index_info_get could find out; bits of rhumb_index_info.known. */
typedef enum rhumb_info_known {
    RHUMB_INFO_VERSION = 1, /* the fields from format_version to log_expected */
    RHUMB_INFO_CONTENT = 2, /* the fields from dim to key_next */
    RHUMB_INFO_SPACE = 4,   /* file_free_bytes */
    RHUMB_INFO_LOG = 8,     /* log_pending_count, log_record_count; without a log they are 0 */
    RHUMB_INFO_WRITER = 16, /* writer_open */
    RHUMB_INFO_PINS = 32    /* the fields that begin with pin_ */
} rhumb_info_known;

#define RHUMB_INFO_PIN_COUNT_MAX 16u /* pinned versions that are described */
#define RHUMB_INFO_PID_COUNT_MAX 8u  /* processes that are named for each */

/* What an index file, and the log next to it, say of themselves. Fields of what is not known are 0. */
typedef struct rhumb_index_info {
    size_t size;                /* The size that the caller passed. */
    uint32_t known;             /* Bits of rhumb_info_known. */
    uint32_t format_version;    /* Version of the file's format. */
    uint32_t creator_version;   /* rhumb_version of the library that created the index. */
    uint8_t uuid[16];           /* Identity of the file. */
    uint64_t created_unix_ns;   /* When the index was created, in nanoseconds since 1970. */
    uint64_t epoch;             /* Number of the newest checkpoint. */
    uint64_t history;           /* Number drawn by the handle that wrote last, which its log has too; 0: none has. */
    bool log_expected;          /* Whether there must be a log, because operations may be in it alone. */
    uint32_t dim;               /* Components per vector. */
    rhumb_metric metric;        /* The distance. */
    rhumb_element element;      /* The type of a component. */
    uint32_t M;                 /* As in rhumb_index_options. */
    uint32_t M0;                /* As there. */
    uint32_t ef_construction;   /* As there. */
    uint32_t ef_search;         /* As there. */
    uint32_t level_max;         /* As there. */
    double level_scale;         /* As there. */
    uint64_t seed;              /* As there. */
    bool extend_candidates;     /* As there. */
    bool keep_pruned;           /* As there. */
    bool normalise;             /* As there. */
    char custom_name[64];       /* Name of the custom metric, or "". */
    uint64_t count;             /* Vectors that searches can find, in the newest checkpoint. */
    uint64_t deleted_count;     /* Deleted vectors, whose slots a compaction would free. */
    uint32_t level_top;         /* Highest level in use. */
    uint64_t lsn;               /* Number of the last operation in the newest checkpoint. */
    uint64_t key_next;          /* One above the largest key ever inserted. */
    uint64_t file_bytes;        /* Length of the file. */
    uint64_t file_free_bytes;   /* Bytes of it that the newest checkpoint does not use. */
    bool log_present;           /* Whether there is a log. */
    uint64_t log_bytes;         /* Length of the file that the log is in, with holes. */
    uint64_t log_record_count;  /* Complete records in it. */
    uint64_t log_pending_count; /* Operations in the log that the newest checkpoint lacks. */
    bool writer_open;           /* Whether a handle, in any process, has the index open for writing. */
    uint32_t pin_count;         /* Versions that readers and leases keep, RHUMB_INFO_PIN_COUNT_MAX at most. */
    uint64_t pin_epochs[16];    /* Their numbers, ascending. */
    uint32_t pin_reader_counts[16]; /* Handles that keep each. */
    uint32_t pin_pid_counts[16];    /* Processes named for each. */
    int32_t pin_pids[128];          /* Their ids, as far as the system tells: those of pin i begin at 8 i. */
    uint32_t damaged_copy_count;    /* Damaged copies of superblocks, in place of which another was read. A crash leaves
                                       such a copy too. */
    uint32_t problem_count;         /* What is wrong with the file or its log, as far as this has looked. */
    char first_problem[512];        /* The first of these, or "". */
    rhumb_codes codes;              /* Which codes of vectors the index keeps. */
    rhumb_fused fused;              /* Whether it keeps fused rows. */
} rhumb_index_info;

/* Describes an index file without opening a handle: reads superblocks, directory and log, takes no lock, and keeps no
 * version. Works while a writer is at work, and on a file that is damaged or cut short: what cannot be known is marked.
 * It looks at no vector and no list; rhumb_index_verify does.
 *
 * It takes time in proportion to the length of the log, and scans /proc for the processes of pins.
 *
 * Parameters:
 *   info    filled on success
 *   size    sizeof(rhumb_index_info) as the caller compiled it
 *
 * Errors:
 *   RHUMB_E_NOTFOUND        no such file
 *   RHUMB_E_NOT_AN_INDEX    the file is not an index
 *   RHUMB_E_VERSION         the file is of another format version, or needs a newer library
 *   RHUMB_E_INVALID         the path is not that of a regular file
 *   RHUMB_E_IO              another failure of the operating system
 */
RHUMB_API rhumb_status rhumb_index_info_get(const char *path, rhumb_index_info *info, size_t size) RHUMB_NODISCARD;

#define RHUMB_SECTION_COUNT_MAX 64u /* sections that a file can have */

/* One section of an index file: an array of rows, such as all vectors or all lists of neighbours. */
typedef struct rhumb_section_info {
    size_t size;             /* The size that the caller passed. */
    uint32_t id;             /* Number of the section in the file. */
    char name[28];           /* What the description of the file's format calls it; "unknown": this library does not. */
    uint64_t row_count;      /* Rows in the newest checkpoint. */
    uint64_t row_bytes;      /* Length of each. */
    uint64_t file_bytes;     /* Bytes of the file that the section has, some of them for rows to come. */
    uint64_t resident_bytes; /* How much of these is in the page cache. */
} rhumb_section_info;

/* Describes the sections of the newest checkpoint of an index file without opening a handle. It reads no row, takes no
 * lock and keeps no version; works while a writer is at work. It takes some milliseconds for each gigabyte.
 *
 * The system tells what is in memory to the owner of the file and to those who may write to it; to others all of it
 * seems to be there.
 *
 * Parameters:
 *   sections         array of `capacity` structs
 *   size             sizeof(rhumb_section_info) as the caller compiled it
 *   section_count    how many sections there are, which may exceed `capacity`
 *
 * Errors: as for rhumb_index_info_get, and
 *   RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED    the file is damaged so that its sections cannot be found
 *   RHUMB_E_NOMEM                         no memory
 */
RHUMB_API rhumb_status rhumb_index_sections_get(const char *path, rhumb_section_info *sections, size_t size,
                                                size_t capacity, size_t *section_count) RHUMB_NODISCARD;

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
