/* loom.c - see loom.h. Owns the memory of a loom. Takes no lock: vectors do not change, and lists are read as they are.
 */
#include "engine/build/loom.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/fused.h"
#include "engine/graph/neighbour_list.h"

/* Rotated vectors that a thread keeps, in bytes at most; a power of two of them. */
#define KEPT_BYTES (UINT64_C(8) << 20)
#define KEPT_COUNT_MIN 64u

/* Neighbours of neighbours that are considered for the lanes that a list leaves empty, for each lane at most. */
#define CANDIDATES_PER_LANE 32u

static uint32_t kept_count_of(const rhumb__fused_layout *layout) {
    uint32_t count = KEPT_COUNT_MIN;
    while ((uint64_t)count * 2 * layout->rotated_count * sizeof(float) <= KEPT_BYTES) count *= 2;
    return count;
}

void rhumb__loom_free(rhumb__loom *loom) {
    rhumb__free(loom->rotated);
    rhumb__free(loom->slots);
    rhumb__free(loom->neighbours);
    rhumb__free(loom->list);
    rhumb__free(loom->candidates);
    rhumb__free(loom->fill_scratch);
    *loom = (rhumb__loom){0};
}

rhumb_status rhumb__loom_init(rhumb__loom *loom, rhumb__graph *graph) {
    const rhumb__fused_layout *layout = &graph->fused;
    rhumb_status status = RHUMB_OK;
    *loom = (rhumb__loom){.graph = graph, .kept_count = kept_count_of(layout)};
    loom->slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    RHUMB_TRY(rhumb__fused_filler_init(&loom->filler, &graph->space));
    loom->rotated = rhumb__alloc_zeroed(loom->kept_count, layout->rotated_count * sizeof *loom->rotated);
    loom->slots = rhumb__alloc_zeroed(loom->kept_count, sizeof *loom->slots);
    loom->neighbours = rhumb__alloc_zeroed(layout->lane_capacity, layout->rotated_count * sizeof *loom->neighbours);
    loom->candidate_capacity = layout->lane_capacity * CANDIDATES_PER_LANE;
    loom->list = rhumb__alloc_zeroed(layout->lane_capacity, sizeof *loom->list);
    loom->candidates = rhumb__alloc_zeroed(loom->candidate_capacity, sizeof *loom->candidates);
    loom->fill_scratch = rhumb__alloc_zeroed(1, sizeof *loom->fill_scratch);
    if (loom->rotated == NULL || loom->slots == NULL || loom->neighbours == NULL || loom->list == NULL ||
        loom->candidates == NULL || loom->fill_scratch == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for making fused rows");
        goto done;
    }
    for (uint32_t i = 0; i < loom->kept_count; i++) loom->slots[i] = RHUMB__SLOT_NONE;
done:
    if (status != RHUMB_OK) rhumb__loom_free(loom);
    return status;
}

/* Returns the rotated vector of a slot, valid until the next call. */
static const float *rotated_of(const rhumb__loom *loom, uint32_t slot) {
    const rhumb__graph *graph = loom->graph;
    const uint32_t place = slot & (loom->kept_count - 1);
    float *rotated = loom->rotated + place * (size_t)graph->fused.rotated_count;
    if (loom->slots[place] == slot) return rotated;
    rhumb__fused_rotate(&graph->fused, rhumb__graph_vector(graph, slot), rotated);
    loom->slots[place] = slot;
    return rotated;
}

uint32_t rhumb__loom_known_count(const rhumb__loom *loom, const uint32_t *slots, uint32_t list_count) {
    uint32_t count = 0;
    while (count < list_count && slots[count] < loom->slot_limit) count++;
    return count;
}

static rhumb__fused_candidate candidate_of(const rhumb__loom *loom, uint32_t slot) {
    return (rhumb__fused_candidate){.vector = rhumb__graph_vector(loom->graph, slot), .slot = slot};
}

/* Appends slots of an earlier row to the `count` slots of a list, up to `lane_count`. Returns how many there are then.
 * The bytes of the row may be anything. */
static uint32_t take_before(const rhumb__loom *loom, uint32_t slot, uint32_t *slots, uint32_t count,
                            uint32_t lane_count, const void *before) {
    const rhumb__fused_layout *layout = &loom->graph->fused;
    const uint32_t before_count = rhumb__fused_counts_of(layout, before).lane_count;
    for (uint32_t i = before_count; i > 0 && count < lane_count; i--) { /* fillers are at the end */
        const uint32_t lane = i - 1;
        const uint32_t filler =
            rhumb__fused_slots(layout, before, lane / RHUMB__LANES_PER_BLOCK)[lane % RHUMB__LANES_PER_BLOCK];
        if (filler >= loom->slot_limit || filler == slot || rhumb__slots_contain(slots, count, filler)) continue;
        if ((rhumb__graph_node(loom->graph, filler) & RHUMB__NODE_PRESENT) == 0) continue;
        slots[count++] = filler;
    }
    return count;
}

/* Appends fillers to the `count` slots of a list, so that blocks are whole. Returns how many slots there are then. */
static uint32_t fill(rhumb__loom *loom, uint32_t slot, uint32_t *slots, uint32_t count, const void *before) {
    rhumb__graph *graph = loom->graph;
    uint32_t seconds[RHUMB__M0_MAX];
    uint32_t candidate_count = 0;
    const uint32_t lane_count =
        (uint32_t)rhumb__min_u64(rhumb__round_up(count, RHUMB__LANES_PER_BLOCK), graph->fused.lane_capacity);
    if (count == 0 || count == lane_count) return count;
    if (before != NULL && take_before(loom, slot, slots, count, lane_count, before) == lane_count) return lane_count;
    for (uint32_t i = 0; i < count; i++) {
        loom->list[i] = candidate_of(loom, slots[i]);
        const rhumb__list list = rhumb__graph_list(graph, slots[i], 0);
        const uint32_t second_count = rhumb__loom_known_count(loom, seconds, rhumb__list_read(&list, seconds));
        for (uint32_t k = 0; k < second_count && candidate_count < loom->candidate_capacity; k++) {
            loom->candidates[candidate_count++] = candidate_of(loom, seconds[k]);
        }
    }
    const rhumb__fused_fill_from from = {.node = candidate_of(loom, slot),
                                         .list = loom->list,
                                         .list_count = count,
                                         .candidates = loom->candidates,
                                         .candidate_count = candidate_count};
    const uint32_t filler_count = rhumb__fused_fill(&loom->filler, &from, lane_count - count, loom->fill_scratch);
    for (uint32_t i = 0; i < filler_count; i++) slots[count + i] = loom->candidates[i].slot;
    return count + filler_count;
}

void rhumb__loom_make(rhumb__loom *loom, uint32_t slot, uint32_t *slots, uint32_t count, const void *before,
                      void *row) {
    const rhumb__graph *graph = loom->graph;
    const size_t rotated_count = graph->fused.rotated_count;
    const float *rotated[RHUMB__M0_MAX];
    const uint32_t lane_count = fill(loom, slot, slots, count, before);
    for (uint32_t i = 0; i < lane_count; i++) {
        float *copy = loom->neighbours + i * rotated_count;
        memcpy(copy, rotated_of(loom, slots[i]), rotated_count * sizeof *copy);
        rotated[i] = copy;
    }
    const rhumb__fused_source source = {.vector = rhumb__graph_vector(graph, slot),
                                        .slots = slots,
                                        .count = lane_count,
                                        .list_count = count,
                                        .rotated = rotated_of(loom, slot),
                                        .rotated_neighbours = rotated};
    rhumb__fused_encode(&graph->fused, &source, NULL, row);
}
