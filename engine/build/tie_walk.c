/* tie_walk.c - see tie_walk.h.
 *
 * A breadth-first walk from the root. The anchor of a node is one of the nodes whose lists name it. Of those, the walk
 * prefers one that the node's own list names too, because then no list has to change, and one that has few ties. So
 * nodes spread by four kinds of steps, and the better kinds are exhausted before a worse one is tried.
 *
 * A child is always in its anchor's list, and one place of every list but the root's is counted for the anchor. So when
 * the walk is over, a list that lacks the anchor has a place that is free or that no tie needs.
 *
 * Owns the queue and the numbers of ties. Locks: those of storing ties and lists.
 */
#include "engine/build/tie_walk.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/search/walk/measure.h"

/* Nodes between two looks at whether to stop. */
#define NODES_PER_CHECK 256u

typedef struct tie_walk {
    rhumb__graph *graph;
    uint64_t slot_count;
    uint32_t *queue; /* every node that is tied, in the order of tying */
    uint64_t queued_count;
    rhumb__progress *progress;
    uint64_t spread_count; /* of these, whose neighbours have been tied by the best kind of step */
    uint16_t *tie_counts;  /* by slot: ties that its list has or is going to have */
} tie_walk;

static_assert(RHUMB__M0_MAX <= UINT16_MAX, "the number of ties of a list");

/* ---- the walk ---- */

/* A kind of step from a node to the nodes of its list. */
typedef struct step {
    bool one_way;   /* also to nodes whose lists do not name the node */
    uint32_t limit; /* ties that the node may have */
} step;

static void tie(tie_walk *w, uint32_t slot, uint32_t anchor) {
    rhumb__tie_set_anchor(w->graph, slot, anchor);
    w->tie_counts[slot] = slot == anchor ? 0 : 1;
    w->queue[w->queued_count++] = slot;
}

static void expand(tie_walk *w, uint32_t slot, const step *kind) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t count = rhumb__graph_neighbours(w->graph, slot, w->slot_count, slots);
    for (uint32_t i = 0; i < count && w->tie_counts[slot] < kind->limit; i++) {
        if (rhumb__tie_load(w->graph, slots[i]) != 0) continue; /* tied already, or a copy */
        if (!kind->one_way && !rhumb__graph_has_link(w->graph, slots[i], slot, w->slot_count)) continue;
        tie(w, slots[i], slot);
        w->tie_counts[slot]++;
    }
}

/* To be called with the number of a node of the queue, node after node: asks for some of them whether to stop. */
static rhumb_status check_stop(const tie_walk *w, uint64_t number) {
    return number % NODES_PER_CHECK == 0 ? rhumb__progress_advance(w->progress, 0) : RHUMB_OK;
}

/* Goes on from all nodes that are new, by the best kind of step. */
static rhumb_status spread(tie_walk *w, const step *best) {
    while (w->spread_count < w->queued_count) {
        expand(w, w->queue[w->spread_count++], best);
        const rhumb_status status = check_stop(w, w->spread_count);
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

static rhumb_status walk_from(tie_walk *w, uint32_t root) {
    rhumb_status status;
    const uint32_t few = rhumb__tie_limit(w->graph);
    const uint32_t all = w->graph->params.M0;
    const step kinds[] = {{false, few}, {true, few}, {false, all}, {true, all}};
    tie(w, root, root);
    RHUMB_TRY(spread(w, &kinds[0]));
    for (uint32_t kind = 1; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        for (uint64_t i = 0; i < w->queued_count; i++) {
            expand(w, w->queue[i], &kinds[kind]);
            RHUMB_TRY(spread(w, &kinds[0]));
            RHUMB_TRY(check_stop(w, i));
        }
    }
done:
    return status;
}

/* ---- links to anchors ---- */

/* The index in `slots`, the full list of `slot`, of the farthest of those that are not tied to it; the first of
 * equals. */
static uint32_t farthest_untied(tie_walk *w, rhumb__scratch *scratch, uint32_t slot, const uint32_t *slots,
                                uint32_t count) {
    rhumb__candidate candidates[RHUMB__M0_MAX];
    uint32_t index = count;
    for (uint32_t i = 0; i < count; i++) candidates[i].slot_mark = slots[i];
    rhumb__measure_candidates(w->graph, scratch, slot, candidates, count);
    for (uint32_t i = 0; i < count; i++) {
        if (rhumb__graph_are_tied(w->graph, slot, slots[i])) continue;
        if (index == count || !(candidates[i].distance <= candidates[index].distance)) index = i;
    }
    RHUMB_ASSERT_DEBUG(index < count); /* see at the top */
    return index;
}

static void link_to_anchor(tie_walk *w, rhumb__scratch *scratch, uint32_t slot) {
    uint32_t before[RHUMB__M0_MAX];
    uint32_t after[RHUMB__M0_MAX];
    const uint32_t anchor = rhumb__graph_anchor(w->graph, slot);
    const rhumb__list list = rhumb__graph_list(w->graph, slot, 0);
    const uint32_t count = rhumb__list_read(&list, before);
    if (anchor == slot || rhumb__slots_contain(before, count, anchor)) return;
    for (uint32_t i = 0; i < count; i++) after[i] = before[i];
    const uint32_t index = count < list.capacity ? count : farthest_untied(w, scratch, slot, before, count);
    after[index] = anchor;
    /* No other thread changes lists now, so the exchange succeeds. */
    (void)rhumb__list_exchange(&list, before, count, after, index < count ? count : count + 1);
}

rhumb_status rhumb__tie_walk(rhumb__graph *graph, rhumb__scratch_pool *pool, uint32_t root, rhumb__progress *progress,
                             uint64_t *tied_count_out) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    tie_walk w = {.graph = graph, .slot_count = graph->counts.slot_count, .progress = progress};
    RHUMB_ASSERT_DEBUG(root < w.slot_count && rhumb__tie_load(graph, root) == 0);
    w.queue = rhumb__alloc_zeroed(w.slot_count, sizeof *w.queue);
    w.tie_counts = rhumb__alloc_zeroed(w.slot_count, sizeof *w.tie_counts);
    if (w.queue == NULL || w.tie_counts == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a walk over %llu slots", (unsigned long long)w.slot_count);
        goto done;
    }
    RHUMB_TRY(rhumb__scratch_take(pool, &scratch));
    RHUMB_TRY(walk_from(&w, root));
    for (uint64_t i = 0; i < w.queued_count; i++) {
        link_to_anchor(&w, scratch, w.queue[i]);
        RHUMB_TRY(check_stop(&w, i));
    }
    *tied_count_out = w.queued_count;
done:
    if (scratch != NULL) rhumb__scratch_give(scratch);
    rhumb__free(w.queue);
    rhumb__free(w.tie_counts);
    return status;
}
