/* tombstones.h - which nodes have been deleted: one bit per slot.
 *
 * A deleted node stays in the graph, because its links hold the graph together: searches walk through it but never
 * return it. Its slot is not reused. A row of the section is 64 bytes, the bits of 512 slots, as atomic words of 64
 * bits.
 */
#ifndef RHUMB_ENGINE_GRAPH_TOMBSTONES_H
#define RHUMB_ENGINE_GRAPH_TOMBSTONES_H

#include "base/assert.h"
#include "base/bits.h"
#include "engine/graph/graph.h"

#define RHUMB__TOMBSTONE_ROW_BYTES 64u
#define RHUMB__TOMBSTONE_ROW_SLOTS (RHUMB__TOMBSTONE_ROW_BYTES * 8)

static inline uint64_t rhumb__tombstone_row_count(uint64_t slot_count) {
    return rhumb__divide_up(slot_count, RHUMB__TOMBSTONE_ROW_SLOTS);
}

static inline _Atomic uint64_t *rhumb__tombstone_word(const rhumb__section *tombstones, uint32_t slot) {
    return (_Atomic uint64_t *)tombstones->base + slot / 64;
}

/* Whether the node of a slot below slot_limit has been deleted. Acquire pairs with the release in
 * rhumb__tombstone_set. */
static inline bool rhumb__tombstone_is_set(const rhumb__section *tombstones, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot / RHUMB__TOMBSTONE_ROW_SLOTS < atomic_load(&tombstones->row_capacity));
    const uint64_t word = atomic_load_explicit(rhumb__tombstone_word(tombstones, slot), memory_order_acquire);
    return (word >> (slot % 64) & 1) != 0;
}

static inline bool rhumb__graph_is_dead(const rhumb__graph *graph, uint32_t slot) {
    return rhumb__tombstone_is_set(&graph->sections[RHUMB__SECTION_TOMBSTONES], slot);
}

/* Sets or takes the mark of a node under the lock of the row's chunk; returns whether it was set before. Release pairs
 * with the acquire in rhumb__tombstone_is_set. */
static inline bool rhumb__tombstone_exchange(rhumb__graph *graph, uint32_t slot, bool is_set) {
    RHUMB_ASSERT_DEBUG(graph->writable);
    rhumb__graph_assert_slot(graph, slot);
    rhumb__section *tombstones = &graph->sections[RHUMB__SECTION_TOMBSTONES];
    _Atomic uint64_t *word = rhumb__tombstone_word(tombstones, slot);
    const uint64_t row = slot / RHUMB__TOMBSTONE_ROW_SLOTS;
    const uint64_t bit = UINT64_C(1) << (slot % 64);
    rhumb__section_lock(tombstones, row);
    rhumb__section_mark_dirty(tombstones, row);
    const uint64_t before = is_set ? atomic_fetch_or_explicit(word, bit, memory_order_release)
                                   : atomic_fetch_and_explicit(word, ~bit, memory_order_release);
    rhumb__section_unlock(tombstones, row);
    return (before & bit) != 0;
}

/* Marks a node as deleted; returns false if it was marked already. */
static inline bool rhumb__tombstone_set(rhumb__graph *graph, uint32_t slot) {
    return !rhumb__tombstone_exchange(graph, slot, true);
}

/* Takes the mark from a node that was hidden and now is to be found. */
static inline void rhumb__tombstone_clear(rhumb__graph *graph, uint32_t slot) {
    (void)rhumb__tombstone_exchange(graph, slot, false);
}

#endif /* RHUMB_ENGINE_GRAPH_TOMBSTONES_H */
