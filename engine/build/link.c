/* link.c - see link.h.
 *
 *   1. search    candidates on each level, and select among them.
 *   2. links     write the node's own lists on all levels; then each chosen neighbour gets a link to the node, its list
 *                pruned if it is full. Only now can searches get here, and they find a node that leads on.
 *   3. raise     the entry point if the node is on a higher level than any before. A node that found no entry point and
 *                is not the first after all goes back to step 1.
 *
 * Another insert that has seen this one among the active ones may link to it at any time, also before step 2 has
 * written the node's own lists; so step 2 keeps what it finds in them.
 *
 * Locks: the chunk of one list at a time. Pruning computes its distances outside the lock and exchanges the list if it
 * has not changed in the meantime.
 */
#include "engine/build/link.h"

#include <string.h>

#include "base/assert.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/walk/measure.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/walk.h"

/* ---- step 1: search ---- */

/* The inserts that run concurrently with this one. */
typedef struct link_peers {
    uint32_t slots[RHUMB__ACTIVE_INSERT_MAX];
    uint32_t count;
    uint32_t strangers[RHUMB__ACTIVE_INSERT_MAX]; /* on one level: those that the search has not met on its way */
    uint32_t stranger_count;
} link_peers;

/* Adds the peers that are on this level to the pool. */
static void add_peers(rhumb__graph *graph, rhumb__scratch *scratch, link_peers *peers, uint32_t level) {
    peers->stranger_count = 0;
    for (uint32_t i = 0; i < peers->count; i++) {
        const uint32_t slot = peers->slots[i];
        if (slot >= scratch->slot_limit && !rhumb__scratch_extend(scratch)) continue;
        if (rhumb__node_level(rhumb__graph_node(graph, slot)) < level) continue;
        if (rhumb__visited_add(&scratch->visited, slot)) continue;
        rhumb__candidate_pool_add(&scratch->pool, slot, rhumb__measure_slot(graph, scratch, slot));
        peers->strangers[peers->stranger_count++] = slot;
    }
}

/* Adds the neighbours of `count` candidates to scratch->candidates, which holds these and has room for all
 * (extend_candidates). Returns how many there are then, sorted. */
static uint32_t extend_candidates(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count, uint32_t level) {
    rhumb__candidate *candidates = scratch->candidates;
    const uint32_t base_count = count;
    for (uint32_t i = 0; i < base_count; i++) {
        const rhumb__list list = rhumb__graph_list(graph, rhumb__candidate_slot(candidates[i]), level);
        const uint32_t batch_count = rhumb__walk_gather(graph, scratch, &list, &scratch->visited, scratch->slot_limit);
        rhumb__measure_rows(graph, scratch, batch_count);
        for (uint32_t k = 0; k < batch_count; k++) {
            candidates[count++] = (rhumb__candidate){scratch->distances[k], scratch->batch[k]};
        }
    }
    RHUMB_ASSERT_DEBUG(count <= scratch->candidate_capacity);
    if (count > base_count) rhumb__sort_candidates(candidates, count);
    return count;
}

static uint32_t *selected_of(const rhumb__scratch *scratch, uint32_t level) {
    RHUMB_ASSERT_DEBUG(level < RHUMB__LEVEL_COUNT);
    return scratch->selected + (size_t)level * RHUMB__M0_MAX;
}

static void select_level(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level) {
    RHUMB_ASSERT_DEBUG(level <= graph->params.level_max);
    rhumb__candidates candidates = {scratch->pool.entries, scratch->pool.count};
    if (graph->params.extend_candidates) {
        memcpy(scratch->candidates, candidates.entries, candidates.count * sizeof *candidates.entries);
        candidates.count = extend_candidates(graph, scratch, candidates.count, level);
        candidates.entries = scratch->candidates;
    }
    scratch->selected_counts[level] =
        rhumb__select(graph, scratch, candidates, graph->params.M, selected_of(scratch, level));
}

/* A node must keep a link to a node that the search has reached from the entry point. Links to concurrent inserts are
 * not enough: each of those may reject the link that the others rely on, and the group would end as an island. When
 * only such were selected, the nearest node that was reached takes the last entry. */
static void keep_anchor(rhumb__graph *graph, rhumb__scratch *scratch, const link_peers *peers, uint32_t anchor) {
    uint32_t *selected = selected_of(scratch, 0);
    uint32_t *count = &scratch->selected_counts[0];
    RHUMB_ASSERT_DEBUG(anchor < scratch->slot_limit && *count <= graph->params.M);
    for (uint32_t i = 0; i < *count; i++) {
        if (!rhumb__slots_contain(peers->strangers, peers->stranger_count, selected[i])) return;
    }
    if (*count == graph->params.M) --*count;
    selected[(*count)++] = anchor;
}

