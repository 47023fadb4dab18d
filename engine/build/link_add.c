/* link_add.c - adding links to a neighbour list; see link.h.
 *
 * A list that overflows is pruned by the heuristic of select.c. On level 0 the links of the tree (graph/ties.h) stay
 * whatever the heuristic says, in place of the farthest of those that it has chosen. Works in the scratch of its
 * caller.
 *
 * Locks: the chunk of the list, for the exchange. Distances are computed outside the lock, and the list is exchanged if
 * it has not changed in the meantime.
 */
#include <string.h>

#include "base/assert.h"
#include "engine/build/link.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/search/walk/measure.h"

#define SLOTS_MAX (2 * RHUMB__M0_MAX)

/* The list that is being changed, and what it may hold. */
typedef struct merge {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__link_addition *addition;
    uint32_t capacity;
    uint32_t count; /* of `slots`: what the list holds, and what is added */
    uint32_t slots[SLOTS_MAX];
    uint32_t kept_count;    /* of scratch->kept: what the list is going to hold */
    uint32_t dropped_count; /* of `dropped`: the rest of `slots` */
    uint32_t dropped[SLOTS_MAX];
} merge;

static bool stays(const merge *m, uint32_t slot) {
    if (m->addition->level != 0) return false;
    if (m->addition->tie_limit != 0 && slot == m->addition->added[0]) return true;
    return rhumb__graph_are_tied(m->graph, m->addition->slot, slot);
}

/* Gathers what the list may hold. Slots that a damaged file put there are left out. */
static void gather(merge *m, uint32_t before_count) {
    const uint64_t slot_limit = atomic_load_explicit(&m->graph->slot_limit, memory_order_acquire);
    const uint32_t *before = m->scratch->list;
    m->count = 0;
    for (uint32_t i = 0; i < before_count; i++) {
        if (before[i] < slot_limit && before[i] != m->addition->slot) m->slots[m->count++] = before[i];
    }
    for (uint32_t i = 0; i < m->addition->added_count; i++) {
        const uint32_t slot = m->addition->added[i];
        if (!rhumb__slots_contain(before, before_count, slot)) m->slots[m->count++] = slot;
    }
    RHUMB_ASSERT_DEBUG(m->count <= SLOTS_MAX);
}

/* Whether the list has a place for one more tie. */
static bool has_room_for_tie(const merge *m) {
    uint32_t tied_count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->slots[i] != m->addition->added[0] && stays(m, m->slots[i])) tied_count++;
    }
    return tied_count < m->addition->tie_limit;
}

/* Puts a dropped slot into what is kept, in place of the last that need not stay if there is no room. */
static void keep(merge *m, uint32_t index) {
    uint32_t *kept = m->scratch->kept;
    const uint32_t slot = m->dropped[index];
    if (m->kept_count < m->capacity) {
        kept[m->kept_count++] = slot;
        m->dropped[index] = m->dropped[--m->dropped_count];
        return;
    }
    for (uint32_t i = m->kept_count; i > 0; i--) {
        if (stays(m, kept[i - 1])) continue;
        m->dropped[index] = kept[i - 1];
        kept[i - 1] = slot;
        return;
    }
}

static void keep_ties(merge *m) {
    /* What takes the place of a kept slot is not looked at again: it need not stay. */
    for (uint32_t i = m->dropped_count; i > 0; i--) {
        if (stays(m, m->dropped[i - 1])) keep(m, i - 1);
    }
}

/* Where nodes are linked by another distance than the metric (ip), keeps the neighbour that is nearest by the metric. A
 * search, which the metric guides, would find no way to vectors that are far longer than all others: the linking
 * distance ranks those last in the lists of the others. */
