/* source.h - an index that is being merged: what of it is taken over, and where that is in the new graph.
 *
 * No thread changes its graph, a reader's.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MERGE_SOURCE_H
#define RHUMB_ENGINE_UPKEEP_MERGE_SOURCE_H

#include "base/progress.h"
#include "engine/search/walk/scratch.h"
#include "engine/upkeep/merge/merge.h"

typedef struct rhumb__merge_source {
    const char *path;
    rhumb__graph *graph;
    uint64_t slot_count;
    uint64_t *left_out; /* one bit per slot: it is deleted, or another source has its key */
    uint32_t *map;      /* by slot: the new one, or RHUMB__SLOT_NONE; of a head that is left out, that of a copy */
    uint64_t kept_count;
    uint32_t begin; /* its slots in the new graph */
    uint32_t end;
} rhumb__merge_source;

typedef struct rhumb__merge_sources {
    rhumb__merge_source *all;
    uint32_t count;
} rhumb__merge_sources;

/* Opens all sources of the work for reading. To be closed also after a failure. RHUMB_E_INVALID: they do not go
 * together. RHUMB_E_NOMEM, what rhumb__graph_open returns. */
rhumb_status rhumb__merge_sources_open(const rhumb__merge_work *work, rhumb__merge_sources *sources) RHUMB_NODISCARD;

void rhumb__merge_sources_close(rhumb__merge_sources *sources);

/* Finds what is left out of each source, and counts it in the result. RHUMB_E_EXISTS: several sources have one key, and
 * the work does not say whose vector counts. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__merge_sources_choose(const rhumb__merge_sources *sources, const rhumb__merge_work *work,
                                         rhumb__progress *progress, rhumb__merge_result *result) RHUMB_NODISCARD;

/* ---- take_over.c ---- */

/* What is taken over, and into what. */
typedef struct rhumb__merge_taking {
    rhumb__graph *graph; /* new: no other thread knows it */
    rhumb__scratch_pool *pool;
    rhumb__progress *progress;
    uint32_t thread_count; /* 0: one per processor */
    const uint32_t *lower; /* of all placed vectors: see regroup.h. Lists alone need it */
    uint64_t *written_bytes;
} rhumb__merge_taking;

/* Places what is kept of a source, in the order of its slots, on the levels that it had. It is written ahead. Advances
 * the progress by one for each vector. RHUMB_E_CORRUPT, RHUMB_E_CANCELLED, RHUMB_E_NOMEM, RHUMB_E_FULL, what writing
 * returns. */
rhumb_status rhumb__merge_place(const rhumb__merge_taking *taking, rhumb__merge_source *source) RHUMB_NODISCARD;

/* Takes over the lists of a source on all levels, when all vectors are placed and compared; gaps are filled from the
 * neighbours of neighbours. Advances the progress likewise. RHUMB_E_NOMEM, RHUMB_E_CANCELLED. */
rhumb_status rhumb__merge_take_lists(const rhumb__merge_taking *taking,
                                     const rhumb__merge_source *source) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_MERGE_SOURCE_H */