/* Returns where the search for the levels up to `level` begins: at a node whose own insert has ended, so that it is
 * linked on all of its levels. Others can be met on upper levels, where inserts that saw them among the active ones
 * have linked them, and have nothing below yet; two that began at each other would end as an island of level 0. Instead
 * of such a node the entry point is taken. */
static rhumb__nearest descend_to_settled(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level,
                                         uint32_t *top_out) {
    const rhumb__nearest nearest = rhumb__walk_descend(graph, scratch, level, top_out);
    if (nearest.slot == RHUMB__SLOT_NONE || !rhumb__active_has_slot(graph, nearest.slot)) return nearest;
    return rhumb__walk_descend(graph, scratch, RHUMB__LEVEL_COUNT, top_out);
}

/* Returns where the search of the next level begins: at the nearest node in the pool whose insert has ended, otherwise
 * where this level began. */
static rhumb__nearest nearest_settled(rhumb__graph *graph, const rhumb__candidate_pool *pool, rhumb__nearest start) {
    for (uint32_t i = 0; i < pool->count; i++) {
        const uint32_t slot = rhumb__candidate_slot(pool->entries[i]);
        if (!rhumb__active_has_slot(graph, slot)) return (rhumb__nearest){slot, pool->entries[i].distance};
    }
    return start;
}

/* The peers are read before the search begins: an insert that is not among them has either finished, so that the search
 * finds it, or publishes itself later and finds this one. Read afterwards, one that finished during the search would be
 * missed. */
bool rhumb__link_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    RHUMB_ASSERT_DEBUG(node->level == rhumb__node_level(rhumb__graph_node(graph, node->slot)));
    RHUMB_ASSERT_DEBUG(node->level <= graph->params.level_max);
    const uint32_t ef = graph->params.ef_construction;
    link_peers peers;
    peers.count = rhumb__active_peers(graph, node->active, peers.slots);
    uint32_t top;
    rhumb__nearest start = descend_to_settled(graph, scratch, node->level, &top);
    const bool has_start = start.slot != RHUMB__SLOT_NONE;
    for (uint32_t i = 0; i <= node->level; i++) {
        const uint32_t level = node->level - i;
        rhumb__visited_clear(&scratch->visited);
        if (node->slot < scratch->slot_limit) (void)rhumb__visited_add(&scratch->visited, node->slot);
        rhumb__candidate_pool_clear(&scratch->pool, ef);
        if (has_start && level <= top) {
            rhumb__walk_level(graph, scratch, start, level, ef);
            start = nearest_settled(graph, &scratch->pool, start);
        }
        add_peers(graph, scratch, &peers, level);
        select_level(graph, scratch, level);
    }
    if (has_start) keep_anchor(graph, scratch, &peers, start.slot);
    return has_start;
}

/* ---- step 2: links ---- */

/* Slots that are to be added to one list. */
typedef struct link_addition {
    uint32_t slot; /* whose list, and on which level */
    uint32_t level;
    const uint32_t *added;
    uint32_t added_count;
    bool insist; /* the first of them is added even if the heuristic rejects it */
} link_addition;

/* Puts what the list should hold into scratch->kept: what it holds now, which is the first before_count of
 * scratch->list, and what is added, when that fits; otherwise what the heuristic selects. As in hnswlib, what it passes
 * over is dropped even if there were room. Slots that a damaged file put there are dropped too. Returns how many. */
static uint32_t merge_links(rhumb__graph *graph, rhumb__scratch *scratch, const link_addition *addition,
                            const rhumb__list *list, uint32_t before_count) {
    rhumb__candidate candidates[2 * RHUMB__M0_MAX];
    uint32_t all[2 * RHUMB__M0_MAX];
    const uint64_t slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    uint32_t count = 0;
    for (uint32_t i = 0; i < before_count; i++) {
        if (scratch->list[i] < slot_limit && scratch->list[i] != addition->slot) all[count++] = scratch->list[i];
    }
    for (uint32_t i = 0; i < addition->added_count; i++) {
        const bool there = rhumb__slots_contain(scratch->list, before_count, addition->added[i]);
        if (!there) all[count++] = addition->added[i];
    }
    RHUMB_ASSERT_DEBUG(count <= 2 * RHUMB__M0_MAX);
    if (count <= list->capacity) {
        memcpy(scratch->kept, all, count * sizeof *all);
        return count;
    }
    for (uint32_t i = 0; i < count; i++) candidates[i].slot_mark = all[i];
    rhumb__measure_candidates(graph, scratch, addition->slot, candidates, count);
    rhumb__sort_candidates(candidates, count);
    return rhumb__select(graph, scratch, (rhumb__candidates){candidates, count}, list->capacity, scratch->kept);
}

