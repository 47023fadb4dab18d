/* bypass.c - see bypass.h.
 *
 * Owns nothing. Locks: rhumb__bypass_needed takes those of lists, one at a time, and in each that of its mark;
 * everything else reads without a lock. Files may have anything in lists and ties: slots are compared with the limit of
 * the graph.
 */
#include "engine/graph/bypass.h"

#include <string.h>

#include "engine/graph/changed.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"

rhumb__bypass rhumb__bypass_begin(rhumb__graph *graph) {
    rhumb__bypass bypass = {.graph = graph};
    if (atomic_load(&graph->dead_count) == 0) return bypass;
    rhumb__mutex_lock(&graph->append_lock);
    const bool none_hidden = atomic_load_explicit(&graph->hidden_count, memory_order_relaxed) == 0;
    if (none_hidden) bypass.slot_limit = graph->counts.slot_count;
    rhumb__mutex_unlock(&graph->append_lock);
    return bypass;
}

/* ---- nodes that are gone ---- */

/* Whether a node is gone but for one copy, or RHUMB__SLOT_NONE. */
static bool is_gone_but(const rhumb__bypass *bypass, uint32_t slot, uint32_t left_out) {
    rhumb__graph *graph = bypass->graph;
    uint32_t copy;
    if (slot >= bypass->slot_limit || !rhumb__graph_is_dead(graph, slot)) return false;
    /* Pairs with the one in rhumb__bypass_needed. */
    atomic_thread_fence(memory_order_seq_cst);
    rhumb__copies copies = rhumb__copies_of(graph, slot);
    while (rhumb__copies_next(graph, &copies, UINT64_MAX, &copy)) {
        if (copy == left_out) continue;
        if (copy >= bypass->slot_limit || !rhumb__graph_is_dead(graph, copy)) return false;
    }
    return true;
}

bool rhumb__bypass_is_gone(const rhumb__bypass *bypass, uint32_t slot) {
    return is_gone_but(bypass, slot, RHUMB__SLOT_NONE);
}

/* Copies the nodes that are tied to one to `tied`, which has room for a list, and returns how many. An entry that is
 * being moved to an earlier place could be missed: then the list is another one when it is read again. */
static uint32_t read_tied(rhumb__graph *graph, uint32_t slot, uint32_t *tied) {
    uint32_t slots[RHUMB__M0_MAX], again[RHUMB__M0_MAX];
    const uint64_t limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    uint32_t count = rhumb__graph_neighbours(graph, slot, limit, slots);
    for (;;) {
        const uint32_t again_count = rhumb__graph_neighbours(graph, slot, limit, again);
        const bool is_same = again_count == count && memcmp(slots, again, count * sizeof *slots) == 0;
        if (is_same) break;
        count = again_count;
        memcpy(slots, again, count * sizeof *slots);
    }
    uint32_t tied_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] != slot && rhumb__graph_are_tied(graph, slot, slots[i])) tied[tied_count++] = slots[i];
    }
    return tied_count;
}

/* ---- rows ---- */

/* What is to become of a place of a list. */
enum fate {
    STAYS, /* its node is not gone, or no decision has been made */
    FREE,
    NEEDED /* the row must have its node */
};

static uint32_t place_of(const uint32_t *slots, uint32_t count, uint32_t slot) {
    uint32_t place = 0;
    while (place < count && slots[place] != slot) place++;
    return place;
}

/* Decides about a place whose node is gone and tied to the node of `slot`: the others that are tied to it need lanes,
 * and one of them can have its own. */
