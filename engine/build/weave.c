/* weave.c - see weave.h.
 *
 * Each thread takes some slots at a time. A node's neighbours are those of its neighbours too, whose slots are near
 * after a compaction; so a thread keeps the rotated vectors that it used last, by the lower bits of their slots.
 *
 * Owns that memory while it runs. Takes append_lock for a moment, to read the number of slots, and for each row the
 * locks of its list and of its mark in `changed`. One thread at a time
 * makes the rows of a graph: graph->weaving is exchanged with acquire, and stored with release at the end.
 */
#include "engine/build/weave.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/graph/active.h"
#include "engine/graph/changed.h"
#include "engine/graph/fused.h"
#include "engine/graph/fused_fill.h"
#include "engine/graph/neighbour_list.h"

#define SLOTS_PER_STEP 64u

/* Rotated vectors that a thread keeps, in bytes at most; a power of two of them. */
#define KEPT_BYTES (UINT64_C(8) << 20)
#define KEPT_COUNT_MIN 64u

/* Neighbours of neighbours that are considered for the lanes that a list leaves empty, for each lane at most. */
#define CANDIDATES_PER_LANE 32u

/* New slots for which it pays to make rows in the background: so many, and such a share of those that have rows. */
#define NEW_COUNT_MIN 1024u
#define NEW_SHARE 32u

typedef struct weaving {
    rhumb__graph *graph;
    uint64_t slot_limit;
    uint64_t end;
    _Atomic uint64_t next;
    rhumb__fused_filler filler;
} weaving;

/* What a thread works with. */
typedef struct loom {
    float *rotated;  /* kept_count vectors, one after another */
    uint32_t *slots; /* of which slot each is; RHUMB__SLOT_NONE: none */
    uint32_t kept_count;
    rhumb__fused_candidate *list;
    rhumb__fused_candidate *candidates;
    uint32_t candidate_capacity;
    rhumb__fused_fill_scratch *fill_scratch;
    float *neighbours; /* the rotated vectors of one list, which may displace each other among those kept */
} loom;

static uint32_t kept_count_of(const rhumb__fused_layout *layout) {
    uint32_t count = KEPT_COUNT_MIN;
    while ((uint64_t)count * 2 * layout->rotated_count * sizeof(float) <= KEPT_BYTES) count *= 2;
    return count;
}

static void loom_free(loom *l) {
    rhumb__free(l->rotated);
    rhumb__free(l->slots);
    rhumb__free(l->neighbours);
    rhumb__free(l->list);
    rhumb__free(l->candidates);
    rhumb__free(l->fill_scratch);
}

static rhumb_status loom_make(const rhumb__fused_layout *layout, loom *l) {
    *l = (loom){.kept_count = kept_count_of(layout)};
    l->rotated = rhumb__alloc_zeroed(l->kept_count, layout->rotated_count * sizeof *l->rotated);
    l->slots = rhumb__alloc_zeroed(l->kept_count, sizeof *l->slots);
    l->neighbours = rhumb__alloc_zeroed(layout->lane_capacity, layout->rotated_count * sizeof *l->neighbours);
    l->candidate_capacity = layout->lane_capacity * CANDIDATES_PER_LANE;
    l->list = rhumb__alloc_zeroed(layout->lane_capacity, sizeof *l->list);
    l->candidates = rhumb__alloc_zeroed(l->candidate_capacity, sizeof *l->candidates);
    l->fill_scratch = rhumb__alloc_zeroed(1, sizeof *l->fill_scratch);
    if (l->rotated == NULL || l->slots == NULL || l->neighbours == NULL || l->list == NULL || l->candidates == NULL ||
        l->fill_scratch == NULL) {
        loom_free(l);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for making fused rows");
    }
    for (uint32_t i = 0; i < l->kept_count; i++) l->slots[i] = RHUMB__SLOT_NONE;
    return RHUMB_OK;
}