/* Adds to a list, pruning it if it overflows. Returns whether the first of the added slots is in the list now. */
static bool add_links(rhumb__graph *graph, rhumb__scratch *scratch, const link_addition *addition) {
    rhumb__graph_assert_slot(graph, addition->slot);
    RHUMB_ASSERT_DEBUG(!rhumb__slots_contain(addition->added, addition->added_count, addition->slot));
    const rhumb__list list = rhumb__graph_list(graph, addition->slot, addition->level);
    if (list.slots == NULL || addition->added_count == 0) return false;
    uint32_t *slots = scratch->kept;
    /* A failed exchange means that another insert has changed the list, so one of them always makes progress. */
    for (;;) {
        const uint32_t before_count = rhumb__list_read(&list, scratch->list);
        uint32_t count = merge_links(graph, scratch, addition, &list, before_count);
        RHUMB_ASSERT_DEBUG(count <= list.capacity);
        bool kept = rhumb__slots_contain(slots, count, addition->added[0]);
        if (!kept && addition->insist) {
            /* Instead of the farthest when the list is full: the selection is in the order of distance. */
            if (count == list.capacity) count--;
            slots[count++] = addition->added[0];
            kept = true;
        }
        if (rhumb__list_exchange(&list, scratch->list, before_count, slots, count)) return kept;
    }
}

/* Adds the links back to the node on one level. When the heuristic of every neighbour rejects the node on level 0, the
 * nearest one takes it anyway: a node that is in no list is a node that no search finds. */
static void add_links_back(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, uint32_t level) {
    const uint32_t *selected = selected_of(scratch, level);
    const uint32_t count = scratch->selected_counts[level];
    link_addition addition = {.level = level, .added = &node->slot, .added_count = 1};
    bool linked = false;
    for (uint32_t i = 0; i < count; i++) {
        addition.slot = selected[i];
        linked = add_links(graph, scratch, &addition) || linked;
    }
    if (level != 0 || linked || count == 0) return;
    addition.slot = selected[0];
    addition.insist = true;
    (void)add_links(graph, scratch, &addition);
}

/* All own lists are written before all links back, so that a search that gets to the node can leave it. */
static void link_node(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    for (uint32_t level = 0; level <= node->level; level++) {
        const link_addition addition = {.slot = node->slot,
                                        .level = level,
                                        .added = selected_of(scratch, level),
                                        .added_count = scratch->selected_counts[level]};
        (void)add_links(graph, scratch, &addition);
    }
    for (uint32_t level = 0; level <= node->level; level++) add_links_back(graph, scratch, node, level);
}

/* ---- step 3: the entry point ---- */

/* The order of entry points: the highest level, and on it the lowest slot. So the final entry point does not depend on
 * which insert ended first, and opening the file (level_first in params.h) begins where memory has ended. */
static bool is_better_entry(const rhumb__link_node *node, uint64_t entry) {
    const uint32_t level = rhumb__entry_level(entry);
    return node->level > level || (node->level == level && node->slot < rhumb__entry_slot(entry));
}

/* Returns false when the node found no entry point to begin at and there is one now: another insert was the first. What
 * that one leads to and what this node is linked to may be two islands, so neither is the entry point to both. */
static bool link_raise_entry(rhumb__graph *graph, const rhumb__link_node *node, bool had_start) {
    rhumb__graph_assert_slot(graph, node->slot);
    RHUMB_ASSERT_DEBUG(node->level <= graph->params.level_max);
    const uint64_t raised = rhumb__entry_encode(node->slot, node->level);
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_relaxed);
    while (entry == RHUMB__ENTRY_NONE || (had_start && is_better_entry(node, entry))) {
        /* Release pairs with the acquire in rhumb__walk_descend. */
        if (atomic_compare_exchange_weak_explicit(&graph->entry, &entry, raised, memory_order_release,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return had_start;
}

/* ---- all steps ---- */

bool rhumb__link_finish(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, bool had_start) {
    RHUMB_ASSERT_DEBUG(scratch->selected_counts[0] <= graph->params.M);
    link_node(graph, scratch, node);
    return link_raise_entry(graph, node, had_start);
}

rhumb_status rhumb__link_prepare(const rhumb__graph *graph, rhumb__scratch *scratch) {
    const uint32_t ef = graph->params.ef_construction;
    rhumb_status status = rhumb__scratch_prepare_search(scratch, ef);
    if (status != RHUMB_OK) return status;
    rhumb__query_use_link_distance(scratch);
    return rhumb__scratch_prepare_insert(scratch, graph->params.extend_candidates ? ef + ef * graph->params.M0 : 0);
}

void rhumb__link(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    (void)rhumb__scratch_extend(scratch);
    /* The second time there is an entry point, unless there is no memory to reach it. */
    bool done = false;
    for (uint32_t attempt = 0; attempt < 2 && !done; attempt++) {
        const bool had_start = rhumb__link_search(graph, scratch, node);
        done = rhumb__link_finish(graph, scratch, node, had_start);
    }
}
