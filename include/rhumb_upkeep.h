/* rhumb_upkeep.h - verifying, repairing, compacting, backing up and merging indexes. Part of the manual; include
 * rhumb.h, which includes this file.
 */
#ifndef RHUMB_UPKEEP_H
#define RHUMB_UPKEEP_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- verifying --------------------------------------------------------------------------------------------------- */

/* What rhumb_index_verify found. An undamaged index has no checksum errors, structure errors or log errors. Unreachable
 * nodes are not damage: when an HNSW graph prunes its lists, a node loses its last link now and then, and searches do
 * not find it. A compaction links such nodes again. */
typedef struct rhumb_verify_report {
    size_t size;                    /* The size that the caller passed. */
    uint64_t chunk_count;           /* Chunks of the file whose checksum was computed. */
    uint64_t checksum_error_count;  /* Chunks whose checksum is wrong. */
    uint64_t node_count;            /* Nodes that were checked. */
    uint64_t link_count;            /* Links that were checked, on all levels. */
    uint64_t structure_error_count; /* Slots out of range, links of a node to itself, duplicates, wrong levels, keys
                                       that lead elsewhere... */
    uint64_t unreachable_count;     /* Nodes that no path on level 0 leads to from the entry point. */
    char first_error[512];          /* What the first error is and where, or "". */
    uint64_t log_record_count;      /* Complete records in the log. */
    uint64_t log_error_count;       /* Damaged records that had been durable, or 1 for a log that is missing or not
                                       this index's. */
    uint64_t warning_count;         /* What is damaged, or was being written when a crash came, and has no effect:
                                       copies of superblocks and of headers of the log that other copies replace, and
                                       bytes after the last record of the log. */
    char first_warning[512];        /* What the first of these is and where, or "". */
} rhumb_verify_report;

/* How to verify. */
typedef struct rhumb_verify_options {
    size_t size;                /* sizeof(rhumb_verify_options), set by rhumb_verify_options_init. */
    rhumb_progress_fn progress; /* Receives the number of steps done: of an index one per chunk and four per slot, of a
                                   topology file one per chunk and one per point. Default NULL. */
    void *progress_context;     /* Passed to progress. */
} rhumb_verify_options;

/* Sets the defaults. `size` is sizeof(rhumb_verify_options) as the caller compiled it. */
RHUMB_API void rhumb_verify_options_init(rhumb_verify_options *options, size_t size);

/* Reads a whole index and checks every checksum and every rule of the graph.
 *
 * It takes time in proportion to the size of the index, whatever the damage, and some memory per slot. A writing handle
 * makes a checkpoint first, and inserts wait until the check is done.
 *
 * Parameters:
 *   report    filled on RHUMB_OK and on RHUMB_E_CORRUPT
 *   size      sizeof(rhumb_verify_report) as the caller compiled it
 *
 * Errors:
 *   RHUMB_E_CORRUPT        errors were found
 *   RHUMB_E_UNSUPPORTED    the handle was opened with graph_only
 *   RHUMB_E_IO             the file could not be read
 *   RHUMB_E_NOSPACE, RHUMB_E_FULL, RHUMB_E_FATAL    as for rhumb_index_checkpoint
 */
RHUMB_API rhumb_status rhumb_index_verify(rhumb_index *index, rhumb_verify_report *report, size_t size) RHUMB_NODISCARD;

/* The same, with options. In a writing handle `progress` is called while inserts wait.
 *
 * Parameters:
 *   options    NULL: the defaults
 *
 * Errors: those of rhumb_index_verify, and
 *   RHUMB_E_CANCELLED    progress returned false
 */
RHUMB_API rhumb_status rhumb_index_verify_with(rhumb_index *index, const rhumb_verify_options *options,
                                               rhumb_verify_report *report, size_t size) RHUMB_NODISCARD;

/* ---- repairing --------------------------------------------------------------------------------------------------- */

/* How to repair. */
typedef struct rhumb_repair_options {
    size_t size;                       /* sizeof(rhumb_repair_options), set by rhumb_repair_options_init. */
    uint32_t thread_count;             /* Threads to work with. Default 0: one per processor of this process. */
    rhumb_progress_fn progress;        /* Receives the number of steps done: one per chunk and two per slot. Default
                                          NULL. */
    void *progress_context;            /* Passed to progress. */
    bool strict;                       /* Fail instead of keeping a vector that is doubtful or unproved; see
                                          rhumb_repair_report. Default false. */
    const char *custom_name;           /* Name of the custom metric, as in rhumb_open_options. Default NULL. */
    rhumb_distance_fn custom_distance; /* The custom metric's function. */
    void *custom_context;              /* Passed to custom_distance. */
} rhumb_repair_options;

