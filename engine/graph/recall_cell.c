/* recall_cell.c - see recall_cell.h.
 *
 * The number of the round is read before and after the words, and while the two differ or are odd, again. Words are
 * stored with release and loaded with acquire, so that they stay between the two.
 */
#include "engine/graph/recall_cell.h"

#include <sched.h>
#include <string.h>

void rhumb__recall_cell_read(rhumb__recall_cell *cell, rhumb__recall_curve *curve) {
    uint64_t words[RHUMB__RECALL_WORDS];
    for (;;) {
        const uint64_t round = atomic_load_explicit(&cell->round, memory_order_acquire);
        for (size_t i = 0; i < RHUMB__RECALL_WORDS; i++) {
            words[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
        }
        if (round % 2 == 0 && atomic_load_explicit(&cell->round, memory_order_relaxed) == round) break;
        sched_yield();
    }
    memcpy(curve, words, sizeof *curve);
}

void rhumb__recall_cell_write(rhumb__recall_cell *cell, const rhumb__recall_curve *curve) {
    uint64_t words[RHUMB__RECALL_WORDS] = {0};
    memcpy(words, curve, sizeof *curve);
    const uint64_t round = atomic_load_explicit(&cell->round, memory_order_relaxed);
    atomic_store_explicit(&cell->round, round + 1, memory_order_relaxed);
    for (size_t i = 0; i < RHUMB__RECALL_WORDS; i++) {
        atomic_store_explicit(&cell->words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&cell->round, round + 2, memory_order_release);
}