static void decide_tied(const rhumb__bypass *bypass, uint32_t slot, uint32_t *slots, uint32_t count, uint8_t *fates,
                        uint32_t place) {
    uint32_t tied[RHUMB__M0_MAX];
    uint32_t missing_count = 0, missing = RHUMB__SLOT_NONE;
    const uint32_t tied_count = read_tied(bypass->graph, slots[place], tied);
    for (uint32_t i = 0; i < tied_count; i++) {
        if (tied[i] == slot || place_of(slots, count, tied[i]) < count) continue;
        missing_count++;
        missing = tied[i];
    }
    if (missing_count > 1 || (missing_count == 1 && missing >= bypass->slot_limit)) return;
    for (uint32_t i = 0; i < tied_count; i++) {
        const uint32_t at = place_of(slots, count, tied[i]);
        if (at < count) fates[at] = NEEDED;
    }
    if (missing_count == 1) slots[place] = missing;
    fates[place] = missing_count == 1 ? NEEDED : FREE;
}

uint32_t rhumb__bypass_plan(const rhumb__bypass *bypass, uint32_t slot, uint32_t *slots, uint32_t count,
                            uint32_t *places) {
    uint8_t fates[RHUMB__M0_MAX];
    uint32_t gone[RHUMB__M0_MAX];
    uint32_t gone_count = 0, free_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] != slot && rhumb__bypass_is_gone(bypass, slots[i])) gone[gone_count++] = i;
    }
    if (gone_count > 0) memset(fates, STAYS, count);
    for (uint32_t i = 0; i < gone_count; i++) {
        const uint32_t place = gone[i];
        if (fates[place] == NEEDED) continue;
        if (rhumb__graph_are_tied(bypass->graph, slot, slots[place])) {
            decide_tied(bypass, slot, slots, count, fates, place);
        } else {
            fates[place] = FREE;
        }
    }
    for (uint32_t i = 0; i < gone_count; i++) {
        if (fates[gone[i]] == FREE) places[free_count++] = gone[i];
    }
    return free_count;
}

/* Whether a row without a lane for a neighbour leads to what only that one leads to. */
static bool passes_over(const rhumb__bypass *bypass, const rhumb__bypass_row *row, uint32_t neighbour) {
    uint32_t tied[RHUMB__M0_MAX];
    const bool is_gone = rhumb__bypass_is_gone(bypass, neighbour);
    const bool may_have_been = row->is_old && rhumb__graph_is_dead(bypass->graph, neighbour);
    if (!rhumb__graph_are_tied(bypass->graph, row->slot, neighbour)) return is_gone || may_have_been;
    if (!is_gone) return false;
    const uint32_t tied_count = read_tied(bypass->graph, neighbour, tied);
    for (uint32_t i = 0; i < tied_count; i++) {
        if (tied[i] != row->slot && !rhumb__slots_contain(row->lanes, row->lane_count, tied[i])) return false;
    }
    return true;
}

bool rhumb__bypass_holds(const rhumb__bypass *bypass, const rhumb__bypass_row *row) {
    for (uint32_t i = 0; i < row->list_count; i++) {
        if (i < row->lane_count && row->lanes[i] == row->list[i]) continue;
        if (rhumb__slots_contain(row->lanes, row->lane_count, row->list[i])) continue;
        if (!passes_over(bypass, row, row->list[i])) return false;
    }
    return true;
}

/* ---- nodes that are needed again ---- */

void rhumb__bypass_needed(rhumb__graph *graph, uint32_t slot, uint32_t copy) {
    uint32_t slots[RHUMB__M0_MAX];
    const rhumb__bypass all = {.graph = graph, .slot_limit = UINT64_MAX};
    if (graph->params.lane_bits == 0) return;
    /* Pairs with the one in is_gone_but: that thread sees the new link or copy, or this one that the node is gone. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!is_gone_but(&all, slot, copy)) return;
    const uint64_t limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    const uint32_t count = rhumb__graph_neighbours(graph, slot, limit, slots);
    rhumb__section *lists = &graph->sections[RHUMB__SECTION_LISTS0];
    for (uint32_t i = 0; i < count; i++) {
        rhumb__section_lock(lists, slots[i]);
        rhumb__changed_set(graph, slots[i]);
        rhumb__section_unlock(lists, slots[i]);
    }
}