/* Sets the defaults. `size` is sizeof(rhumb_repair_options) as the caller compiled it. */
RHUMB_API void rhumb_repair_options_init(rhumb_repair_options *options, size_t size);

/* What a repair found and did. Nothing is lost if lost_count, duplicate_count, doubtful_count and unproved_count are 0,
 * older_version is false and log_note is empty. */
typedef struct rhumb_repair_report {
    size_t size;                  /* The size that the caller passed. */
    uint64_t epoch;               /* Number of the checkpoint that was used. */
    bool older_version;           /* Whether it is not the newest, or may not be; version_note says why. */
    bool checksums_lost;          /* Whether the table of checksums is damaged, so that nothing kept is proved. */
    uint64_t chunk_count;         /* Chunks that were checked. */
    uint64_t damaged_chunk_count; /* Chunks that are damaged or unreadable. */
    uint64_t slot_count;          /* Slots of the checkpoint. */
    uint64_t dead_count;          /* Slots of vectors that had been deleted, which is not a loss. */
    uint64_t saved_count;         /* Vectors of the checkpoint that are in the new index. */
    uint64_t lost_count;          /* Vectors that are not in the new index: the sum of the next two. */
    uint64_t lost_vector_count;   /* Vectors lost because they are damaged. */
    uint64_t lost_key_count;      /* Vectors lost because their key is damaged. */
    uint64_t duplicate_count;     /* Keys that were there twice: one of the two vectors is not in the new index. */
    uint64_t doubtful_count;      /* Vectors saved that may have been deleted: tombstones and key table are damaged. */
    uint64_t unproved_count;      /* Vectors saved although no checksum covers them or their keys. */
    uint64_t lists_rebuilt_count; /* Nodes whose neighbour list was damaged. */
    uint64_t relinked_count;      /* Nodes that were linked again: those, those that lost a neighbour or had no path to
                                     them, and those from the log. */
    uint64_t log_carried_count;   /* Operations of the log that the new index has. */
    uint64_t log_left_out_count;  /* Operations of the log that were read but could not be carried over. */
    uint64_t count;               /* Vectors in the new index. */
    uint64_t unreachable_count;   /* Vectors of the new index that no path leads to: 0. */
    char version_note[512];       /* Why the newest checkpoint was not used, or "". */
    char first_damage[512];       /* What the first damaged chunk is, or "". */
    char log_note[512];           /* Why all or a part of the log was left out, or "". */
} rhumb_repair_report;

/* Builds a new index, in a new file, from whatever can still be verified in a damaged one.
 *
 * The old file and its log are read, never changed. A vector is saved if checksums prove that it and its key are
 * undamaged; where the marks of deletion are damaged, the key table shows which vectors are alive. If the newest
 * checkpoint cannot be used at all, the previous one is. Operations that only the log has are carried over, up to the
 * first damage in it. Undamaged links are kept and damaged ones made again; every vector of the new index can be found.
 * The new index has the options of the old one and an identity of its own. An undamaged index can be repaired too: the
 * new one lacks its deleted vectors. Needs memory for the whole new index. A crash leaves an empty index in the new
 * file.
 *
 * Parameters:
 *   path           the damaged index; no handle may have it open for writing
 *   new_path       the file to create
 *   options        NULL: the defaults
 *   report         filled on success; may be NULL
 *   report_size    sizeof(rhumb_repair_report) as the caller compiled it
 *
 * Errors: on failure there is no new file.
 *   RHUMB_E_EXISTS       a file named new_path exists
 *   RHUMB_E_LOCKED       the damaged index is open for writing
 *   RHUMB_E_NOTFOUND     there is no file at path
 *   RHUMB_E_METRIC       the index has a custom metric, and options do not supply the function of that name
 *   RHUMB_E_CANCELLED    progress returned false
 *   RHUMB_E_NOSPACE      the disk is full
 *   RHUMB_E_FATAL        a sync of the new file failed
 *   RHUMB_E_IO           another failure of the operating system
 *   RHUMB_E_NOT_AN_INDEX, RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_VERSION    nothing can be saved
 */
RHUMB_API rhumb_status rhumb_index_repair(const char *path, const char *new_path, const rhumb_repair_options *options,
                                          rhumb_repair_report *report, size_t report_size) RHUMB_NODISCARD;

/* ---- compacting and backing up ----------------------------------------------------------------------------------- */

/* The order of the nodes in a compacted index. If neighbours lie close together, a search touches fewer pages, which
 * matters when they are not in memory. */
