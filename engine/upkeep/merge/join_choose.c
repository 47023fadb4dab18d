/* join_choose.c - see join_choose.h.
 *
 * The heuristic of build/select.c, nearest candidates first, with two differences. Neighbours that the node had are
 * compared with the new ones alone: they have been chosen among each other before, and those that had chosen the node
 * would not stay otherwise. And on level 0 fewer are passed over, as where an index is built in bulk: candidates are
 * few. Not so where nodes are linked by another distance than the metric (ip): there a search needs what the node had,
 * as far as there is room.
 *
 * Works in the scratch of its caller. Locks: those of storing a list.
 */
#include "engine/upkeep/merge/join_choose.h"

#include "base/assert.h"
#include "engine/build/bulk/select_rows.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/walk/measure.h"

/* The choice of one node. */
typedef struct choice {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    uint32_t slot;
    uint32_t capacity;
    float nearness; /* see select_rows.h */
    uint32_t before[RHUMB__M0_MAX];
    uint32_t before_count;
    uint32_t candidate_count;            /* of scratch->candidates */
    uint32_t chosen_count;               /* of scratch->kept, and scratch->kept_rows are their vectors */
    const void *new_rows[RHUMB__M0_MAX]; /* of those chosen, the vectors of those that the node did not have */
    uint32_t new_count;
} choice;

/* Adds the list to the candidates, measures all, sorts them, and leaves out what is there twice. */
static void gather(choice *c, uint32_t level, uint32_t given_count) {
    rhumb__candidate *candidates = c->scratch->candidates;
    const rhumb__list list = rhumb__graph_list(c->graph, c->slot, level);
    uint32_t count = given_count;
    c->before_count = rhumb__list_read(&list, c->before);
    c->capacity = list.capacity;
    RHUMB_ASSERT_DEBUG(count + c->before_count <= c->scratch->candidate_capacity);
    for (uint32_t i = 0; i < c->before_count; i++) candidates[count++].slot_mark = c->before[i];
    rhumb__measure_candidates(c->graph, c->scratch, c->slot, candidates, count);
    rhumb__sort_candidates(candidates, count);
    c->candidate_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (c->candidate_count > 0 && candidates[c->candidate_count - 1].slot_mark == candidates[i].slot_mark) continue;
        if (candidates[i].slot_mark != c->slot) candidates[c->candidate_count++] = candidates[i];
    }
}

static bool is_shadowed(choice *c, const void *row, float distance, bool had) {
    const rhumb__select_from from = {
        .space = &c->graph->space, .nearness = c->nearness, .kept_rows = had ? c->new_rows : c->scratch->kept_rows};
    return rhumb__select_is_shadowed(&from, row, distance, had ? c->new_count : c->chosen_count);
}

static void choose(choice *c) {
    rhumb__scratch *scratch = c->scratch;
    for (uint32_t i = 0; i < c->candidate_count && c->chosen_count < c->capacity; i++) {
        const rhumb__candidate candidate = scratch->candidates[i];
        const bool had = rhumb__slots_contain(c->before, c->before_count, candidate.slot_mark);
        const void *row = rhumb__graph_vector(c->graph, candidate.slot_mark);
        if (is_shadowed(c, row, candidate.distance, had)) continue;
        if (!had) c->new_rows[c->new_count++] = row;
        scratch->kept_rows[c->chosen_count] = row;
        scratch->kept[c->chosen_count++] = candidate.slot_mark;
    }
}

/* Fills the list with the nearest of those passed over (keep_pruned). */
static void fill(choice *c) {
    rhumb__scratch *scratch = c->scratch;
    for (uint32_t i = 0; i < c->candidate_count && c->chosen_count < c->capacity; i++) {
        const uint32_t slot = scratch->candidates[i].slot_mark;
        if (!rhumb__slots_contain(scratch->kept, c->chosen_count, slot)) scratch->kept[c->chosen_count++] = slot;
    }
}

/* Fills the list with neighbours that the node had, the nearest first: as inserts do, which prune no list that has
 * room. */
static void fill_with_had(choice *c) {
    rhumb__scratch *scratch = c->scratch;
    for (uint32_t i = 0; i < c->candidate_count && c->chosen_count < c->capacity; i++) {
        const uint32_t slot = scratch->candidates[i].slot_mark;
        if (!rhumb__slots_contain(c->before, c->before_count, slot)) continue;
        if (!rhumb__slots_contain(scratch->kept, c->chosen_count, slot)) scratch->kept[c->chosen_count++] = slot;
    }
}

/* Where nodes are linked by another distance than the metric (ip), keeps the neighbour that is nearest by the metric,
 * as pruning does (build/link_add.c). */
static void keep_nearest_by_metric(choice *c) {
    rhumb__scratch *scratch = c->scratch;
    uint32_t nearest = 0;
    rhumb__measure_neighbours(c->graph, scratch, c->slot, scratch->candidates, c->candidate_count);
    for (uint32_t i = 1; i < c->candidate_count; i++) {
        if (scratch->candidates[i].distance < scratch->candidates[nearest].distance) nearest = i;
    }
    const uint32_t slot = scratch->candidates[nearest].slot_mark;
    if (rhumb__slots_contain(scratch->kept, c->chosen_count, slot)) return;
    scratch->kept[c->chosen_count < c->capacity ? c->chosen_count++ : c->chosen_count - 1] = slot;
}

void rhumb__join_choose(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                        uint32_t given_count) {
    choice c;
    c.graph = graph;
    c.scratch = scratch;
    c.slot = slot;
    const bool goes_outward = graph->space.link.distance_many != graph->space.distance_many;
    c.nearness = level == 0 && !goes_outward ? RHUMB__NEARNESS_OF_FEW : 1.0f;
    c.chosen_count = 0;
    c.new_count = 0;
    gather(&c, level, given_count);
    if (c.candidate_count == 0) return;
    choose(&c);
    if (graph->params.keep_pruned) fill(&c);
    if (goes_outward) {
        fill_with_had(&c);
        keep_nearest_by_metric(&c);
    }
    const rhumb__list list = rhumb__graph_list(graph, slot, level);
    /* No other thread changes the list, so this succeeds. */
    (void)rhumb__list_exchange(&list, c.before, c.before_count, scratch->kept, c.chosen_count);
}
