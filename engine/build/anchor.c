/* anchor.c - see anchor.h.
 *
 * A node can be an anchor if it is in the tree: it is tied, and its own insert has ended. If its slot is lower too,
 * every version that has the node has its anchor. A list has a limited number of ties, so that most of it stays free
 * for better neighbours. Where all candidates have reached it, the search goes down the tree from one of them: a node
 * without children always has room. Where that ends at nodes that are being inserted, any node will do.
 *
 * Locks: those of ties.c and of adding links.
 */
#include "engine/build/anchor.h"

#include <sched.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/search/walk/measure.h"

/* How long other inserts are waited for where all nodes are full, before it is given up, and over how many passes. */
#define ANYWHERE_WAIT_NS UINT64_C(500000000)
#define ANYWHERE_PASSES 16u

/* ---- equal vectors ---- */

uint32_t rhumb__link_find_equal(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node) {
    const rhumb__candidate_pool *pool = &scratch->pool;
    if (pool->count == 0 || node->as_head || rhumb__tie_load(graph, node->slot) != 0) return RHUMB__SLOT_NONE;
    /* Equal vectors are as far from the node as the node is from itself, whatever the metric. */
    const float own_distance = rhumb__measure_slot(graph, scratch, node->slot);
    for (uint32_t i = 0; i < pool->count; i++) {
        if (pool->entries[i].distance != own_distance) continue;
        const uint32_t slot = rhumb__candidate_slot(pool->entries[i]);
        if (slot >= node->slot || rhumb__graph_anchor(graph, slot) == RHUMB__SLOT_NONE) continue;
        if (!rhumb__space_equal(&graph->space, scratch->query, rhumb__graph_vector(graph, slot))) continue;
        if (!rhumb__active_has_slot(graph, slot)) return slot;
    }
    return RHUMB__SLOT_NONE;
}

/* ---- the anchor ---- */

/* A node that is being tied. */
typedef struct tying {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    uint32_t slot;
    bool any_slot;       /* also nodes with higher slots may be anchors */
    uint32_t tie_limit;  /* of a list */
    uint64_t left_count; /* steps down the tree that are left; without damage all nodes together are enough */
} tying;

static bool can_be_anchor(const tying *t, uint32_t slot) {
    if (slot == t->slot || (slot > t->slot && !t->any_slot)) return false;
    return rhumb__graph_anchor(t->graph, slot) != RHUMB__SLOT_NONE && !rhumb__active_has_slot(t->graph, slot);
}

/* Whether a node's list has room for one more tie. */
static bool has_room(const tying *t, uint32_t slot) {
    uint32_t slots[RHUMB__M0_MAX];
    uint32_t tied_count = 0;
    const uint64_t slot_limit = atomic_load_explicit(&t->graph->slot_limit, memory_order_acquire);
    const uint32_t count = rhumb__graph_neighbours(t->graph, slot, slot_limit, slots);
    for (uint32_t i = 0; i < count; i++) tied_count += rhumb__graph_are_tied(t->graph, slot, slots[i]) ? 1 : 0;
    return tied_count < t->tie_limit;
}

/* Ties the node to `anchor`, which can be one. Returns false when that has no room. */
static bool tie_to(const tying *t, uint32_t anchor) {
    if (!has_room(t, anchor)) return false;
    /* Before the links: a thread that prunes a list keeps them by this. And the node's own link before the other, so
     * that a search that gets to the node can leave it. */
    rhumb__tie_set_anchor(t->graph, t->slot, anchor);
    rhumb__link_addition addition = {
        .slot = t->slot, .added = &anchor, .added_count = 1, .tie_limit = t->graph->params.M0};
    (void)rhumb__link_add(t->graph, t->scratch, &addition); /* no node is tied to this one, so it has room */
    addition = (rhumb__link_addition){.slot = anchor, .added = &t->slot, .added_count = 1, .tie_limit = t->tie_limit};
    return rhumb__link_add(t->graph, t->scratch, &addition);
}