typedef enum rhumb_order {
    RHUMB_ORDER_DEFAULT = 0,  /* the order with the fewest pages per search: RHUMB_ORDER_BISECTION */
    RHUMB_ORDER_KEEP = 1,     /* the present order */
    RHUMB_ORDER_BREADTH = 2,  /* breadth first from the entry point */
    RHUMB_ORDER_RCM = 3,      /* reverse Cuthill-McKee */
    RHUMB_ORDER_WINDOW = 4,   /* Gorder (Wei and others, SIGMOD 2016): next the node that shares most neighbours with
                                 the last five */
    RHUMB_ORDER_BISECTION = 5 /* recursive bisection (Dhulipala and others, KDD 2016), so that sample searches stay
                                 within few parts */
} rhumb_order;

/* How to compact. */
typedef struct rhumb_compact_options {
    size_t size;                       /* sizeof(rhumb_compact_options), set by rhumb_compact_options_init. */
    uint32_t thread_count;             /* Threads to work with. Default 0: one per processor of this process. */
    rhumb_order order;                 /* The order of the nodes. Default RHUMB_ORDER_DEFAULT. */
    bool second_pass;                  /* Search new neighbours for every node, which takes as long as building and
                                          improves recall. Default false. */
    rhumb_progress_fn progress;        /* Receives the number of steps done. Default NULL. */
    void *progress_context;            /* Passed to progress. */
    const char *custom_name;           /* Name of the custom metric, as in rhumb_open_options. Default NULL. */
    rhumb_distance_fn custom_distance; /* The custom metric's function. */
    void *custom_context;              /* Passed to custom_distance. */
    uint64_t bytes_per_second;         /* rhumb_index_compact: how fast vectors may be written. Default 0: as fast as
                                          the disk. */
    bool background;                   /* rhumb_index_compact: return at once, and compact on a thread of the handle.
                                          Default false. */
    bool shrink;                       /* rhumb_index_compact: move the end of the file into the gaps before it and cut
                                          the file, which writes everything a second time. Default false: gaps are
                                          returned to the file system as holes. */
    const struct rhumb_filter *filter; /* rhumb_index_compact_into: only keys that match are taken over, so that an
                                          index can be split; the filter's plan is ignored. Default NULL: all. */
    rhumb_codes codes;                 /* Which codes of vectors the index has afterwards. Default RHUMB_CODES_DEFAULT:
                                          those that it has; what has been lost of them is made again. */
    rhumb_fused fused;                 /* Whether it has fused rows afterwards. Default RHUMB_FUSED_DEFAULT: as now. */
} rhumb_compact_options;

/* Sets the defaults. `size` is sizeof(rhumb_compact_options) as the caller compiled it. */
RHUMB_API void rhumb_compact_options_init(rhumb_compact_options *options, size_t size);

/* What a compaction did. */
typedef struct rhumb_compact_report {
    size_t size;                /* The size that the caller passed. */
    uint64_t epoch;             /* Number of the checkpoint that was read. */
    uint64_t count;             /* Vectors of that checkpoint in the new index. */
    uint64_t dropped_count;     /* Deleted vectors that were dropped. */
    uint64_t repaired_count;    /* Neighbour lists that had deleted nodes in them. */
    uint64_t reconnected_count; /* Nodes that no path had led to. */
    uint64_t unreachable_count; /* Nodes that no path leads to still. */
    uint64_t carried_count;     /* rhumb_index_compact: operations that ran concurrently and were carried over. */
    uint64_t pause_ns;          /* rhumb_index_compact: how long writers were blocked. */
    uint64_t left_out_count;    /* rhumb_index_compact_into: vectors that options.filter left out. */
} rhumb_compact_report;

