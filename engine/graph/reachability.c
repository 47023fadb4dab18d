/* reachability.c - see reachability.h.
 *
 * A breadth-first walk with two bitmaps, reached and expanded, instead of a queue of slots. Each sweep over the bitmaps
 * expands every node that is reached and not yet expanded; a node that is reached at a slot the sweep has already
 * passed is expanded by the next sweep. There are about as many sweeps as the graph is deep, and their cost is that of
 * the lists they read. A copy is in no list: it is reached where its head is. Owns the bitmaps. Locks: none.
 */
#include "engine/graph/reachability.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/graph/unlinked.h"

static void expand(rhumb__graph *graph, uint32_t slot, uint64_t slot_limit, uint64_t *reached) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t count = rhumb__graph_neighbours(graph, slot, slot_limit, slots);
    for (uint32_t i = 0; i < count; i++) rhumb__bit_set(reached, slots[i]);
}

static bool is_stopped(const _Atomic bool *stop) {
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static bool sweep(rhumb__graph *graph, uint64_t slot_limit, const _Atomic bool *stop, uint64_t *reached,
                  uint64_t *expanded) {
    bool any = false;
    const uint64_t word_count = rhumb__divide_up(slot_limit, 64);
    for (uint64_t word = 0; word < word_count && !is_stopped(stop); word++) {
        uint64_t waiting;
        while ((waiting = reached[word] & ~expanded[word]) != 0) {
            const uint64_t slot = word * 64 + (uint64_t)__builtin_ctzll(waiting);
            rhumb__bit_set(expanded, slot);
            expand(graph, (uint32_t)slot, slot_limit, reached);
            any = true;
        }
    }
    return any;
}

static uint64_t count_lost(rhumb__graph *graph, uint64_t slot_limit, const uint64_t *reached) {
    const uint64_t unlinked_begin = rhumb__unlinked_begin(graph);
    uint64_t count = 0;
    for (uint64_t i = 0; i < slot_limit; i++) {
        const uint32_t slot = (uint32_t)i;
        const bool unlinked = i >= unlinked_begin && i < rhumb__unlinked_end(graph);
        /* Deleted nodes need not be reachable, unless copies hang on them. */
        if (unlinked || rhumb__graph_is_dead(graph, slot)) continue;
        const uint32_t head = rhumb__graph_head(graph, slot);
        /* A copy of a copy is damage: no chain leads there. */
        const bool found = head < slot_limit && (head == slot || !rhumb__graph_is_copy(graph, head));
        if (!found || !rhumb__bit_get(reached, head)) count++;
    }
    return count;
}

rhumb_status rhumb__reachability_count(rhumb__graph *graph, uint64_t slot_limit, const _Atomic bool *stop,
                                       uint64_t *count_out) {
    rhumb_status status = RHUMB_OK;
    RHUMB_ASSERT_DEBUG(slot_limit <= atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    const uint64_t word_count = rhumb__max_u64(rhumb__divide_up(slot_limit, 64), 1);
    uint64_t *reached = rhumb__alloc_zeroed(word_count, sizeof *reached);
    uint64_t *expanded = rhumb__alloc_zeroed(word_count, sizeof *expanded);
    if (reached == NULL || expanded == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a walk over %llu slots", (unsigned long long)slot_limit);
        goto done;
    }
    const uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    if (entry != RHUMB__ENTRY_NONE) {
        /* Searches begin at the entry point also when its slot is at or above the caller's limit. */
        const uint32_t slot = rhumb__entry_slot(entry);
        if (slot < slot_limit) rhumb__bit_set(reached, slot);
        if (slot < atomic_load_explicit(&graph->slot_limit, memory_order_acquire)) {
            expand(graph, slot, slot_limit, reached);
        }
        while (sweep(graph, slot_limit, stop, reached, expanded)) {
        }
    }
    if (is_stopped(stop)) {
        status = rhumb__fail(RHUMB_E_CANCELLED, "counting unreachable nodes was stopped");
        goto done;
    }
    *count_out = count_lost(graph, slot_limit, reached);
done:
    rhumb__free(reached);
    rhumb__free(expanded);
    return status;
}