/* The first node that is tied to `parent` and can be an anchor, or RHUMB__SLOT_NONE. */
static uint32_t child_of(const tying *t, uint32_t parent) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint64_t slot_limit = atomic_load_explicit(&t->graph->slot_limit, memory_order_acquire);
    const uint32_t count = rhumb__graph_neighbours(t->graph, parent, slot_limit, slots);
    for (uint32_t i = 0; i < count; i++) {
        if (rhumb__graph_anchor(t->graph, slots[i]) == parent && can_be_anchor(t, slots[i])) return slots[i];
    }
    return RHUMB__SLOT_NONE;
}

/* Ties the node to one that is below `slot` in the tree. */
static bool tie_below(tying *t, uint32_t slot) {
    for (; t->left_count > 0 && slot != RHUMB__SLOT_NONE; t->left_count--) {
        slot = child_of(t, slot);
        if (slot != RHUMB__SLOT_NONE && tie_to(t, slot)) return true;
    }
    return false;
}

/* Ties the node to one of its candidates, or below one. */
static bool tie_to_candidate(tying *t, bool below) {
    const rhumb__candidate_pool *pool = &t->scratch->pool;
    for (uint32_t i = 0; i < pool->count; i++) {
        const uint32_t slot = rhumb__candidate_slot(pool->entries[i]);
        if (can_be_anchor(t, slot) && (below ? tie_below(t, slot) : tie_to(t, slot))) return true;
    }
    return false;
}

/* Ties the node to any node, however far: first to the newest, which have the fewest ties. */
static bool tie_to_any(const tying *t, uint64_t slot_limit) {
    for (uint64_t slot = slot_limit; slot > 0; slot--) {
        if (can_be_anchor(t, (uint32_t)slot - 1) && tie_to(t, (uint32_t)slot - 1)) return true;
    }
    return false;
}

/* Ties the node to any node at all. Waits for inserts with lower slots, whose nodes can be anchors when they have
 * ended; they in turn wait for none but those with lower slots. */
static void tie_anywhere(tying *t) {
    bool waits = true;
    t->tie_limit = t->graph->params.M0;
    /* While a graph is rebuilt, the root is there, and so is a node with room: if not now, then when a node that is
     * being linked has been. */
    if (t->any_slot) {
        while (!tie_to_any(t, t->graph->counts.slot_count)) sched_yield();
        return;
    }
    while (waits) {
        waits = rhumb__active_has_below(t->graph, t->slot);
        if (tie_to_any(t, t->slot)) return;
        if (waits) sched_yield();
    }
    /* The few first nodes of a graph with short lists can be full of nodes with higher slots. If those are full too, of
     * nodes that are still being inserted, these will have room: more than one node is not full at any time. Only in a
     * damaged file need there be none, and the node stays untied: at once if no other insert is under way. */
    t->any_slot = true;
    const uint64_t slot_limit = atomic_load_explicit(&t->graph->slot_limit, memory_order_acquire);
    const uint64_t begin_ns = rhumb__clock_now_ns();
    waits = true;
    for (uint64_t pass = 0; waits && (pass < ANYWHERE_PASSES || rhumb__clock_now_ns() - begin_ns < ANYWHERE_WAIT_NS);
         pass++) {
        waits = rhumb__active_has_other(t->graph, t->slot);
        if (tie_to_any(t, slot_limit)) return;
        if (waits) sched_yield();
    }
    rhumb__tie_clear_anchor(t->graph, t->slot);
}

void rhumb__link_tie(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, bool has_start) {
    if (rhumb__tie_load(graph, node->slot) != 0) return;
    if (!has_start) {
        rhumb__tie_set_anchor(graph, node->slot, node->slot);
        return;
    }
    tying t = {.graph = graph,
               .scratch = scratch,
               .slot = node->slot,
               .any_slot = node->any_anchor,
               .tie_limit = rhumb__tie_limit(graph)};
    t.left_count = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    if (!tie_to_candidate(&t, false) && !tie_to_candidate(&t, true)) tie_anywhere(&t);
}
