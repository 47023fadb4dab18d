/* ties.c - see ties.h.
 *
 * A copy is put in front of its chain: first its own tie is written, then the head's `next_copy` is exchanged if it is
 * still what the copy continues. A reader that follows the chain finds the copy and all after it, or only those.
 *
 * Locking: every store happens under the lock of the row's chunk, as storage/section.h requires, one lock at a time.
 */
#include "engine/graph/ties.h"

static uint64_t row_of(uint32_t slot) { return slot / RHUMB__TIE_ROW_SLOTS; }

/* Stores one or both numbers of a tie, if next_copy is still `expected`. Returns whether it was. */
static bool store(rhumb__graph *graph, uint32_t slot, const uint32_t *anchor, uint32_t expected, uint32_t next_copy) {
    rhumb__section *ties = &graph->sections[RHUMB__SECTION_TIES];
    rhumb__tie *tie = rhumb__graph_tie(graph, slot);
    RHUMB_ASSERT_DEBUG(graph->writable);
    rhumb__section_lock(ties, row_of(slot));
    const bool unchanged = atomic_load_explicit(&tie->next_copy, memory_order_relaxed) == expected;
    if (unchanged) {
        rhumb__section_mark_dirty(ties, row_of(slot));
        /* Release pairs with the acquires in ties.h: a thread that finds a copy can read its own tie. */
        if (anchor != NULL) atomic_store_explicit(&tie->anchor, *anchor, memory_order_release);
        atomic_store_explicit(&tie->next_copy, next_copy, memory_order_release);
    }
    rhumb__section_unlock(ties, row_of(slot));
    return unchanged;
}

static uint32_t next_copy_of(const rhumb__graph *graph, uint32_t slot) {
    return atomic_load_explicit(&rhumb__graph_tie(graph, slot)->next_copy, memory_order_acquire);
}

static void store_anchor(rhumb__graph *graph, uint32_t slot, uint32_t encoded) {
    uint32_t next_copy = next_copy_of(graph, slot);
    while (!store(graph, slot, &encoded, next_copy, next_copy)) next_copy = next_copy_of(graph, slot);
}

void rhumb__tie_set_anchor(rhumb__graph *graph, uint32_t slot, uint32_t anchor) {
    RHUMB_ASSERT_DEBUG(anchor < RHUMB__SLOT_LIMIT - 1);
    store_anchor(graph, slot, anchor + 1);
}

void rhumb__tie_clear_anchor(rhumb__graph *graph, uint32_t slot) { store_anchor(graph, slot, 0); }

void rhumb__tie_clear(rhumb__graph *graph, uint32_t slot) {
    const uint32_t none = 0;
    const uint32_t next_copy = next_copy_of(graph, slot);
    if (next_copy == 0 && rhumb__tie_load(graph, slot) == 0) return;
    (void)store(graph, slot, &none, next_copy, 0); /* no other thread changes it */
}

void rhumb__tie_hang(rhumb__graph *graph, uint32_t slot, uint32_t head) {
    const uint32_t encoded = (head + 1) | RHUMB__TIE_COPY;
    RHUMB_ASSERT_DEBUG(head < RHUMB__SLOT_LIMIT - 1 && head != slot);
    RHUMB_ASSERT_DEBUG(next_copy_of(graph, slot) == 0);
    /* Counted before it can be found: readers give up after as many copies. */
    atomic_fetch_add_explicit(&graph->copy_count, 1, memory_order_release);
    uint32_t own_next = 0;
    for (;;) {
        const uint32_t first = next_copy_of(graph, head);
        (void)store(graph, slot, &encoded, own_next, first); /* no other thread changes it */
        own_next = first;
        if (store(graph, head, NULL, first, slot + 1)) return;
    }
}
