/* link.c - see link.h.
 *
 *   1. search    candidates on each level, select.
 *   2. links     write the node's own lists on all levels; then each chosen neighbour gets a link to the node, its list
 * pruned if it is full. Only now can searches come here, and they find a node that leads on.
 *   3. raise     the entry point if the node is on a higher level than any before. A node that found no entry point and
 * is not the first after all goes back to step 1.
 *
 * Another insert that has seen this one among the active ones may link to it at any time, also before step 2 has
 * written the node's own lists; so step 2 keeps what it finds in them.
 *
 * Locks: the chunk of one list at a time. Pruning computes its distances outside the lock and exchanges the list if it
 * has not changed meanwhile.
 */
#include "engine/build/link.h"

#include <string.h>

#include "engine/build/select.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/search.h"

/* What came of the peers on one level: those that the search had not met on its way. */
typedef struct peer_offer {
    uint32_t strangers[RHUMB__ACTIVE_INSERT_MAX];
    uint32_t stranger_count;
} peer_offer;

/* Offers the peers that are on this level to the pool. */
static void peers_into_pool(rhumb__graph *graph, rhumb__scratch *scratch, const uint32_t *peers, uint32_t peer_count,
                            uint32_t level, peer_offer *offer) {
    for (uint32_t i = 0; i < peer_count; i++) {
        const uint32_t slot = peers[i];
        if (slot >= scratch->slot_limit && !rhumb__scratch_extend(scratch)) continue;
        if (rhumb__node_level(rhumb__graph_node(graph, slot)) < level) continue;
        if (rhumb__visited_add(&scratch->visited, slot)) continue;
        const float distance = graph->space.distance(&graph->space, scratch->query, rhumb__graph_vector(graph, slot));
        rhumb__candidate_pool_add(&scratch->pool, slot, distance);
        offer->strangers[offer->stranger_count++] = slot;
    }
}

/* Adds the neighbours of the candidates to the candidates (extend_candidates). The array has room for both. */
static uint32_t extend_candidates(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate *candidates,
                                  uint32_t count, uint32_t level) {
    const uint32_t base_count = count;
    for (uint32_t i = 0; i < base_count; i++) {
        const rhumb__list list = rhumb__graph_list(graph, rhumb__candidate_slot(candidates[i]), level);
        const uint32_t list_count = rhumb__list_read(&list, scratch->list);
        uint32_t batch_count = 0;
        for (uint32_t k = 0; k < list_count; k++) {
            const uint32_t slot = scratch->list[k];
            if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) continue;
            scratch->batch[batch_count++] = slot;
        }
        rhumb__search_measure(graph, scratch, batch_count);
        for (uint32_t k = 0; k < batch_count; k++) {
            candidates[count++] = (rhumb__candidate){scratch->distances[k], scratch->batch[k]};
        }
    }
    if (count > base_count) rhumb__sort_candidates(candidates, count);
    return count;
}

static void select_level(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level) {
    uint32_t *selected = scratch->selected + (size_t)level * RHUMB__M0_MAX;
    const rhumb__candidate *candidates = scratch->pool.entries;
    uint32_t count = scratch->pool.count;
    if (graph->params.extend_candidates) {
        memcpy(scratch->candidates, candidates, count * sizeof *candidates);
        count = extend_candidates(graph, scratch, scratch->candidates, count, level);
        candidates = scratch->candidates;
    }
    scratch->selected_counts[level] = rhumb__select(graph, scratch, candidates, count, graph->params.M, selected);
}

/* A node must hold on to something that the search has reached from the entry point. Other inserts under way promise
 * nothing: each may turn down what the others count on it to link to, and the group would end as an island. When
 * only such were selected, the nearest node that was reached takes the last place. */
static void keep_anchor(rhumb__graph *graph, rhumb__scratch *scratch, const peer_offer *offer, uint32_t anchor) {
    uint32_t *selected = scratch->selected;
    uint32_t *count = &scratch->selected_counts[0];
    for (uint32_t i = 0; i < *count; i++) {
        if (!rhumb__slots_contain(offer->strangers, offer->stranger_count, selected[i])) return;
    }
    if (*count == graph->params.M) --*count;
    selected[(*count)++] = anchor;
}

/* Where the search begins that is to reach the levels up to `level`: at a node whose own insert has ended, so that it
 * is linked on all of its levels. Others can be met above when they are linked there by somebody who saw them among the
 * active ones, and have nothing below yet; two that began at each other would end as an island of level 0. Instead of
 * such a node the entry point is taken. */
