/* changed.c - see changed.h.
 *
 * The bits belong to their section. Invariant: a list of a slot below changes_noted_limit does not change while its bit
 * is clear. Locks: the chunk of the bit, within that of the list; not if the bit already is as it is to be.
 */
#include "engine/graph/changed.h"

#include "base/bits.h"
#include "engine/graph/fused.h"

void rhumb__changed_start(rhumb__graph *graph) {
    _Atomic uint64_t *row_count = &graph->derived_row_counts[RHUMB__SECTION_CHANGED];
    const bool has_rows = graph->params.lane_bits != 0;
    graph->changed_limit = has_rows ? atomic_load(row_count) * RHUMB__CHANGED_ROW_SLOTS : 0;
    if (has_rows && graph->writable && graph->changed_limit >= graph->counts.slot_count) {
        atomic_store(row_count, UINT64_MAX);
        graph->changed_limit = UINT64_MAX;
    }
    rhumb__changed_note_below(graph, rhumb__fused_count(graph));
    atomic_store_explicit(&graph->renew_checked_slots, graph->counts.slot_count, memory_order_relaxed);
}

uint64_t rhumb__changed_count(const rhumb__graph *graph) {
    const uint64_t row_count = rhumb__fused_count(graph);
    const uint64_t known_end = rhumb__min_u64(row_count, graph->changed_limit);
    uint64_t count = row_count - known_end;
    for (uint64_t slot = 0; slot < known_end; slot += 64) {
        uint64_t word = atomic_load_explicit(rhumb__changed_word(graph, (uint32_t)slot), memory_order_relaxed);
        if (known_end - slot < 64) word &= (UINT64_C(1) << (known_end - slot)) - 1;
        count += (uint64_t)__builtin_popcountll(word);
    }
    return count;
}

/* Sets or clears the bit of a slot. Release, so that the mark is there before the change that follows. */
static void change(rhumb__graph *graph, uint32_t slot, bool is_set) {
    RHUMB_ASSERT_DEBUG(graph->writable);
    rhumb__section *section = &graph->sections[RHUMB__SECTION_CHANGED];
    _Atomic uint64_t *word = rhumb__changed_word(graph, slot);
    const uint64_t row = slot / RHUMB__CHANGED_ROW_SLOTS;
    const uint64_t bit = UINT64_C(1) << (slot % 64);
    const bool was_set = (atomic_load_explicit(word, memory_order_relaxed) & bit) != 0;
    if (was_set == is_set) return;
    rhumb__section_lock(section, row);
    rhumb__section_mark_dirty(section, row);
    if (is_set) {
        atomic_fetch_or_explicit(word, bit, memory_order_release);
    } else {
        atomic_fetch_and_explicit(word, ~bit, memory_order_release);
    }
    rhumb__section_unlock(section, row);
}

void rhumb__changed_set(rhumb__graph *graph, uint32_t slot) {
    if (slot < atomic_load_explicit(&graph->changes_noted_limit, memory_order_relaxed)) change(graph, slot, true);
}

void rhumb__changed_clear(rhumb__graph *graph, uint32_t slot) { change(graph, slot, false); }
