/* rhumb_upkeep.h - verifying, repairing and compacting: a part of the manual of its own. Include rhumb.h; it includes
 * this file.
 */
#ifndef RHUMB_UPKEEP_H
#define RHUMB_UPKEEP_H

#include "rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- verifying --------------------------------------------------------------------------------------------------- */

/* What rhumb_index_verify found. A whole index has no checksum errors and no structure errors. Unreachable nodes are no
 * damage: an HNSW graph loses the last link to a node now and then when lists are pruned; such a node is not found by
 * searches. */
typedef struct rhumb_verify_report {
    size_t size;
    uint64_t chunk_count;           /* chunks of the file whose checksum was computed */
    uint64_t checksum_error_count;  /* of these, wrong */
    uint64_t node_count;            /* nodes looked at */
    uint64_t link_count;            /* links looked at, on all levels */
    uint64_t structure_error_count; /* slots out of range, self links, duplicates, wrong levels, keys that lead
                                       elsewhere... */
    uint64_t unreachable_count;     /* nodes that no path on level 0 reaches from the entry point */
    char first_error[512];          /* what the first error is and where, or "" */
    uint64_t log_record_count;      /* whole records in the log beside the index */
    uint64_t log_error_count;       /* records that had been durable and are damaged, or a log of another index */
} rhumb_verify_report;

/* Reads the whole index: every chunk's checksum, and every rule that the graph must keep. Takes time in proportion to
 * its size and some memory per slot. RHUMB_OK: whole. RHUMB_E_CORRUPT: errors were found; the report has them. `report`
 * is filled in both cases. On a writing handle a checkpoint is made first, and inserts wait until the check is done. */
RHUMB_API rhumb_status rhumb_index_verify(rhumb_index *index, rhumb_verify_report *report, size_t size) RHUMB_NODISCARD;

/* ---- repairing --------------------------------------------------------------------------------------------------- */

typedef struct rhumb_repair_options {
    size_t size;
    uint32_t thread_count;      /* threads to work with; default 0: one per processor of this process */
    rhumb_progress_fn progress; /* as for batches, but its numbers are steps: two per slot; default NULL */
    void *progress_context;
    bool strict;             /* fail rather than take a vector that is doubtful or not proved; default false */
    const char *custom_name; /* as for opening, if the index has a custom metric; default NULL */
    rhumb_distance_fn custom_distance;
    void *custom_context;
} rhumb_repair_options;

RHUMB_API void rhumb_repair_options_init(rhumb_repair_options *options, size_t size);

/* What a repair found and did. Nothing is lost if lost_count, duplicate_count, doubtful_count and unproved_count are 0,
 * older_version is false and log_note is empty. */
typedef struct rhumb_repair_report {
    size_t size;
    uint64_t epoch;               /* of the checkpoint that was taken */
    bool older_version;           /* it is not the newest, or may not be; version_note says why */
    bool checksums_lost;          /* the table of checksums is damaged: everything that was taken is not proved */
    uint64_t chunk_count;         /* chunks that were checked */
    uint64_t damaged_chunk_count; /* of these, wrong or unreadable; the first is described in first_damage */
    uint64_t slot_count;          /* slots of the checkpoint */
    uint64_t dead_count;          /* of these, deleted before: not in the new index, and nothing is lost */
    uint64_t saved_count;         /* in the new index */
    uint64_t lost_count;          /* not in the new index: the sum of the next two */
    uint64_t lost_vector_count;   /* because the vector is damaged */
    uint64_t lost_key_count;      /* because nobody can tell whose the vector is */
    uint64_t duplicate_count;     /* keys that were there twice: one of the two is not in the new index */
    uint64_t doubtful_count;      /* saved, but may have been deleted before: tombstones and key table are damaged */
    uint64_t unproved_count;      /* saved, but no checksum covers vector or key */
    uint64_t lists_rebuilt_count; /* nodes whose neighbour list was damaged */
    uint64_t relinked_count;      /* nodes linked anew: those, those that lost a neighbour or had no path to them, and
                                     what came from the log */
    uint64_t log_carried_count;   /* operations of the log that the new index has */
    uint64_t log_left_out_count;  /* operations of the log that could be read, and not be carried over */
    uint64_t count;               /* vectors in the new index */
    uint64_t unreachable_count;   /* of these, without a path: 0 */
    char version_note[512];       /* why the newest checkpoint was not taken, or "" */
    char first_damage[512];       /* what the first damaged chunk is, or "" */
    char log_note[512];           /* what is wrong with the log, so that all or a part of it was left out, or "" */
} rhumb_repair_report;

/* Makes a new index, in a new file, of what is left of a damaged one. The old file and its log are read, never changed.
 * A vector is saved if checksums prove that it and its key are what they were; where the marks of deletion are damaged,
 * the key table tells which are alive. If the newest checkpoint cannot be used at all, the one before it is taken. What
 * the log has beyond the checkpoint is carried over, up to the first damage in it. Links are taken over where they can
 * be and made anew where not; every vector of the new index can be found. It has the old one's options and an identity
 * of its own. Works on a sound index too, which it makes smaller by what was deleted. Memory: the new index.
 *
 * RHUMB_OK: the new index is there and durable; `report` (may be NULL; `report_size` is sizeof(rhumb_repair_report) at
 * the caller's) says what it lacks. On failure there is no new file. RHUMB_E_EXISTS: there is one of that name.
 * RHUMB_E_LOCKED: the old index is open for writing. RHUMB_E_NOTFOUND, RHUMB_E_NOT_AN_INDEX, RHUMB_E_CORRUPT,
 * RHUMB_E_TRUNCATED, RHUMB_E_VERSION: nothing can be made of the old file. RHUMB_E_METRIC as for opening.
 * RHUMB_E_CANCELLED, RHUMB_E_NOSPACE,
 * RHUMB_E_IO, RHUMB_E_NOMEM, RHUMB_E_FATAL. A crash meanwhile leaves an empty index in the new file. */