static rhumb__nearest descend_to_settled(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level,
                                         uint32_t *top_out) {
    const rhumb__nearest nearest = rhumb__search_descend(graph, scratch, level, top_out);
    if (nearest.slot == RHUMB__SLOT_NONE || !rhumb__active_has_slot(graph, nearest.slot)) return nearest;
    return rhumb__search_descend(graph, scratch, RHUMB__LEVEL_COUNT, top_out);
}

/* The same from one level to the next: the nearest of what the pool has found, otherwise where this level began. */
static rhumb__nearest nearest_settled(rhumb__graph *graph, const rhumb__candidate_pool *pool, rhumb__nearest start) {
    for (uint32_t i = 0; i < pool->count; i++) {
        const uint32_t slot = rhumb__candidate_slot(pool->entries[i]);
        if (!rhumb__active_has_slot(graph, slot)) return (rhumb__nearest){slot, pool->entries[i].distance};
    }
    return start;
}

/* Step 1. The peers are taken before the search begins: an insert that is not among them has either finished, so that
 * the search finds it, or announces itself later and finds this one. Taken afterwards, one that finished during the
 * search would be missed. */
bool rhumb__link_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    const uint32_t ef = graph->params.ef_construction;
    uint32_t peers[RHUMB__ACTIVE_INSERT_MAX];
    const uint32_t peer_count = rhumb__active_peers(graph, node->active, peers);
    uint32_t top;
    rhumb__nearest start = descend_to_settled(graph, scratch, node->level, &top);
    const bool has_start = start.slot != RHUMB__SLOT_NONE;
    peer_offer offer;
    for (uint32_t i = 0; i <= node->level; i++) {
        const uint32_t level = node->level - i;
        rhumb__visited_clear(&scratch->visited);
        if (node->slot < scratch->slot_limit) (void)rhumb__visited_add(&scratch->visited, node->slot);
        rhumb__candidate_pool_clear(&scratch->pool, ef);
        if (has_start && level <= top) {
            rhumb__search_level(graph, scratch, start, level, ef);
            start = nearest_settled(graph, &scratch->pool, start);
        }
        offer.stranger_count = 0;
        peers_into_pool(graph, scratch, peers, peer_count, level, &offer);
        select_level(graph, scratch, level);
    }
    if (has_start) keep_anchor(graph, scratch, &offer, start.slot);
    return has_start;
}

/* ---- step 2: links ---- */

/* The candidates of a prune: the slots of `slots`, with their distances to `row`, sorted. Uses batch, rows and
 * distances. */
static void measure_from(const rhumb__graph *graph, rhumb__scratch *scratch, const void *row, const uint32_t *slots,
                         uint32_t count, rhumb__candidate *candidates) {
    for (uint32_t i = 0; i < count; i++) scratch->rows[i] = rhumb__graph_vector(graph, slots[i]);
    graph->space.distance_many(&graph->space, row, scratch->rows, count, scratch->distances);
    for (uint32_t i = 0; i < count; i++) candidates[i] = (rhumb__candidate){scratch->distances[i], slots[i]};
    rhumb__sort_candidates(candidates, count);
}

/* What the list of `slot` should hold once `added` has come to what it holds now, in `slots`: everything when that
 * fits, otherwise what the heuristic selects. As in hnswlib, what it passes over is dropped even if there were room.
 * Slots that a damaged file put there are dropped too. Returns how many. */
static uint32_t merge_links(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, const rhumb__list *list,
                            uint32_t before_count, const uint32_t *added, uint32_t added_count, uint32_t *slots) {
    rhumb__candidate candidates[2 * RHUMB__M0_MAX];
    uint32_t all[2 * RHUMB__M0_MAX];
    const uint64_t slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    uint32_t count = 0;
    for (uint32_t i = 0; i < before_count; i++) {
        if (scratch->list[i] < slot_limit && scratch->list[i] != slot) all[count++] = scratch->list[i];
    }
    for (uint32_t i = 0; i < added_count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < before_count && !there; k++) there = scratch->list[k] == added[i];
        if (!there) all[count++] = added[i];
    }
    if (count <= list->capacity) {
        memcpy(slots, all, count * sizeof *slots);
        return count;
    }
    measure_from(graph, scratch, rhumb__graph_vector(graph, slot), all, count, candidates);
    return rhumb__select(graph, scratch, candidates, count, list->capacity, slots);
}

