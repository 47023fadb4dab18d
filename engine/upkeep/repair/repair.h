/* repair.h - builds a new index file from what is left of a damaged one.
 *
 * salvage.h decides what can be saved. The new index has the parameters of the old one and an identity of its own.
 * Slots are renumbered in the old order, without those of deleted and lost vectors. Neighbour lists of level 0 are kept
 * where they are intact; a list that is damaged, or that contained a slot which has been dropped, is completed by the
 * search that inserting uses. Lists of upper levels are rebuilt: the level of a node follows from its slot, which
 * changes for every node after the first gap. They are one in M of all lists. Derived sections begin empty
 * (graph/sections.h).
 *
 * The old file and its log are only read.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_REPAIR_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph/params.h"
#include "include/rhumb_types.h"

typedef struct rhumb__repair_spec {
    const char *path;
    const char *new_path;
    uint32_t creator_version;
    uint32_t thread_count; /* 0: one per processor */
    bool strict;           /* fail rather than accept what is doubtful or unproved */
    bool (*progress)(void *context, uint64_t done_count, uint64_t total_count); /* may be NULL */
    void *progress_context;
    rhumb__custom_metric custom; /* of the old index, if it has one */
} rhumb__repair_spec;

typedef struct rhumb__repair_result {
    uint64_t epoch; /* of the version that was read */
    bool older_version;
    bool checksums_lost;
    uint64_t chunk_count;
    uint64_t damaged_chunk_count;
    uint64_t slot_count;
    uint64_t dead_count;
    uint64_t saved_count;
    uint64_t lost_vector_count;
    uint64_t lost_key_count;
    uint64_t duplicate_count;
    uint64_t doubtful_count;
    uint64_t unproved_count;
    uint64_t lists_rebuilt_count;
    uint64_t relinked_count;
    uint64_t log_carried_count;
    uint64_t log_left_out_count;
    uint64_t count; /* vectors in the new index */
    uint64_t unreachable_count;
    char version_note[512];
    char first_damage[512];
    char log_note[512];
} rhumb__repair_result;

/* Creates the new file, which must not exist, and closes it; on failure it is removed. RHUMB_E_EXISTS, RHUMB_E_LOCKED,
 * RHUMB_E_CANCELLED, RHUMB_E_NOMEM, RHUMB_E_FULL, RHUMB_E_METRIC. When no version of the old file has a usable frame:
 * RHUMB_E_NOTFOUND, RHUMB_E_NOT_AN_INDEX, RHUMB_E_VERSION, RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED or RHUMB_E_IO. With
 * `strict`, RHUMB_E_CORRUPT for what is doubtful or unproved. What creating and publishing return. */
rhumb_status rhumb__repair(const rhumb__repair_spec *spec, rhumb__repair_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_REPAIR_H */
