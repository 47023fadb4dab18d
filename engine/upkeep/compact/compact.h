/* compact.h - compaction: a new graph without deleted nodes, in which every live node can be reached and nodes that
 * searches visit together lie close together.
 *
 * rhumb__compact_build makes the graph; rhumb__compact_in_place makes it the new content of the same file while the
 * handle stays in use, rhumb__compact_into makes it a new file.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph/codes.h"
#include "engine/graph/graph.h"
#include "engine/search/walk/filter.h"
#include "engine/upkeep/compact/order.h"

typedef struct rhumb__compact_work {
    rhumb__graph *old;           /* a reader's */
    rhumb__graph *graph;         /* empty, of the same parameters but for `derived`, and known to no other thread */
    rhumb__custom_metric custom; /* the caller's, for an index that has such a metric */
    uint32_t thread_count;       /* 0: one per processor */
    rhumb__order_kind order;
    rhumb__derived_choice derived; /* what the new graph is to have */
    bool second_pass;              /* search new neighbours for every node */
    uint64_t bytes_per_second;     /* how fast vectors may be written; 0: without a limit */
    const rhumb__filter *filter;   /* into a new file: only keys that match are taken over; NULL: all */
    bool bounded;                  /* in place: slow writers down rather than let the file grow by much */
    bool (*report)(void *context, uint64_t done_count, uint64_t total_count); /* false: stop. May be NULL */
    void *report_context;
} rhumb__compact_work;

typedef struct rhumb__compact_result {
    uint64_t epoch;             /* of the version that was read */
    uint64_t count;             /* vectors of that version in the new graph */
    uint64_t dropped_count;     /* deleted nodes that were left out */
    uint64_t left_out_count;    /* live nodes that were, because their keys do not match */
    uint64_t repaired_count;    /* lists that had named deleted nodes */
    uint64_t reconnected_count; /* nodes that no path had led to */
    uint64_t unreachable_count; /* of these, nodes that still have no path: 0 */
    uint64_t carried_count;     /* in place: operations that came during the compaction */
    uint64_t pause_ns;          /* in place: how long writers were blocked */
} rhumb__compact_result;

/* Fills work->graph from work->old, which no thread changes, and the first seven numbers of `result`. Rows of
 * append-only sections have been written ahead to the graph's file; no version of it is published. RHUMB_E_CORRUPT: a
 * live node of the old graph is not whole. RHUMB_E_CANCELLED, RHUMB_E_NOMEM, what writing returns. */
rhumb_status rhumb__compact_build(const rhumb__compact_work *work, rhumb__compact_result *result) RHUMB_NODISCARD;

/* Compacts the index of a handle that writes, while inserts, deletes and searches continue; fills in the two graphs of
 * `work`. With `shrink`, moves what then lies at the end of the file into free space before it. Waits for a compaction
 * that is under way, then does its own.
 *
 * A failure before the graphs are exchanged leaves the index as it was. After a failure of the checkpoint that
 * publishes, the compacted graph is in memory, the last version and the log are in the file, and the next checkpoint
 * tries again. RHUMB_E_CANCELLED, what rhumb__compact_build and checkpoints return. */
rhumb_status rhumb__compact_in_place(rhumb__writer *writer, rhumb__compact_work *work, bool shrink,
                                     rhumb__compact_result *result) RHUMB_NODISCARD;

/* Makes a new file, compacted, from the newest version of the index at `path`, which is only read and may be written to
 * in the meantime: so this is also a backup of a live index. Fills in the two graphs of `work`. The new file must not
 * exist. Until it is whole, "-compacting" is appended to its name; on failure it is removed. RHUMB_E_EXISTS; what
 * rhumb__compact_build, opening, creating and publishing return. */
rhumb_status rhumb__compact_into(const char *path, const char *new_path, uint32_t creator_version,
                                 rhumb__compact_work *work, rhumb__compact_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_COMPACT_H */