/* Returns the rotated vector of a slot, valid until the next call. */
static const float *rotated_of(const rhumb__graph *graph, const loom *l, uint32_t slot) {
    const uint32_t place = slot & (l->kept_count - 1);
    float *rotated = l->rotated + place * (size_t)graph->fused.rotated_count;
    if (l->slots[place] == slot) return rotated;
    rhumb__fused_rotate(&graph->fused, rhumb__graph_vector(graph, slot), rotated);
    l->slots[place] = slot;
    return rotated;
}

/* How many slots of a list come before the first that was not there when the weaving began, or that a damaged file has
 * put there. Lanes are in the order of the list, so they end there. */
static uint32_t known_count(const weaving *w, const uint32_t *slots, uint32_t list_count) {
    uint32_t count = 0;
    while (count < list_count && slots[count] < w->slot_limit) count++;
    return count;
}

static uint32_t read_list(const weaving *w, uint32_t slot, uint32_t *slots) {
    const rhumb__list list = rhumb__graph_list(w->graph, slot, 0);
    return known_count(w, slots, rhumb__list_read(&list, slots));
}

/* Reads the list that a row is made of. What changes after that is noted, and so is what the row is not going to
 * have. */
static uint32_t read_own_list(const weaving *w, uint32_t slot, uint32_t *slots) {
    const rhumb__list list = rhumb__graph_list(w->graph, slot, 0);
    rhumb__changed_clear(w->graph, slot);
    rhumb__section_lock(list.section, slot);
    const uint32_t list_count = rhumb__list_read(&list, slots);
    const uint32_t count = known_count(w, slots, list_count);
    if (count < list_count) rhumb__changed_set(w->graph, slot);
    rhumb__section_unlock(list.section, slot);
    return count;
}

/* Appends fillers to the `count` slots of a list, so that blocks are whole. Returns how many slots there are then. */
static uint32_t fill(const weaving *w, loom *l, uint32_t slot, uint32_t *slots, uint32_t count) {
    const rhumb__graph *graph = w->graph;
    uint32_t seconds[RHUMB__M0_MAX];
    uint32_t candidate_count = 0;
    const uint32_t lane_count =
        (uint32_t)rhumb__min_u64(rhumb__round_up(count, RHUMB__LANES_PER_BLOCK), graph->fused.lane_capacity);
    if (count == 0 || count == lane_count) return count;
    for (uint32_t i = 0; i < count; i++) {
        l->list[i] = (rhumb__fused_candidate){.vector = rhumb__graph_vector(graph, slots[i]), .slot = slots[i]};
        const uint32_t second_count = read_list(w, slots[i], seconds);
        for (uint32_t k = 0; k < second_count && candidate_count < l->candidate_capacity; k++) {
            l->candidates[candidate_count++] =
                (rhumb__fused_candidate){.vector = rhumb__graph_vector(graph, seconds[k]), .slot = seconds[k]};
        }
    }
    const rhumb__fused_fill_from from = {.node = {.vector = rhumb__graph_vector(graph, slot), .slot = slot},
                                         .list = l->list,
                                         .list_count = count,
                                         .candidates = l->candidates,
                                         .candidate_count = candidate_count};
    const uint32_t filler_count = rhumb__fused_fill(&w->filler, &from, lane_count - count, l->fill_scratch);
    for (uint32_t i = 0; i < filler_count; i++) slots[count + i] = l->candidates[i].slot;
    return count + filler_count;
}

static void weave_row(const weaving *w, loom *l, uint32_t slot) {
    rhumb__graph *graph = w->graph;
    const rhumb__fused_layout *layout = &graph->fused;
    const size_t rotated_count = layout->rotated_count;
    uint32_t slots[RHUMB__M0_MAX];
    const float *rotated[RHUMB__M0_MAX];
    const uint32_t list_count = read_own_list(w, slot, slots);
    const uint32_t count = fill(w, l, slot, slots, list_count);
    for (uint32_t i = 0; i < count; i++) {
        float *copy = l->neighbours + i * rotated_count;
        memcpy(copy, rotated_of(graph, l, slots[i]), rotated_count * sizeof *copy);
        rotated[i] = copy;
    }
    const rhumb__fused_source source = {.vector = rhumb__graph_vector(graph, slot),
                                        .slots = slots,
                                        .count = count,
                                        .list_count = list_count,
                                        .rotated = rotated_of(graph, l, slot),
                                        .rotated_neighbours = rotated};
    rhumb__fused_encode(layout, &source, NULL, rhumb__graph_fused(graph, slot));
}