RHUMB_API rhumb_status rhumb_index_repair(const char *path, const char *new_path, const rhumb_repair_options *options,
                                          rhumb_repair_report *report, size_t report_size) RHUMB_NODISCARD;

/* ---- compacting -------------------------------------------------------------------------------------------------- */

/* In which order the nodes of a compacted index lie. Where neighbours lie close together a search touches fewer pages,
 * which matters when they are not in memory. */
typedef enum rhumb_order {
    RHUMB_ORDER_DEFAULT = 0,  /* the one with the fewest pages per search: RHUMB_ORDER_BISECTION */
    RHUMB_ORDER_KEEP = 1,     /* as they lie now */
    RHUMB_ORDER_BREADTH = 2,  /* breadth first from the entry point */
    RHUMB_ORDER_RCM = 3,      /* reverse Cuthill-McKee */
    RHUMB_ORDER_WINDOW = 4,   /* Gorder: next the node that shares most neighbours with the last five */
    RHUMB_ORDER_BISECTION = 5 /* cut in two again and again, so that sample searches stay within few parts */
} rhumb_order;

typedef struct rhumb_compact_options {
    size_t size;
    uint32_t thread_count; /* default 0: one per processor */
    rhumb_order order;
    bool second_pass;           /* search new neighbours for every node; takes as long as building. Default false */
    rhumb_progress_fn progress; /* default NULL */
    void *progress_context;
    const char *custom_name; /* as for opening, if the index has a custom metric; default NULL */
    rhumb_distance_fn custom_distance;
    void *custom_context;
    /* The rest is for rhumb_index_compact. */
    uint64_t bytes_per_second; /* how fast vectors may be written; default 0: as fast as the disk */
    bool background;           /* return at once and compact on a thread of the handle; default false */
    bool shrink; /* at the end, move what lies at the end of the file into the gaps in front, and cut the file; writes
                    everything once more. Default false: the gaps are given back to the file system as holes */
} rhumb_compact_options;

RHUMB_API void rhumb_compact_options_init(rhumb_compact_options *options, size_t size);

typedef struct rhumb_compact_report {
    size_t size;
    uint64_t epoch;             /* of the checkpoint that was read */
    uint64_t count;             /* vectors of that checkpoint in the new index */
    uint64_t dropped_count;     /* deleted nodes that it does not have any more */
    uint64_t repaired_count;    /* neighbour lists that had named deleted nodes */
    uint64_t reconnected_count; /* nodes that no path had led to */
    uint64_t unreachable_count; /* of these, without a path still */
    /* The rest is for rhumb_index_compact. */
    uint64_t carried_count; /* operations that came meanwhile */
    uint64_t pause_ns;      /* for which everybody was kept out who writes */
} rhumb_compact_report;

/* Compacts an index where it is: deleted nodes go, the lists around them are mended, every node is reachable,
 * neighbours lie close together, and the space is given back. Searches, inserts, deletes and checkpoints go on
 * meanwhile; near the end writers are slowed down if they are faster than the compaction can carry over what they do,
 * and then kept out for some milliseconds (rhumb_index_stats.compaction_pause_ns). Keys and vectors stay what they are.
 * Other processes see it as one more checkpoint. A handle does this by itself when many vectors have been deleted
 * (rhumb_open_options.compact_dead_share), except in mode none.
 *
 * Needs free disk space for the live vectors once more, and memory for some numbers per vector, the new neighbour
 * lists, and 4 bytes per link for the default order. A crash at any moment leaves the index as it was, or compacted,
 * with every operation that had returned. The old blocks become holes in the file, or its end is cut off, as soon as no
 * reader needs them any more; that happens in the background. One compaction at a time: a second call waits for the
 * first. With options.background the call returns at once, `report` is not filled, and rhumb_index_wait_idle waits for
 * the end; progress is then told by another thread, also after the call.
 *
 * `report` may be NULL. RHUMB_E_CANCELLED: progress said so, or rhumb_index_compact_cancel; RHUMB_E_NOSPACE,
 * RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_CORRUPT (the index is damaged): the file is as before, nothing is lost, and
 * another compaction may succeed. RHUMB_E_FATAL, RHUMB_E_READONLY. */
RHUMB_API rhumb_status rhumb_index_compact(rhumb_index *index, const rhumb_compact_options *options,
                                           rhumb_compact_report *report, size_t report_size) RHUMB_NODISCARD;

/* Stops a compaction of this handle that is under way, whoever began it; returns at once. Nothing is lost but its work.
 * RHUMB_E_READONLY. */
RHUMB_API rhumb_status rhumb_index_compact_cancel(rhumb_index *index) RHUMB_NODISCARD;

/* Writes the live vectors of the index at `path` into a new index at `new_path`, without deleted nodes, every node
 * reachable, neighbours close together; keys, parameters and vectors are the same, the identity is new. The old index
 * is only read, at its newest checkpoint, and may be open for writing here or elsewhere: so this is also a backup of a
 * live index. The new file has "-compacting" behind its name until it is whole and durable; after a failure there is
 * none. Memory: the neighbour lists of the new index, some bytes per node, and 8 bytes per link for the default order.
 * RHUMB_E_EXISTS: there is a file of either name. RHUMB_E_METRIC as for opening. RHUMB_E_CANCELLED; what opening and
 * creating return. */
RHUMB_API rhumb_status rhumb_index_compact_into(const char *path, const char *new_path,
                                                const rhumb_compact_options *options, rhumb_compact_report *report,
                                                size_t report_size) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_UPKEEP_H */
