/* row_walk.c - see row_walk.h.
 *
 * A step reads the row of the nearest candidate, and the live list next to it. A lane is right for the slot that it
 * names, whether that is still in the list, was there, or has never been (fused_fill.h). Neighbours that the row does
 * not have at the place where the list has them are measured by their codes.
 *
 * A slot is marked as visited when it enters the pool. One that was too far by the estimate of one lane stays unmarked,
 * and may enter by the lane of another row.
 *
 * Rows and lists come from a file: slots are compared with scratch->slot_limit, and what else rows say is only an
 * estimate. Takes no lock.
 */
#include "engine/search/walk/row_walk.h"

#include <math.h>

#include "base/bits.h"
#include "base/status.h"

/* Bytes of the next candidate's row that are prefetched while the present one is read. */
#define NEXT_BYTES 1024u

typedef struct row_walk {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    rhumb__fused_query query;
    uint64_t row_count;   /* slots that have rows */
    uint32_t unfit_count; /* of scratch->batch: neighbours to be measured by their codes */
} row_walk;

RHUMB__INLINE void prefetch_row(const row_walk *w, uint32_t slot, uint32_t bytes) {
    if (slot < w->row_count) rhumb__fused_prefetch(rhumb__graph_fused(w->graph, slot), bytes);
    rhumb__walk_prefetch_list(w->graph, slot);
}

/* The distance above which candidates are not kept. */
RHUMB__INLINE float bound_of(const rhumb__candidate_pool *pool) {
    if (pool->count < pool->capacity) return INFINITY;
    return rhumb__candidate_pool_farthest(pool).distance;
}

RHUMB__INLINE void add(rhumb__scratch *scratch, uint32_t slot, float distance) {
    if (!rhumb__candidate_pool_accepts(&scratch->pool, distance)) return;
    if (!rhumb__visited_add(&scratch->visited, slot)) rhumb__candidate_pool_add(&scratch->pool, slot, distance);
}

/* Sets a neighbour aside, to be measured by its code. */
RHUMB__INLINE void set_aside(row_walk *w, uint32_t slot) {
    rhumb__scratch *scratch = w->scratch;
    if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) return;
    scratch->batch[w->unfit_count] = slot;
    scratch->rows[w->unfit_count++] = rhumb__measure_prefetch(&scratch->measured, slot);
}

static void measure_aside(row_walk *w) {
    rhumb__scratch *scratch = w->scratch;
    const uint32_t count = w->unfit_count;
    w->unfit_count = 0;
    if (count == 0) return;
    rhumb__measure_rows(w->graph, scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        rhumb__candidate_pool_add(&scratch->pool, scratch->batch[i], scratch->distances[i]);
    }
}

/* Offers the lanes of one block, and sets the neighbours aside that it does not know. `live` are the entries of
 * the list at the places of the block. */
RHUMB__INLINE void offer_block(row_walk *w, const rhumb__fused_node *node, uint32_t block, const uint32_t *live) {
    rhumb__scratch *scratch = w->scratch;
    float estimates[RHUMB__LANES_PER_BLOCK];
    const uint32_t *slots = rhumb__fused_slots(&w->graph->fused, node->row, block);
    const uint32_t near = rhumb__fused_scan_block(&w->query, node, block, estimates);
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < RHUMB__LANES_PER_BLOCK; i++) {
        unknown |= (uint32_t)(slots[i] != live[i] && live[i] != RHUMB__SLOT_NONE) << i;
    }
    for (uint32_t lanes = near; lanes != 0; lanes &= lanes - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(lanes);
        if (slots[lane] < scratch->slot_limit) add(scratch, slots[lane], estimates[lane]);
    }
    for (; unknown != 0; unknown &= unknown - 1) set_aside(w, live[__builtin_ctz(unknown)]);
}

/* Expands a node by its row. */
static void expand_row(row_walk *w, uint32_t slot, const void *row, float distance) {
    rhumb__scratch *scratch = w->scratch;
    const rhumb__fused_layout *layout = &w->graph->fused;
    const rhumb__list list = rhumb__graph_list(w->graph, slot, 0);
    uint32_t *live = scratch->list;
    const uint32_t lane_count = rhumb__fused_counts_of(layout, row).lane_count;
    const uint32_t block_count = rhumb__fused_block_count(lane_count);
    uint32_t count = 0;
    for (; count < list.capacity; count++) {
        live[count] = rhumb__list_peek(&list, count);
        if (live[count] == RHUMB__SLOT_NONE) break;
    }
    rhumb__list_fence();
    const uint32_t padded_count = block_count * RHUMB__LANES_PER_BLOCK;
    for (uint32_t i = count; i < padded_count; i++) live[i] = RHUMB__SLOT_NONE;
    for (uint32_t block = 0; block < block_count; block++) {
        const rhumb__fused_node node = {row, distance, bound_of(&scratch->pool)};
        offer_block(w, &node, block, live + block * RHUMB__LANES_PER_BLOCK);
    }
    for (uint32_t i = padded_count; i < count; i++) set_aside(w, live[i]);
    measure_aside(w);
}

/* Expands a node that has no row, by the codes of its neighbours. */
static void expand_list(row_walk *w, uint32_t slot) {
    rhumb__scratch *scratch = w->scratch;
    const rhumb__list list = rhumb__graph_list(w->graph, slot, 0);
    w->unfit_count = rhumb__walk_gather(scratch, &list, &scratch->visited, scratch->slot_limit);
    measure_aside(w);
}

static void step(row_walk *w, uint32_t slot) {
    rhumb__scratch *scratch = w->scratch;
    const rhumb__fused_layout *layout = &w->graph->fused;
    uint32_t next;
    if (slot >= w->row_count) {
        rhumb__candidate_pool_add(&scratch->answers, slot, rhumb__measure_slot(w->graph, scratch, slot));
        expand_list(w, slot);
        return;
    }
    const void *row = rhumb__graph_fused(w->graph, slot);
    rhumb__fused_prefetch(row, layout->first_bytes);
    if (rhumb__candidate_pool_peek(&scratch->pool, &next)) prefetch_row(w, next, NEXT_BYTES);
    const float distance = rhumb__fused_own_distance(layout, scratch->code_query, row);
    rhumb__candidate_pool_add(&scratch->answers, slot, distance);
    expand_row(w, slot, row, distance);
}

rhumb_status rhumb__row_walk(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t ef) {
    rhumb_status status;
    row_walk w = {.graph = graph, .scratch = scratch, .row_count = rhumb__fused_count(graph)};
    RHUMB_ASSERT_DEBUG(rhumb__row_walk_pays(graph, scratch) && start.slot < scratch->slot_limit);
    RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, ef));
    rhumb__fused_prepare(&graph->fused, scratch->query, scratch->row_query, &w.query);
    rhumb__candidate_pool_clear(&scratch->pool, ef);
    add(scratch, start.slot, start.distance);
    uint32_t slot;
    while (rhumb__candidate_pool_take(&scratch->pool, &slot)) step(&w, slot);
    rhumb__candidate_pool_settle(&scratch->answers);
done:
    return status;
}
