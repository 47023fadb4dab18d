/* merge.h - a new index of what several have. Their graphs are taken over, and joined (join.h): nodes get candidates
 * from the other graphs, and choose among these and the neighbours that they had.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MERGE_MERGE_H
#define RHUMB_ENGINE_UPKEEP_MERGE_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph/codes.h"
#include "engine/graph/graph.h"

#define RHUMB__MERGE_SOURCES_MAX 1024u

/* Which vector a key gets that several sources have. */
typedef enum rhumb__merge_duplicates {
    RHUMB__MERGE_DUPLICATES_FAIL = 0,
    RHUMB__MERGE_DUPLICATES_FIRST = 1, /* that of the first of them */
    RHUMB__MERGE_DUPLICATES_LAST = 2
} rhumb__merge_duplicates;

typedef struct rhumb__merge_work {
    const char *const *paths;
    uint32_t path_count;
    const char *new_path;
    uint32_t creator_version;
    rhumb__custom_metric custom; /* the caller's, for indexes that have such a metric */
    uint32_t thread_count;       /* 0: one per processor */
    uint32_t M;                  /* of the new index, as the next two; 0: that of the first source */
    uint32_t M0;                 /* 0: that of the first source, or twice M if that is chosen */
    uint32_t ef_construction;
    rhumb__derived_choice derived;
    rhumb__merge_duplicates duplicates;
    bool (*report)(void *context, uint64_t done_count, uint64_t total_count); /* false: stop. May be NULL */
    void *report_context;
} rhumb__merge_work;

typedef struct rhumb__merge_result {
    uint64_t count;             /* vectors in the new index */
    uint64_t dropped_count;     /* deleted nodes that were left out */
    uint64_t duplicate_count;   /* vectors that were, because another source has their key */
    uint64_t reconnected_count; /* nodes that no path of the joined graph had led to */
    uint64_t unreachable_count; /* of these, nodes that still have no path: 0 */
} rhumb__merge_result;

/* Makes the new file from the newest versions of the sources, which are only read and may be written to in the
 * meantime. The new file must not exist. Until it is whole, "-merging" is appended to its name; on failure it is
 * removed. What it contains does not depend on the number of threads. RHUMB_E_EXISTS: there is such a file, or several
 * sources have one key. RHUMB_E_INVALID: the sources differ in metric, element type or dimension. RHUMB_E_CORRUPT: a
 * live node of a source is not whole. RHUMB_E_CANCELLED, RHUMB_E_NOMEM, RHUMB_E_FULL; what opening, creating and
 * publishing return. */
rhumb_status rhumb__merge(const rhumb__merge_work *work, rhumb__merge_result *result) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_MERGE_MERGE_H */
