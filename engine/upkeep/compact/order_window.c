/* order_window.c - the order by a window of placed nodes (Gorder), see order_internal.h.
 *
 * Every slot that has not been placed has a score: for each node in the window, one for a link from it, one for a link
 * to it, and one for each node that links to both. A node that enters the window raises scores; when it leaves, it
 * lowers the same ones. Scores change by one at a time, so slots are kept in lists by score, and each change takes a
 * handful of assignments.
 *
 * A node with very many in-links would raise the scores of half of the graph; only its first IN_COUNT_MAX in-links are
 * used. Owns its arrays for the length of one call. Locks: none.
 */
#include "engine/upkeep/compact/order_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"

#define WINDOW_COUNT 5u
#define IN_COUNT_MAX 48u
#define SCORE_MAX 65534u
#define NO_SLOT UINT32_MAX
#define PLACED UINT32_MAX

typedef struct window_order {
    rhumb__graph *graph;
    uint64_t slot_count;
    uint64_t *in_begin; /* by slot: where its in-links begin; one more at the end */
    uint32_t *in_slots;
    uint32_t *score; /* PLACED once it has its place */
    uint32_t *next;  /* in the list of its score */
    uint32_t *previous;
    uint32_t *first; /* by score */
    uint32_t top;    /* no slot has a higher score */
} window_order;

/* ---- lists by score ---- */

static void unlink_slot(window_order *w, uint32_t slot) {
    if (w->previous[slot] != NO_SLOT) {
        w->next[w->previous[slot]] = w->next[slot];
    } else {
        w->first[w->score[slot]] = w->next[slot];
    }
    if (w->next[slot] != NO_SLOT) w->previous[w->next[slot]] = w->previous[slot];
}

static void link_slot(window_order *w, uint32_t slot, uint32_t score) {
    w->score[slot] = score;
    w->previous[slot] = NO_SLOT;
    w->next[slot] = w->first[score];
    if (w->next[slot] != NO_SLOT) w->previous[w->next[slot]] = slot;
    w->first[score] = slot;
    if (score > w->top) w->top = score;
}

static void change_score(window_order *w, uint32_t slot, bool raise) {
    const uint32_t score = w->score[slot];
    if (score == PLACED || (raise ? score == SCORE_MAX : score == 0)) return;
    unlink_slot(w, slot);
    link_slot(w, slot, raise ? score + 1 : score - 1);
}

/* Changes the scores of other nodes when a node enters the window (raise) or leaves it. */
static void change_scores(window_order *w, uint32_t slot, bool raise) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t count = rhumb__graph_neighbours(w->graph, slot, w->slot_count, slots);
    for (uint32_t i = 0; i < count; i++) change_score(w, slots[i], raise);
    const uint64_t end = rhumb__min_u64(w->in_begin[slot + 1], w->in_begin[slot] + IN_COUNT_MAX);
    for (uint64_t i = w->in_begin[slot]; i < end; i++) {
        change_score(w, w->in_slots[i], raise);
        const uint32_t sibling_count = rhumb__graph_neighbours(w->graph, w->in_slots[i], w->slot_count, slots);
        for (uint32_t k = 0; k < sibling_count; k++) change_score(w, slots[k], raise);
    }
}

/* ---- in-links ---- */

static rhumb_status transpose(window_order *w) {
    uint32_t slots[RHUMB__M0_MAX];
    for (uint64_t slot = 0; slot < w->slot_count; slot++) {
        const uint32_t count = rhumb__graph_neighbours(w->graph, (uint32_t)slot, w->slot_count, slots);
        for (uint32_t i = 0; i < count; i++) w->in_begin[slots[i] + 1]++;
    }
    for (uint64_t slot = 0; slot < w->slot_count; slot++) w->in_begin[slot + 1] += w->in_begin[slot];
    const uint64_t link_count = w->in_begin[w->slot_count];
    w->in_slots = rhumb__alloc_zeroed(rhumb__max_u64(link_count, 1), sizeof *w->in_slots);
    if (w->in_slots == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu links", (unsigned long long)link_count);
    }
    for (uint64_t slot = 0; slot < w->slot_count; slot++) {
        const uint32_t count = rhumb__graph_neighbours(w->graph, (uint32_t)slot, w->slot_count, slots);
        for (uint32_t i = 0; i < count; i++) w->in_slots[w->in_begin[slots[i]]++] = (uint32_t)slot;
    }
    memmove(w->in_begin + 1, w->in_begin, w->slot_count * sizeof *w->in_begin);
    w->in_begin[0] = 0;
    return RHUMB_OK;
}

static rhumb_status window_init(window_order *w) {
    w->in_begin = rhumb__alloc_zeroed(w->slot_count + 1, sizeof *w->in_begin);
    w->score = rhumb__alloc_zeroed(w->slot_count, sizeof *w->score);
    w->next = rhumb__alloc_zeroed(w->slot_count, sizeof *w->next);
    w->previous = rhumb__alloc_zeroed(w->slot_count, sizeof *w->previous);
    w->first = rhumb__alloc_zeroed(SCORE_MAX + 1, sizeof *w->first);
    if (w->in_begin == NULL || w->score == NULL || w->next == NULL || w->previous == NULL || w->first == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for an order of %llu slots", (unsigned long long)w->slot_count);
    }
    memset(w->first, 0xFF, (SCORE_MAX + 1) * sizeof *w->first);
    return transpose(w);
}

static void release(window_order *w) {
    rhumb__free(w->in_begin);
    rhumb__free(w->in_slots);
    rhumb__free(w->score);
    rhumb__free(w->next);
    rhumb__free(w->previous);
    rhumb__free(w->first);
}

/* The slot with the highest score. */
static uint32_t best_slot(window_order *w) {
    while (w->top > 0 && w->first[w->top] == NO_SLOT) w->top--;
    return w->first[w->top];
}

rhumb_status rhumb__order_window(rhumb__graph *graph, uint64_t slot_count, const rhumb__order_work *work,
                                 uint32_t *order) {
    rhumb_status status;
    window_order w = {.graph = graph, .slot_count = slot_count};
    if (slot_count == 0) return RHUMB_OK;
    RHUMB_TRY(window_init(&w));
    /* From the end, so that the first slot of the order given is the first of the list. */
    for (uint64_t i = slot_count; i > 0; i--) link_slot(&w, order[i - 1], 0);
    for (uint64_t i = 0; i < slot_count; i++) {
        const uint32_t slot = best_slot(&w);
        unlink_slot(&w, slot);
        w.score[slot] = PLACED;
        order[i] = slot;
        change_scores(&w, slot, true);
        if (i >= WINDOW_COUNT) change_scores(&w, order[i - WINDOW_COUNT], false);
        if (i % RHUMB__ORDER_SLOTS_PER_CHECK == 0) RHUMB_TRY(rhumb__order_check(work, 0));
    }
done:
    release(&w);
    return status;
}
