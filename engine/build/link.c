/* link.c - see link.h.
 *
 *   1. search    candidates on each level, and select among them. If an equal vector is among those of level 0, the
 *                node becomes a copy of that node (graph/ties.h), and that is all.
 *   2. links     tie the node to its anchor (anchor.c), which also makes it known as a node that stays in the graph;
 *                write its own lists on all levels; then each chosen neighbour gets a link to the node, its list pruned
 *                if it is full.
 *   3. raise     the entry point if the node is on a higher level than any before. A node that found no entry point and
 *                is not the first after all goes back to step 1.
 *
 * Another insert that has seen this one among the active ones may link to it as soon as it is tied, also before step 2
 * has written the node's own lists; so step 2 keeps what it finds in them.
 *
 * Locks: the chunk of one list at a time. Pruning computes its distances outside the lock and exchanges the list if it
 * has not changed in the meantime.
 */
#include "engine/build/link.h"
#include "engine/build/anchor.h"
#include "engine/build/outward.h"

#include <sched.h>
#include <string.h>

#include "base/assert.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/search/walk/measure.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/rescore.h"
#include "engine/search/walk/walk.h"

/* ---- step 1: search ---- */

/* The inserts that run concurrently with this one. */
typedef struct link_peers {
    uint32_t slots[RHUMB__ACTIVE_INSERT_MAX];
    uint32_t count;
} link_peers;

/* Adds those of `slots` that are on this level, and that the walk has not met, to the pool. */
static void add_slots(rhumb__graph *graph, rhumb__scratch *scratch, const uint32_t *slots, uint32_t count,
                      uint32_t level) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = slots[i];
        if (slot >= scratch->slot_limit && !rhumb__scratch_extend(scratch)) continue;
        if (rhumb__node_level(rhumb__graph_node(graph, slot)) < level) continue;
        if (rhumb__visited_add(&scratch->visited, slot)) continue;
        rhumb__candidate_pool_add(&scratch->pool, slot, rhumb__measure_slot(graph, scratch, slot));
    }
    rhumb__candidate_pool_settle(&scratch->pool);
}

/* Adds the neighbours of `count` candidates to scratch->candidates, which holds these and has room for all
 * (extend_candidates). Returns how many there are then, sorted. */
static uint32_t extend_candidates(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count, uint32_t level) {
    rhumb__candidate *candidates = scratch->candidates;
    const uint32_t base_count = count;
    for (uint32_t i = 0; i < base_count; i++) {
        const rhumb__list list = rhumb__graph_list(graph, rhumb__candidate_slot(candidates[i]), level);
        const uint32_t batch_count = rhumb__walk_gather(scratch, &list, &scratch->visited, scratch->slot_limit);
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

/* Walks over codes if there are, and measures what it has found by the vectors, by which links are chosen. */
static void walk_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level) {
    const bool coded = rhumb__query_use_codes(scratch);
    rhumb__walk_level(graph, scratch, start, level, graph->params.ef_construction);
    if (coded) rhumb__rescore_all(graph, scratch, &scratch->pool);
    rhumb__query_use_vectors(scratch);
}

/* The peers are read before the search begins: an insert that is not among them has either finished, so that the search
 * finds it, or publishes itself later and finds this one. Read afterwards, one that finished during the search would be
 * missed. */
rhumb__link_found rhumb__link_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    RHUMB_ASSERT_DEBUG(node->level == rhumb__node_level(rhumb__graph_node(graph, node->slot)));
    RHUMB_ASSERT_DEBUG(node->level <= graph->params.level_max);
    const uint32_t ef = graph->params.ef_construction;
    link_peers peers;
    peers.count = rhumb__active_peers(graph, node->active, peers.slots);
    rhumb__outward outward;
    rhumb__outward_find(graph, scratch, node->slot, &outward);
    uint32_t top;
    rhumb__nearest start = descend_to_settled(graph, scratch, node->level, &top);
    rhumb__link_found found = {.has_start = start.slot != RHUMB__SLOT_NONE,
                               .has_peers = peers.count > 0,
                               .outward = outward.count > 0 ? outward.slots[0] : RHUMB__SLOT_NONE,
                               .equal = RHUMB__SLOT_NONE};
    for (uint32_t i = 0; i <= node->level; i++) {
        const uint32_t level = node->level - i;
        rhumb__visited_clear(&scratch->visited);
        if (node->slot < scratch->slot_limit) (void)rhumb__visited_add(&scratch->visited, node->slot);
        rhumb__candidate_pool_clear(&scratch->pool, ef);
        if (found.has_start && level <= top) {
            walk_level(graph, scratch, start, level);
            start = nearest_settled(graph, &scratch->pool, start);
        }
        if (level == 0) add_slots(graph, scratch, outward.slots, outward.count, level);
        if (level == 0) found.equal = rhumb__link_find_equal(graph, scratch, node);
        if (found.equal != RHUMB__SLOT_NONE) break;
        add_slots(graph, scratch, peers.slots, peers.count, level);
        select_level(graph, scratch, level);
    }
    return found;
}

/* ---- step 2: links ---- */

