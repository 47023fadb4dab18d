/* order.c - see order.h. All orders work on level 0, where searches spend their time, and follow its links as they are
 * stored, from a node to its neighbours. Slots come from a file and are checked. Copies have no lists: they follow the
 * nodes of the graph.
 *
 * Owns its arrays for the length of one call. Locks: none, because no thread changes the graph.
 */
#include "engine/upkeep/compact/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/upkeep/compact/groups.h"
#include "engine/upkeep/compact/order_internal.h"

typedef struct walk {
    rhumb__graph *graph;
    uint64_t slot_count;
    uint32_t *queue; /* every slot that has been met, in that order */
    uint64_t queued_count;
    uint8_t *met;
    bool by_degree;
    const rhumb__order_work *work;
} walk;

/* Lists are short: insertion sort. */
static void sort_by_degree(const walk *w, uint32_t *slots, uint32_t count) {
    uint32_t degrees[RHUMB__M0_MAX];
    uint32_t unused[RHUMB__M0_MAX];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = slots[i];
        const uint32_t degree = rhumb__graph_neighbours(w->graph, slot, w->slot_count, unused);
        uint32_t place = i;
        for (; place > 0 && degrees[place - 1] > degree; place--) {
            degrees[place] = degrees[place - 1];
            slots[place] = slots[place - 1];
        }
        degrees[place] = degree;
        slots[place] = slot;
    }
}

static void meet(walk *w, uint32_t slot) {
    w->met[slot] = 1;
    w->queue[w->queued_count++] = slot;
}

/* Meets everything that can be reached from `start`. */
static rhumb_status walk_from(walk *w, uint32_t start) {
    rhumb_status status = RHUMB_OK;
    uint64_t head = w->queued_count;
    meet(w, start);
    while (head < w->queued_count) {
        uint32_t slots[RHUMB__M0_MAX];
        uint32_t fresh[RHUMB__M0_MAX];
        uint32_t fresh_count = 0;
        const uint32_t count = rhumb__graph_neighbours(w->graph, w->queue[head++], w->slot_count, slots);
        for (uint32_t i = 0; i < count; i++) {
            if (w->met[slots[i]] == 0) fresh[fresh_count++] = slots[i];
        }
        if (w->by_degree) sort_by_degree(w, fresh, fresh_count);
        for (uint32_t i = 0; i < fresh_count; i++) {
            if (w->met[fresh[i]] == 0) meet(w, fresh[i]); /* a damaged list may name a slot twice */
        }
        if (head % RHUMB__ORDER_SLOTS_PER_CHECK == 0) RHUMB_TRY(rhumb__order_check(w->work, 0));
    }
done:
    return status;
}

static rhumb_status walk_all(rhumb__graph *graph, uint64_t slot_count, bool by_degree, const rhumb__order_work *work,
                             uint32_t *queue) {
    rhumb_status status = RHUMB_OK;
    walk w = {.graph = graph, .slot_count = slot_count, .queue = queue, .by_degree = by_degree, .work = work};
    w.met = rhumb__alloc_zeroed(rhumb__max_u64(slot_count, 1), 1);
    if (w.met == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for an order of %llu slots", (unsigned long long)slot_count);
    }
    const uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    if (entry != RHUMB__ENTRY_NONE && rhumb__entry_slot(entry) < slot_count) {
        RHUMB_TRY(walk_from(&w, rhumb__entry_slot(entry)));
    }
    for (uint64_t slot = 0; slot < slot_count; slot++) {
        if (w.met[slot] == 0) RHUMB_TRY(walk_from(&w, (uint32_t)slot));
    }
done:
    rhumb__free(w.met);
    return status;
}

static void reverse(uint32_t *slots, uint64_t count) {
    for (uint64_t i = 0; i < count / 2; i++) {
        const uint32_t slot = slots[i];
        slots[i] = slots[count - 1 - i];
        slots[count - 1 - i] = slot;
    }
}

rhumb_status rhumb__order_check(const rhumb__order_work *work, uint32_t worker_index) {
    return worker_index == 0 && work->progress != NULL ? rhumb__progress_report(work->progress, 0) : RHUMB_OK;
}

static rhumb_status bisect(rhumb__graph *graph, uint64_t slot_count, const rhumb__order_work *work, uint32_t *order,
                           uint64_t count) {
    rhumb_status status;
    rhumb__visits visits;
    const rhumb__row_layout layout = {.stride_bytes = graph->sections[RHUMB__SECTION_VECTORS].row_stride_bytes,
                                      .row_bytes = graph->space.row_bytes};
    RHUMB_TRY(rhumb__visits_sample(graph, slot_count, work, &visits));
    status = rhumb__order_bisect(&visits, &layout, work, order, count);
done:
    rhumb__visits_clear(&visits);
    return status;
}

/* The whole graph, in the order of the kind, except that for the bisection. */
static rhumb_status order_slots(rhumb__graph *graph, uint64_t slot_count, rhumb__order_kind kind,
                                const rhumb__order_work *work, uint32_t *order) {
    rhumb_status status = RHUMB_OK;
    switch (kind) {
    case RHUMB__ORDER_KEEP:
    case RHUMB__ORDER_BISECTION:
        for (uint64_t slot = 0; slot < slot_count; slot++) order[slot] = (uint32_t)slot;
        break;
    case RHUMB__ORDER_BREADTH: status = walk_all(graph, slot_count, false, work, order); break;
    case RHUMB__ORDER_RCM:
        status = walk_all(graph, slot_count, true, work, order);
        if (status == RHUMB_OK) reverse(order, slot_count);
        break;
    case RHUMB__ORDER_WINDOW:
        /* Where no node shares anything with the window, the order continues breadth first. */
        status = walk_all(graph, slot_count, false, work, order);
        if (status == RHUMB_OK) status = rhumb__order_window(graph, slot_count, work, order);
        break;
    }
    return status;
}

rhumb_status rhumb__order(rhumb__graph *graph, rhumb__order_kind kind, const rhumb__order_work *work, uint32_t *order,
                          rhumb__order_counts *counts_out) {
    rhumb_status status;
    uint64_t head_count = 0;
    const uint64_t slot_count = rhumb__graph_slot_count(graph);
    rhumb__groups groups = {.graph = graph, .slot_count = slot_count, .left_out = work->left_out};
    RHUMB_TRY(order_slots(graph, slot_count, kind, work, order));
    RHUMB_TRY(rhumb__groups_find(&groups));
    for (uint64_t i = 0; i < slot_count; i++) {
        if (groups.stand_ins[order[i]] != RHUMB__SLOT_NONE) order[head_count++] = order[i];
    }
    if (kind == RHUMB__ORDER_BISECTION) RHUMB_TRY(bisect(graph, slot_count, work, order, head_count));
    RHUMB_TRY(rhumb__groups_place(&groups, order, head_count, &counts_out->count));
    counts_out->head_count = head_count;
done:
    rhumb__free(groups.stand_ins);
    return status;
}
