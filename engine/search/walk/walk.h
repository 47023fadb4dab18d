/* walk.h - walking over a graph: the greedy descent through the upper levels, and the walk over one level with a pool
 * of candidates (HNSW paper, algorithms 2 and 5); and the steps that all kinds of walk share.
 *
 * A walk measures distances from scratch->query. It takes no lock, and may run while other threads insert and delete.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_WALK_H
#define RHUMB_ENGINE_SEARCH_WALK_WALK_H

#include "engine/graph/neighbour_list.h"
#include "engine/graph/unlinked.h"
#include "engine/search/walk/measure.h"

/* A node and its raw distance to the query. */
typedef struct rhumb__nearest {
    uint32_t slot; /* RHUMB__SLOT_NONE: there is none */
    float distance;
} rhumb__nearest;

/* Returns where a walk begins: the entry point, moved towards the query on every level above `level`. In an empty graph
 * its slot is RHUMB__SLOT_NONE. *top_out is the level of the entry point. */
rhumb__nearest rhumb__walk_descend(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level, uint32_t *top_out);

/* Fills scratch->pool, with a capacity of `ef`, with the nearest nodes of `level` that can be reached from `start`,
 * deleted ones among them. Every slot in the pool is below scratch->slot_limit. Nodes in the visited set are passed
 * over. */
void rhumb__walk_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level, uint32_t ef);

/* What a walk for the nearest nodes is to find. */
typedef struct rhumb__walk_goal {
    uint32_t ef; /* how many */
    /* Whether a node may be among them; NULL: every node may. */
    bool (*passes)(void *context, uint32_t slot);
    void *context;
    uint32_t failing_max; /* more nodes that may not be end the walk: they have kept others out of the pool */
} rhumb__walk_goal;

/* Finds the nearest nodes of a graph. *nearest_out is the pool of the scratch that holds them; NULL: too many nodes did
 * not pass. Without `passes` there must be no deleted nodes; with it, there must be rows (row_reader.h) and a pool that
 * is not large. RHUMB_E_NOMEM. */
rhumb_status rhumb__walk_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__walk_goal *goal,
                                 rhumb__candidate_pool **nearest_out) RHUMB_NODISCARD;

/* ---- steps ---- */

/* Prefetches the list of a node on level 0. */
RHUMB__INLINE void rhumb__walk_prefetch_list(const rhumb__graph *graph, uint32_t slot) {
    const uint8_t *row = rhumb__section_row(&graph->sections[RHUMB__SECTION_LISTS0], slot);
    const uint32_t bytes = graph->params.M0 * (uint32_t)sizeof(uint32_t);
    for (uint32_t offset = 0; offset < bytes; offset += RHUMB__CACHE_LINE_BYTES) __builtin_prefetch(row + offset, 0, 3);
    if (rhumb__read_ahead_pays(graph, RHUMB__SECTION_LISTS0)) {
        const void *rows[1] = {row};
        rhumb__read_ahead_rows(rows, 1, bytes);
    }
}

/* Takes the neighbours in `list` that are not in `visited` yet: their slots go to scratch->batch, their rows, which are
 * prefetched, to scratch->rows. Slots from `slot_limit` up are passed over; `visited` has room below it. Returns how
 * many. */
uint32_t rhumb__walk_gather(rhumb__scratch *scratch, const rhumb__list *list, const rhumb__visited *visited,
                            uint64_t slot_limit);

/* Adds what has been gathered and measured to the pool. */
RHUMB__INLINE void rhumb__walk_add_gathered(rhumb__scratch *scratch, uint32_t count) {
    rhumb__candidate_pool *pool = &scratch->pool;
    if (rhumb__candidate_pool_is_large(pool)) {
        for (uint32_t i = 0; i < count; i++) {
            rhumb__candidate_pool_add(pool, scratch->batch[i], scratch->distances[i]);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) rhumb__small_pool_add(pool, scratch->batch[i], scratch->distances[i]);
}

/* ---- the nodes that no link leads to ---- */

typedef struct rhumb__unlinked_scan {
    uint64_t next;
    uint64_t end;
} rhumb__unlinked_scan;

/* To be called before the walk begins: a node that is linked later is scanned, one that is linked already is found. */
static inline rhumb__unlinked_scan rhumb__unlinked_scan_begin(const rhumb__graph *graph) {
    const uint64_t begin = rhumb__unlinked_begin(graph);
    return (rhumb__unlinked_scan){begin, rhumb__unlinked_end(graph)};
}

/* Puts the next unlinked slots that are not in `visited` yet into scratch->batch, as many as it holds. Slots from
 * `slot_limit` up are passed over; `visited` has room below it. Returns how many: 0 at the end. */
uint32_t rhumb__unlinked_scan_gather(rhumb__unlinked_scan *scan, rhumb__scratch *scratch, rhumb__visited *visited,
                                     uint64_t slot_limit);

#endif /* RHUMB_ENGINE_SEARCH_WALK_WALK_H */