/* Adds `added` to the list of `slot` on `level`, pruning it if it overflows. With `insist` the first of them stays
 * whatever the heuristic thinks. Returns whether the first of them is in the list now. */
static bool add_links(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                      const uint32_t *added, uint32_t added_count, bool insist) {
    const rhumb__list list = rhumb__graph_list(graph, slot, level);
    if (list.slots == NULL || added_count == 0) return false;
    uint32_t *slots = scratch->kept;
    /* A failed exchange means that another insert has changed the list, so somebody always gets on. */
    for (;;) {
        const uint32_t before_count = rhumb__list_read(&list, scratch->list);
        uint32_t count = merge_links(graph, scratch, slot, &list, before_count, added, added_count, slots);
        bool kept = rhumb__slots_contain(slots, count, added[0]);
        if (!kept && insist) {
            /* In the place of the farthest when there is none left: the selection is in the order of distance. */
            if (count == list.capacity) count--;
            slots[count++] = added[0];
            kept = true;
        }
        if (rhumb__list_exchange(&list, scratch->list, before_count, slots, count)) return kept;
    }
}

/* All own lists come before all links back, so that whoever arrives can go on. When every
 * neighbour's heuristic turns the node down on level 0, the nearest one takes it all the same: a node that no list
 * names is a node that no search finds. */
static void add_node(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    for (uint32_t level = 0; level <= node->level; level++) {
        const uint32_t *selected = scratch->selected + (size_t)level * RHUMB__M0_MAX;
        (void)add_links(graph, scratch, node->slot, level, selected, scratch->selected_counts[level], false);
    }
    for (uint32_t level = 0; level <= node->level; level++) {
        const uint32_t *selected = scratch->selected + (size_t)level * RHUMB__M0_MAX;
        const uint32_t count = scratch->selected_counts[level];
        bool linked = false;
        for (uint32_t i = 0; i < count; i++) {
            linked = add_links(graph, scratch, selected[i], level, &node->slot, 1, false) || linked;
        }
        if (level == 0 && !linked && count > 0) {
            (void)add_links(graph, scratch, selected[0], level, &node->slot, 1, true);
        }
    }
}

/* ---- step 3: the entry point ---- */

/* The order of entry points: the highest level, and on it the lowest slot. So which one it is in the end does not
 * depend on whose insert ended first, and opening the file (level_first in params.h) begins where memory has ended. */
static bool is_better_entry(const rhumb__link_node *node, uint64_t entry) {
    const uint32_t level = rhumb__entry_level(entry);
    return node->level > level || (node->level == level && node->slot < rhumb__entry_slot(entry));
}

/* Returns false when the node found no entry point to begin at and there is one now: another insert was the first. What
 * that one leads to and what this node is linked to may be two islands, so neither is the entry point to both. */
static bool raise_entry(rhumb__graph *graph, const rhumb__link_node *node, bool had_start) {
    const uint64_t raised = rhumb__entry_encode(node->slot, node->level);
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_relaxed);
    while (entry == RHUMB__ENTRY_NONE || (had_start && is_better_entry(node, entry))) {
        /* Release pairs with the acquire in rhumb__search_descend. */
        if (atomic_compare_exchange_weak_explicit(&graph->entry, &entry, raised, memory_order_release,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return had_start;
}

bool rhumb__link_finish(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, bool had_start) {
    add_node(graph, scratch, node);
    return raise_entry(graph, node, had_start);
}

rhumb_status rhumb__link_prepare(const rhumb__graph *graph, rhumb__scratch *scratch) {
    const uint32_t ef = graph->params.ef_construction;
    rhumb_status status = rhumb__scratch_prepare_search(scratch, ef);
    if (status != RHUMB_OK) return status;
    return rhumb__scratch_prepare_insert(scratch, graph->params.extend_candidates ? ef + ef * graph->params.M0 : 0);
}

void rhumb__link(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    (void)rhumb__scratch_extend(scratch);
    /* The second time there is an entry point, unless memory is too short to reach it. */
    bool done = false;
    for (uint32_t attempt = 0; attempt < 2 && !done; attempt++) {
        const bool had_start = rhumb__link_search(graph, scratch, node);
        done = rhumb__link_finish(graph, scratch, node, had_start);
    }
}