static void keep_nearest_by_metric(merge *m, rhumb__candidate *candidates) {
    uint32_t nearest = 0;
    for (uint32_t i = 0; i < m->count; i++) candidates[i].slot_mark = m->slots[i];
    rhumb__measure_neighbours(m->graph, m->scratch, m->addition->slot, candidates, m->count);
    for (uint32_t i = 1; i < m->count; i++) {
        if (candidates[i].distance < candidates[nearest].distance) nearest = i;
    }
    for (uint32_t i = 0; i < m->dropped_count; i++) {
        if (m->dropped[i] != m->slots[nearest]) continue;
        keep(m, i);
        break;
    }
}

/* Selects what is kept. As in hnswlib, what the heuristic passes over is dropped even if there were room. */
static void prune(merge *m) {
    rhumb__candidate candidates[SLOTS_MAX];
    const uint32_t *kept = m->scratch->kept;
    const bool has_ties = m->addition->level == 0;
    for (uint32_t i = 0; i < m->count; i++) {
        candidates[i].slot_mark = m->slots[i];
        if (has_ties) __builtin_prefetch(rhumb__graph_tie(m->graph, m->slots[i]), 0, 3);
    }
    rhumb__measure_candidates(m->graph, m->scratch, m->addition->slot, candidates, m->count);
    rhumb__sort_candidates(candidates, m->count);
    m->kept_count =
        rhumb__select(m->graph, m->scratch, (rhumb__candidates){candidates, m->count}, m->capacity, m->scratch->kept);
    /* The selection is in the order of the candidates, unless it has been filled up (keep_pruned). */
    m->dropped_count = 0;
    for (uint32_t i = 0, next = 0; i < m->count; i++) {
        const uint32_t slot = candidates[i].slot_mark;
        if (next < m->kept_count && kept[next] == slot) {
            next++;
        } else if (!m->graph->params.keep_pruned || !rhumb__slots_contain(kept, m->kept_count, slot)) {
            m->dropped[m->dropped_count++] = slot;
        }
    }
    if (has_ties) keep_ties(m);
    if (m->graph->space.link.distance_many != m->graph->space.distance_many) keep_nearest_by_metric(m, candidates);
}

/* Changes the list, on level 0 unless that would drop a tie. */
static bool exchange(const merge *m, const rhumb__list *list, uint32_t before_count) {
    const rhumb__list_change change = {.before = m->scratch->list,
                                       .before_count = before_count,
                                       .slots = m->scratch->kept,
                                       .slot_count = m->kept_count,
                                       .dropped = m->dropped,
                                       .dropped_count = m->dropped_count};
    if (m->addition->level == 0) return rhumb__list_prune(m->graph, list, &change);
    return rhumb__list_exchange(list, change.before, before_count, change.slots, change.slot_count);
}

bool rhumb__link_add(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_addition *addition) {
    rhumb__graph_assert_slot(graph, addition->slot);
    RHUMB_ASSERT_DEBUG(!rhumb__slots_contain(addition->added, addition->added_count, addition->slot));
    RHUMB_ASSERT_DEBUG(addition->tie_limit == 0 || (addition->level == 0 && addition->added_count == 1));
    const rhumb__list list = rhumb__graph_list(graph, addition->slot, addition->level);
    if (list.slots == NULL || addition->added_count == 0) return false;
    merge m;
    m.graph = graph;
    m.scratch = scratch;
    m.addition = addition;
    m.capacity = list.capacity;
    /* A failed exchange means that another insert has changed the list or tied a node of it: one of them always makes
     * progress. */
    for (;;) {
        const uint32_t before_count = rhumb__list_read(&list, scratch->list);
        gather(&m, before_count);
        if (addition->tie_limit != 0 && !has_room_for_tie(&m)) return false;
        if (m.count <= m.capacity) {
            m.kept_count = m.count;
            m.dropped_count = 0;
            memcpy(scratch->kept, m.slots, m.count * sizeof m.slots[0]);
        } else {
            prune(&m);
        }
        RHUMB_ASSERT_DEBUG(m.kept_count <= list.capacity);
        const bool kept = rhumb__slots_contain(scratch->kept, m.kept_count, addition->added[0]);
        if (exchange(&m, &list, before_count)) return kept;
    }
}
