/* weave.c - see weave.h.
 *
 * Each thread takes some slots at a time.
 *
 * Owns no memory but its threads' looms, while it runs. Takes append_lock for a moment, to read the number of slots,
 * and for each row the locks of its list and of its mark in `changed`. One thread at a time makes the rows of a graph:
 * graph->weaving is exchanged with acquire, and stored with release at the end.
 */
#include "engine/build/weave.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/loom.h"
#include "engine/graph/active.h"
#include "engine/graph/changed.h"
#include "engine/graph/fused.h"
#include "engine/graph/neighbour_list.h"

#define SLOTS_PER_STEP 64u

/* New slots for which it pays to make rows in the background: so many, and such a share of those that have rows. */
#define NEW_COUNT_MIN 1024u
#define NEW_SHARE 32u

typedef struct weaving {
    rhumb__graph *graph;
    uint64_t end;
    _Atomic uint64_t next;
} weaving;

/* Reads the list that a row is made of. What changes after that is noted, and so is what the row is not going to
 * have. */
static uint32_t read_own_list(const rhumb__loom *loom, uint32_t slot, uint32_t *slots) {
    const rhumb__list list = rhumb__graph_list(loom->graph, slot, 0);
    rhumb__changed_clear(loom->graph, slot);
    rhumb__section_lock(list.section, slot);
    const uint32_t list_count = rhumb__list_read(&list, slots);
    const uint32_t count = rhumb__loom_known_count(loom, slots, list_count);
    if (count < list_count) rhumb__changed_set(loom->graph, slot);
    rhumb__section_unlock(list.section, slot);
    return count;
}

static rhumb_status weave_some(void *context, uint32_t worker_index) {
    weaving *w = context;
    rhumb__loom loom;
    uint32_t slots[RHUMB__M0_MAX];
    (void)worker_index;
    const rhumb_status status = rhumb__loom_init(&loom, w->graph);
    if (status != RHUMB_OK) return status;
    for (;;) {
        const uint64_t begin = atomic_fetch_add_explicit(&w->next, SLOTS_PER_STEP, memory_order_relaxed);
        if (begin >= w->end) break;
        const uint32_t end = (uint32_t)rhumb__min_u64(begin + SLOTS_PER_STEP, w->end);
        for (uint32_t slot = (uint32_t)begin; slot < end; slot++) {
            const uint32_t count = read_own_list(&loom, slot, slots);
            rhumb__loom_make(&loom, slot, slots, count, NULL, rhumb__graph_fused(w->graph, slot));
        }
    }
    rhumb__loom_free(&loom);
    return RHUMB_OK;
}

rhumb_status rhumb__weave(rhumb__graph *graph, uint64_t end, uint32_t thread_count) {
    rhumb_status status = RHUMB_OK;
    const uint64_t begin = rhumb__fused_count(graph);
    if (graph->params.lane_bits == 0 || !graph->coded || begin >= end) return RHUMB_OK;
    weaving w = {.graph = graph, .end = end};
    atomic_init(&w.next, begin);
    RHUMB_ASSERT_DEBUG(end <= atomic_load(&graph->slot_limit));
    /* In an opened graph there is room for the rows that the file has. */
    RHUMB_TRY(rhumb__section_ensure(&graph->sections[RHUMB__SECTION_FUSED], end));
    RHUMB_TRY(rhumb__section_ensure(&graph->sections[RHUMB__SECTION_CHANGED],
                                    rhumb__divide_up(end, RHUMB__CHANGED_ROW_SLOTS)));
    rhumb__changed_note_below(graph, end);
    RHUMB_TRY(rhumb__parallel_run(thread_count, weave_some, &w));
    /* The first rows are as new as the graph. */
    if (begin == 0) atomic_store_explicit(&graph->renew_checked_slots, end, memory_order_relaxed);
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

bool rhumb__weave_pays_when_idle(rhumb__graph *graph) {
    return rhumb__weave_missing_count(graph) > 0 && rhumb__fused_count(graph) > 0;
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
