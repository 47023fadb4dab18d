/* active.c - see active.h.
 *
 * Entries are atomics and need no lock; pause_lock serialises pauses. Waiting is by yielding, because an insert takes a
 * fraction of a millisecond.
 */
#include "engine/graph/active.h"

#include <sched.h>

#include "base/assert.h"
#include "base/bits.h"

uint32_t rhumb__active_claim(rhumb__graph *graph) {
    for (;;) {
        for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
            uint64_t expected = RHUMB__ACTIVE_FREE;
            if (atomic_load_explicit(&graph->active[i], memory_order_relaxed) != RHUMB__ACTIVE_FREE) continue;
            if (!atomic_compare_exchange_strong(&graph->active[i], &expected, RHUMB__ACTIVE_CLAIMED)) continue;
            /* Sequentially consistent like the store in rhumb__active_pause: either this insert sees the pause, or the
             * pause sees this insert. */
            if (!atomic_load(&graph->paused)) return i;
            atomic_store(&graph->active[i], RHUMB__ACTIVE_FREE);
            rhumb__mutex_lock(&graph->pause_lock);
            rhumb__mutex_unlock(&graph->pause_lock);
            break;
        }
        sched_yield();
    }
}

void rhumb__active_take_slot(rhumb__graph *graph, uint32_t entry, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(entry < RHUMB__ACTIVE_INSERT_MAX);
    RHUMB_ASSERT_DEBUG(atomic_load(&graph->active[entry]) == RHUMB__ACTIVE_CLAIMED);
    rhumb__mutex_assert_held(&graph->append_lock);
    atomic_store(&graph->active[entry], rhumb__active_encode(slot));
}

void rhumb__active_publish(rhumb__graph *graph, uint32_t entry, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(entry < RHUMB__ACTIVE_INSERT_MAX);
    RHUMB_ASSERT_DEBUG(atomic_load(&graph->active[entry]) != RHUMB__ACTIVE_FREE);
    rhumb__graph_assert_slot(graph, slot);
    /* Sequentially consistent, like the loads in rhumb__active_peers: of two inserts at least one sees the other. */
    atomic_store(&graph->active[entry], rhumb__active_encode(slot) | RHUMB__ACTIVE_LINKABLE);
}

uint32_t rhumb__active_peers(rhumb__graph *graph, uint32_t entry, uint32_t *peers) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        const uint64_t state = atomic_load(&graph->active[i]);
        if ((state & RHUMB__ACTIVE_LINKABLE) == 0 || i == entry) continue;
        peers[count++] = RHUMB__ACTIVE_SLOT(state);
    }
    return count;
}

void rhumb__active_leave(rhumb__graph *graph, uint32_t entry) {
    RHUMB_ASSERT_DEBUG(entry < RHUMB__ACTIVE_INSERT_MAX);
    RHUMB_ASSERT_DEBUG(atomic_load(&graph->active[entry]) != RHUMB__ACTIVE_FREE);
    /* Release: a thread that finds the entry free (rhumb__active_wait) sees all that this insert has written. */
    atomic_store_explicit(&graph->active[entry], RHUMB__ACTIVE_FREE, memory_order_release);
}

uint64_t rhumb__active_lowest(rhumb__graph *graph) {
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        /* Acquire pairs with the release in rhumb__active_leave. */
        const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
        if (RHUMB__ACTIVE_HAS_SLOT(state) && RHUMB__ACTIVE_SLOT(state) < lowest) lowest = RHUMB__ACTIVE_SLOT(state);
    }
    return lowest;
}

rhumb__counts rhumb__active_complete_counts(rhumb__graph *graph, uint64_t *slot_count_out) {
    rhumb__mutex_lock(&graph->append_lock);
    rhumb__counts counts = graph->counts;
    rhumb__mutex_unlock(&graph->append_lock);
    *slot_count_out = counts.slot_count;
    counts.slot_count = rhumb__min_u64(counts.slot_count, rhumb__active_lowest(graph));
    return counts;
}

bool rhumb__active_has_slot(rhumb__graph *graph, uint32_t slot) {
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        /* Acquire pairs with the release in rhumb__active_leave. */
        const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
        if (RHUMB__ACTIVE_HAS_SLOT(state) && RHUMB__ACTIVE_SLOT(state) == slot) return true;
    }
    return false;
}

bool rhumb__active_has_below(rhumb__graph *graph, uint32_t slot) {
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        /* Acquire pairs with the release in rhumb__active_leave. */
        const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
        if (RHUMB__ACTIVE_HAS_SLOT(state) && RHUMB__ACTIVE_SLOT(state) < slot) return true;
    }
    return false;
}

bool rhumb__active_has_other(rhumb__graph *graph, uint32_t slot) {
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        /* Acquire pairs with the release in rhumb__active_leave. */
        const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
        if (RHUMB__ACTIVE_HAS_SLOT(state) && RHUMB__ACTIVE_SLOT(state) != slot) return true;
    }
    return false;
}

void rhumb__active_wait(rhumb__graph *graph, uint64_t slot_limit) {
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        for (;;) {
            /* Acquire pairs with the release in rhumb__active_leave. */
            const uint64_t state = atomic_load_explicit(&graph->active[i], memory_order_acquire);
            if (!RHUMB__ACTIVE_HAS_SLOT(state) || RHUMB__ACTIVE_SLOT(state) >= slot_limit) break;
            sched_yield();
        }
    }
}

void rhumb__active_pause(rhumb__graph *graph) {
    rhumb__mutex_lock(&graph->pause_lock);
    RHUMB_ASSERT_DEBUG(!atomic_load(&graph->paused));
    atomic_store(&graph->paused, true);
    for (uint32_t i = 0; i < RHUMB__ACTIVE_INSERT_MAX; i++) {
        while (atomic_load(&graph->active[i]) != RHUMB__ACTIVE_FREE) sched_yield();
    }
}

void rhumb__active_resume(rhumb__graph *graph) {
    RHUMB_ASSERT_DEBUG(atomic_load(&graph->paused));
    atomic_store(&graph->paused, false);
    rhumb__mutex_unlock(&graph->pause_lock);
}