/* Compacts an index in place: drops deleted vectors, repairs the lists around them, links every node again that no path
 * leads to, puts neighbours close together, and releases the space.
 *
 * Searches, inserts, deletes and checkpoints continue. Near the end, writers that are faster than the compaction can
 * carry over are slowed down, and all writers are blocked for some milliseconds
 * (rhumb_index_stats.compaction_pause_ns). Keys and vectors do not change. Other processes see one more checkpoint. A
 * handle compacts by itself when many vectors have been deleted (rhumb_open_options.compact_dead_share), except in mode
 * none: when the share is reached, and at least 64 deleted vectors. While fewer than 1,000 are deleted, it waits fifty
 * times as long as the last of these compactions took.
 *
 * Needs free disk space for the live vectors once more, and memory for some numbers per vector, the new neighbour
 * lists, and 4 bytes per link for the default order. A crash leaves the index as it was or compacted, with every
 * operation that the handle's mode promises. Old blocks are released in the background, as soon as no reader needs
 * them. One compaction runs at a time; a second call waits for the first. With options.background the call returns at
 * once, `report` is not filled, progress is called by another thread, also after the call, and rhumb_index_wait_idle
 * waits for the end.
 *
 * Parameters:
 *   options        NULL: the defaults
 *   report         filled on success; may be NULL
 *   report_size    sizeof(rhumb_compact_report) as the caller compiled it
 *
 * Errors: except after RHUMB_E_FATAL, the index is as it was, and another compaction may succeed.
 *   RHUMB_E_READONLY     the handle is read-only
 *   RHUMB_E_CANCELLED    progress returned false, or rhumb_index_compact_cancel was called
 *   RHUMB_E_INVALID      order is not one of rhumb_order, or there is a filter
 *   RHUMB_E_NOSPACE      the disk is full
 *   RHUMB_E_CORRUPT      the index is damaged
 *   RHUMB_E_IO           another failure of the operating system
 *   RHUMB_E_FATAL        a sync failed, now or earlier
 */
RHUMB_API rhumb_status rhumb_index_compact(rhumb_index *index, const rhumb_compact_options *options,
                                           rhumb_compact_report *report, size_t report_size) RHUMB_NODISCARD;

/* Stops a running compaction of this handle, however it began, and returns at once. Only the compaction's work is lost.
 *
 * Errors:
 *   RHUMB_E_READONLY    the handle is read-only
 */
RHUMB_API rhumb_status rhumb_index_compact_cancel(rhumb_index *index) RHUMB_NODISCARD;

/* Writes the live vectors of an index into a new index: a compaction into another file, and a backup of a live index.
 *
 * The old index is only read, at its newest checkpoint, and may be open for writing here or elsewhere. What is only in
 * its log is not copied: call rhumb_index_checkpoint first if that matters. The new index has the same keys, vectors,
 * options and metadata, no deleted nodes, every node reachable, neighbours close together, and an identity of its own.
 * With a filter it has those keys alone, which may be none, and finds them as well as an index made of them would.
 * The new file has "-compacting" after its name until it is complete and durable. Needs memory for the neighbour lists
 * of the new index, some bytes per node, and 8 bytes per link for the default order.
 *
 * Parameters:
 *   path           the index to read
 *   new_path       the file to create
 *   options        NULL: the defaults
 *   report         filled on success; may be NULL
 *   report_size    sizeof(rhumb_compact_report) as the caller compiled it
 *
 * Errors: on failure there is no new file.
 *   RHUMB_E_EXISTS       a file named new_path exists, or the log of an index of that name; or a file of that name
 *                        followed by "-compacting", unless a compaction that was interrupted has left it
 *   RHUMB_E_METRIC       the index has a custom metric, and options do not supply the function of that name
 *   RHUMB_E_CANCELLED    progress returned false
 *   RHUMB_E_INVALID      the order is not one of rhumb_order, or the filter's keys do not ascend
 *   and those of rhumb_index_open for a read-only handle and of rhumb_index_create
 */
RHUMB_API rhumb_status rhumb_index_compact_into(const char *path, const char *new_path,
                                                const rhumb_compact_options *options, rhumb_compact_report *report,
                                                size_t report_size) RHUMB_NODISCARD;

/* ---- merging ----------------------------------------------------------------------------------------------------- */

/* Which vector the new index gets for a key that several sources have. */
typedef enum rhumb_duplicates {
    RHUMB_DUPLICATES_DEFAULT = 0, /* none: RHUMB_DUPLICATES_ERROR */
    RHUMB_DUPLICATES_ERROR = 1,   /* none: the merge fails with RHUMB_E_EXISTS, and names the first such key */
    RHUMB_DUPLICATES_FIRST = 2,   /* that of the first source that has the key */
    RHUMB_DUPLICATES_LAST = 3     /* that of the last one */
} rhumb_duplicates;

/* How to merge. */
typedef struct rhumb_merge_options {
    size_t size;                       /* sizeof(rhumb_merge_options), set by rhumb_merge_options_init. */
    uint32_t thread_count;             /* Threads to work with. Default 0: one per processor of this process. */
    rhumb_duplicates duplicates;       /* Keys that several sources have. Default RHUMB_DUPLICATES_DEFAULT. */
    rhumb_progress_fn progress;        /* Receives the number of steps done: some per vector. Default NULL. */
    void *progress_context;            /* Passed to progress. */
    const char *custom_name;           /* Name of the custom metric, as in rhumb_open_options. Default NULL. */
    rhumb_distance_fn custom_distance; /* The custom metric's function. */
    void *custom_context;              /* Passed to custom_distance. */
    uint32_t M;                        /* Of the new index, as in rhumb_index_options. Default 0: as the first
                                          source. */
    uint32_t M0;                       /* Default 0: twice M if that is given, otherwise as the first source. */
    uint32_t ef_construction;          /* Of the new index, for later inserts. Default 0: as the first source. */
    rhumb_codes codes;                 /* Which codes the new index has. Default RHUMB_CODES_DEFAULT: as the first
                                          source. */
    rhumb_fused fused;                 /* Whether it has fused rows. Default RHUMB_FUSED_DEFAULT: as the first
                                          source. */
} rhumb_merge_options;

