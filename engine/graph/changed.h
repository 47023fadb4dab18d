/* changed.h - which lists of level 0 have changed since the fused rows of their nodes were made: one bit per slot.
 *
 * A fused row names the neighbours that the list had when the row was made. While the bit is clear, every neighbour in
 * the list has a lane of the row, so a walk over rows need not read the list. The bit is set before the list changes,
 * whatever the change is; one that only drops neighbours would not need it. Bits of slots without a row mean nothing. A
 * row of the section is 64 bytes, the bits of 512 slots, as atomic words of 64 bits.
 *
 * The section is derived. In a file without it every list counts as changed; so do those of slots after its last row
 * (rhumb__graph.changed_limit). A bit that damage has cleared hides the links of one node that are newer than its row.
 *
 * Which order keeps a bit right: a change happens under the lock of the list's chunk, which covers both the bit and the
 * list. Who makes a row first lets changes be noted, then clears the bit, and then reads the list under that lock. So a
 * change that this reading misses comes after it, sees the bit clear and sets it.
 *
 * In a version of the file, the bits may have been copied before a list or after it: both happens after all operations
 * of the version have finished. Later ones add slots alone that the version does not have, and the filter of lists
 * removes these.
 *
 * Searches load a bit without an order of its own: one that sees it clear takes the list as the row has it, which is as
 * good as having come a little earlier. A thread to which another has made a change known sees the bit.
 */
#ifndef RHUMB_ENGINE_GRAPH_CHANGED_H
#define RHUMB_ENGINE_GRAPH_CHANGED_H

#include "base/assert.h"
#include "base/inline.h"
#include "engine/graph/graph.h"

#define RHUMB__CHANGED_ROW_BYTES 64u
#define RHUMB__CHANGED_ROW_SLOTS (RHUMB__CHANGED_ROW_BYTES * 8)

RHUMB__INLINE _Atomic uint64_t *rhumb__changed_word(const rhumb__graph *graph, uint32_t slot) {
    return (_Atomic uint64_t *)graph->sections[RHUMB__SECTION_CHANGED].base + slot / 64;
}

/* Whether the list of a slot with a fused row is marked as changed. */
RHUMB__INLINE bool rhumb__changed_is_set(const rhumb__graph *graph, uint32_t slot) {
    if (slot >= graph->changed_limit) return true;
    const uint64_t word = atomic_load_explicit(rhumb__changed_word(graph, slot), memory_order_relaxed);
    return (word >> (slot % 64) & 1) != 0;
}

/* How many of the slots that have a fused row have a list that is marked as changed. */
uint64_t rhumb__changed_count(const rhumb__graph *graph);

/* Prepares the bits of a graph whose rows are known. Called before other threads know the graph. */
void rhumb__changed_start(rhumb__graph *graph);

/* From now on, changes of the lists of slots below `limit` are noted. For the thread that makes rows. */
static inline void rhumb__changed_note_below(rhumb__graph *graph, uint64_t limit) {
    /* Relaxed: who changes a list after its row has been made has the lock of its chunk after who made it. */
    atomic_store_explicit(&graph->changes_noted_limit, limit, memory_order_relaxed);
}

/* Marks the list of a slot, if it may have a fused row. With the lock of the list's chunk held, before it changes. */
void rhumb__changed_set(rhumb__graph *graph, uint32_t slot);

/* Takes the mark from the list of a slot whose row is going to be made. */
void rhumb__changed_clear(rhumb__graph *graph, uint32_t slot);

#endif /* RHUMB_ENGINE_GRAPH_CHANGED_H */