static rhumb_status weave_some(void *context, uint32_t worker_index) {
    weaving *w = context;
    loom l;
    (void)worker_index;
    const rhumb_status status = loom_make(&w->graph->fused, &l);
    if (status != RHUMB_OK) return status;
    for (;;) {
        const uint64_t begin = atomic_fetch_add_explicit(&w->next, SLOTS_PER_STEP, memory_order_relaxed);
        if (begin >= w->end) break;
        const uint64_t end = rhumb__min_u64(begin + SLOTS_PER_STEP, w->end);
        for (uint64_t slot = begin; slot < end; slot++) weave_row(w, &l, (uint32_t)slot);
    }
    loom_free(&l);
    return RHUMB_OK;
}

rhumb_status rhumb__weave(rhumb__graph *graph, uint64_t end, uint32_t thread_count) {
    rhumb_status status = RHUMB_OK;
    const uint64_t begin = rhumb__fused_count(graph);
    if (graph->params.lane_bits == 0 || !graph->coded || begin >= end) return RHUMB_OK;
    weaving w = {
        .graph = graph, .slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire), .end = end};
    atomic_init(&w.next, begin);
    RHUMB_ASSERT_DEBUG(end <= w.slot_limit);
    RHUMB_TRY(rhumb__fused_filler_init(&w.filler, &graph->space));
    rhumb__changed_note_below(graph, end);
    RHUMB_TRY(rhumb__parallel_run(thread_count, weave_some, &w));
    rhumb__fused_extend(graph, end);
done:
    return status;
}

/* ---- rows of nodes that have come since ---- */

/* The slots from 0 on whose nodes are complete. */
static uint64_t complete_count_of(rhumb__graph *graph) {
    uint64_t slot_count = 0;
    const rhumb__counts counts = rhumb__active_complete_counts(graph, &slot_count);
    return atomic_load(&graph->finished_count) >= counts.slot_count ? counts.slot_count : 0;
}

uint64_t rhumb__weave_missing_count(rhumb__graph *graph) {
    if (graph->params.lane_bits == 0 || !graph->coded) return 0;
    const uint64_t count = rhumb__graph_slot_count(graph);
    return count - rhumb__min_u64(count, rhumb__fused_count(graph));
}

bool rhumb__weave_pays_after_batch(rhumb__graph *graph) {
    const uint64_t missing_count = rhumb__weave_missing_count(graph);
    return missing_count >= NEW_COUNT_MIN && missing_count >= rhumb__fused_count(graph);
}

uint64_t rhumb__weave_due_slot(rhumb__graph *graph) {
    if (graph->params.lane_bits == 0 || !graph->coded) return UINT64_MAX;
    const uint64_t row_count = rhumb__fused_count(graph);
    return row_count == 0 ? UINT64_MAX : row_count + rhumb__max_u64(row_count / NEW_SHARE, NEW_COUNT_MIN);
}

rhumb_status rhumb__weave_new(rhumb__graph *graph, uint64_t count_max, uint32_t thread_count) {
    if (rhumb__weave_missing_count(graph) == 0) return RHUMB_OK;
    if (atomic_exchange_explicit(&graph->weaving, true, memory_order_acquire)) return RHUMB_OK;
    const uint64_t begin = rhumb__fused_count(graph);
    const uint64_t complete_count = complete_count_of(graph);
    const uint64_t missing_count = complete_count - rhumb__min_u64(complete_count, begin);
    const rhumb_status status = rhumb__weave(graph, begin + rhumb__min_u64(missing_count, count_max), thread_count);
    atomic_store_explicit(&graph->weaving, false, memory_order_release);
    return status;
}