/* Sets the defaults. `size` is sizeof(rhumb_merge_options) as the caller compiled it. */
RHUMB_API void rhumb_merge_options_init(rhumb_merge_options *options, size_t size);

/* What a merge did. */
typedef struct rhumb_merge_report {
    size_t size;                /* The size that the caller passed. */
    uint64_t count;             /* Vectors in the new index. */
    uint64_t dropped_count;     /* Deleted vectors that were left out. */
    uint64_t duplicate_count;   /* Vectors that were left out because another source has their key. */
    uint64_t reconnected_count; /* Nodes that no path of the joined graphs had led to. */
    uint64_t unreachable_count; /* Nodes that no path leads to still: 0. */
} rhumb_merge_report;

/* Merges indexes into a new one, which takes a fraction of the time that building it from the vectors takes: the graphs
 * of the sources are taken over and joined, so that each vector is linked to its neighbours in all of them, and
 * searches find as much as in an index that was built from all vectors.
 *
 * The sources are only read, each at its newest checkpoint, and may be open for writing here or elsewhere. What is only
 * in a log is not merged: call rhumb_index_checkpoint first if that matters. They must have the same metric, element
 * type and dimension. The new index has their live vectors under the keys that these have; the other options and the
 * metadata are those of the first source, as far as `options` does not say otherwise; its identity is its own. What it
 * contains does not depend on the number of threads. One source is allowed, and empty ones are.
 *
 * The new file has "-merging" after its name until it is complete and durable. Needs memory for the neighbour lists of
 * the new index and about 400 bytes per vector, less where that would be more than half of the memory that the process
 * may use; vectors are written to the file as they come.
 *
 * Parameters:
 *   paths           the indexes to read
 *   path_count      how many there are, 1 to 1024
 *   new_path        the file to create
 *   options         NULL: the defaults
 *   report          filled on success; may be NULL
 *   report_size     sizeof(rhumb_merge_report) as the caller compiled it
 *
 * Errors: on failure there is no new file.
 *   RHUMB_E_EXISTS       a file named new_path exists, or the log of an index of that name; or a file of that name
 *                        followed by "-merging", unless a merge that was interrupted has left it; or several sources
 *                        have one key, and options.duplicates does not say what to do then
 *   RHUMB_E_INVALID      the sources differ in metric, element type or dimension: the message names both values; or an
 *                        option is out of its range
 *   RHUMB_E_METRIC       a source has a custom metric, and options do not supply the function of that name
 *   RHUMB_E_CANCELLED    progress returned false
 *   RHUMB_E_FULL         the new index would have more vectors than an index can have
 *   and those of rhumb_index_open for a read-only handle and of rhumb_index_create
 */
RHUMB_API rhumb_status rhumb_index_merge_into(const char *const *paths, size_t path_count, const char *new_path,
                                              const rhumb_merge_options *options, rhumb_merge_report *report,
                                              size_t report_size) RHUMB_NODISCARD;

/* ---- larger than memory ------------------------------------------------------------------------------------------ */

/* Lists the pages of the index that are in memory now, in a small file next to it: the name of the index with "-hot"
 * after it, at most a 30,000th of its length. An opening of an index that memory cannot hold reads them again in the
 * background (rhumb_warm_up), up to half of the memory that the process may use.
 *
 * A writing handle does it by itself with each checkpoint and when it is closed, if memory cannot hold the index then.
 * A reader, which knows best what searches need, does it when this is called; it must be allowed to write the file. The
 * list may be removed, copied or lost without harm, and one that is damaged or of another index is passed over. It
 * should be made again after a compaction, which moves vectors.
 *
 * Errors:
 *   RHUMB_E_EXISTS      the file of that name is something else, and stays
 *   RHUMB_E_READONLY    the handle is immutable
 *   RHUMB_E_NOMEM, RHUMB_E_NOSPACE, RHUMB_E_IO    there may be no list now
 */
RHUMB_API rhumb_status rhumb_index_hot_pages_save(rhumb_index *index) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_UPKEEP_H */