/* Drops the selected nodes that are not tied. These are peers that have not found out yet whether they become copies,
 * which no list may contain, and peers that have. The node itself is tied already: of two inserts that see each other,
 * the one that ties its node later finds the other tied. */
static void drop_untied(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level) {
    uint32_t *selected = selected_of(scratch, level);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < scratch->selected_counts[level]; i++) {
        if (rhumb__graph_anchor(graph, selected[i]) != RHUMB__SLOT_NONE) selected[kept_count++] = selected[i];
    }
    scratch->selected_counts[level] = kept_count;
}

/* Adds the links back to the node on one level. The anchor has its link already. */
static void add_links_back(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, uint32_t level) {
    const uint32_t *selected = selected_of(scratch, level);
    const uint32_t linked = level == 0 ? rhumb__graph_anchor(graph, node->slot) : RHUMB__SLOT_NONE;
    rhumb__link_addition addition = {.level = level, .added = &node->slot, .added_count = 1};
    for (uint32_t i = 0; i < scratch->selected_counts[level]; i++) {
        addition.slot = selected[i];
        if (selected[i] != linked) (void)rhumb__link_add(graph, scratch, &addition);
    }
}

/* All own lists are written before all links back, so that a search that gets to the node can leave it. */
static void link_node(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, uint32_t outward) {
    for (uint32_t level = 0; level <= node->level; level++) {
        const rhumb__link_addition addition = {.slot = node->slot,
                                               .level = level,
                                               .added = selected_of(scratch, level),
                                               .added_count = scratch->selected_counts[level]};
        (void)rhumb__link_add(graph, scratch, &addition);
    }
    if (outward != RHUMB__SLOT_NONE && rhumb__graph_anchor(graph, outward) != RHUMB__SLOT_NONE) {
        const rhumb__link_addition addition = {.slot = node->slot, .added = &outward, .added_count = 1};
        (void)rhumb__link_add(graph, scratch, &addition);
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

/* Lowers the first slot of the node's level to the node's. */
static void note_first(rhumb__graph *graph, const rhumb__link_node *node) {
    _Atomic uint32_t *level_first = &graph->level_first[node->level];
    uint32_t first = atomic_load_explicit(level_first, memory_order_relaxed);
    /* Release pairs with the acquire in checkpoint.c. RHUMB__SLOT_NONE is above all slots. */
    while (node->slot < first && !atomic_compare_exchange_weak_explicit(level_first, &first, node->slot,
                                                                        memory_order_release, memory_order_relaxed)) {
    }
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

bool rhumb__link_finish(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node,
                        const rhumb__link_found *found) {
    if (found->equal != RHUMB__SLOT_NONE) {
        rhumb__tie_hang(graph, node->slot, found->equal);
        return true;
    }
    RHUMB_ASSERT_DEBUG(scratch->selected_counts[0] <= graph->params.M);
    rhumb__link_tie(graph, scratch, node, found->has_start);
    /* While a graph is rebuilt, nodes that are not tied yet are heads all the same. */
    if (found->has_peers && !node->any_anchor) {
        /* Pairs with itself: of two threads that tie and then look, one at least sees the other's tie. */
        atomic_thread_fence(memory_order_seq_cst);
        for (uint32_t level = 0; level <= node->level; level++) drop_untied(graph, scratch, level);
    }
    link_node(graph, scratch, node, found->outward);
    if (!link_raise_entry(graph, node, found->has_start)) {
        rhumb__tie_clear_anchor(graph, node->slot);
        return false;
    }
    note_first(graph, node);
    return true;
}

rhumb_status rhumb__link_prepare(const rhumb__graph *graph, rhumb__scratch *scratch) {
    const uint32_t ef = graph->params.ef_construction;
    rhumb_status status = rhumb__scratch_prepare_search(scratch, ef);
    if (status != RHUMB_OK) return status;
    rhumb__query_use_link_distance(scratch);
    return rhumb__scratch_prepare_insert(scratch, graph->params.extend_candidates ? ef + ef * graph->params.M0 : 0);
}

/* Waits while slot 0 is being inserted into an empty graph, so that it becomes the root: anchors have lower slots. */
static void wait_for_root(rhumb__graph *graph, uint32_t slot) {
    while (slot != 0 && atomic_load_explicit(&graph->entry, memory_order_acquire) == RHUMB__ENTRY_NONE &&
           rhumb__active_has_slot(graph, 0)) {
        sched_yield();
    }
}

void rhumb__link(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    if (rhumb__graph_is_copy(graph, node->slot)) return;
    wait_for_root(graph, node->slot);
    (void)rhumb__scratch_extend(scratch);
    rhumb__link_found found = rhumb__link_search(graph, scratch, node);
    if (rhumb__link_finish(graph, scratch, node, &found)) return;
    /* Now there is an entry point, unless there is no memory to reach it. The node has been tied for a moment, so other
     * inserts may have linked to it. */
    rhumb__link_node again = *node;
    again.as_head = true;
    found = rhumb__link_search(graph, scratch, &again);
    if (rhumb__link_finish(graph, scratch, &again, &found)) return;
    rhumb__link_tie(graph, scratch, &again, true);
    (void)link_raise_entry(graph, &again, true);
    note_first(graph, &again);
}
