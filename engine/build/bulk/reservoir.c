/* reservoir.c - see reservoir.h.
 *
 * Locks: a flag for each node, held while one list is merged into its reservoir. A thread waits for it by spinning: a
 * merge takes a fraction of a microsecond.
 */
#include "engine/build/bulk/reservoir.h"

#include <math.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

static void set_limit(rhumb__reservoirs *reservoirs, uint32_t node, float limit) {
    uint32_t bits;
    memcpy(&bits, &limit, sizeof bits);
    atomic_store_explicit(&reservoirs->limits[node], bits, memory_order_relaxed);
}

rhumb_status rhumb__reservoirs_make(uint64_t count, uint32_t capacity, rhumb__reservoirs *reservoirs) {
    RHUMB_ASSERT_DEBUG(capacity > 0 && capacity <= RHUMB__RESERVOIR_CAPACITY_MAX);
    *reservoirs = (rhumb__reservoirs){.capacity = capacity};
    reservoirs->entries = rhumb__alloc_aligned(count, capacity * sizeof *reservoirs->entries, 64);
    reservoirs->counts = rhumb__alloc_zeroed(count, sizeof *reservoirs->counts);
    reservoirs->limits = rhumb__alloc_zeroed(count, sizeof *reservoirs->limits);
    reservoirs->locks = rhumb__alloc_zeroed(count, sizeof *reservoirs->locks);
    if (reservoirs->entries == NULL || reservoirs->counts == NULL || reservoirs->limits == NULL ||
        reservoirs->locks == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the candidates of %llu vectors", (unsigned long long)count);
    }
    for (uint64_t i = 0; i < count; i++) {
        atomic_flag_clear_explicit(&reservoirs->locks[i], memory_order_relaxed);
        set_limit(reservoirs, (uint32_t)i, INFINITY);
    }
    return RHUMB_OK;
}

void rhumb__reservoirs_free(rhumb__reservoirs *reservoirs) {
    rhumb__free(reservoirs->entries);
    rhumb__free(reservoirs->counts);
    rhumb__free(reservoirs->limits);
    rhumb__free(reservoirs->locks);
    *reservoirs = (rhumb__reservoirs){0};
}

/* The first of two lists merged, without what is in both. Equal candidates have equal distances, so they meet. */
static uint32_t merge(const rhumb__candidate *a, uint32_t a_count, const rhumb__candidate *b, uint32_t b_count,
                      rhumb__candidate *merged, uint32_t capacity) {
    uint32_t count = 0;
    uint32_t i = 0;
    uint32_t k = 0;
    while (count < capacity && (i < a_count || k < b_count)) {
        if (i < a_count && k < b_count && a[i].slot_mark == b[k].slot_mark)
            k++;
        else if (i == a_count || (k < b_count && rhumb__candidate_precedes(b[k], a[i])))
            merged[count++] = b[k++];
        else
            merged[count++] = a[i++];
    }
    return count;
}

void rhumb__reservoirs_give(rhumb__reservoirs *reservoirs, uint32_t node, const rhumb__candidate *candidates,
                            uint32_t count) {
    rhumb__candidate merged[RHUMB__RESERVOIR_CAPACITY_MAX];
    if (count == 0 || candidates[0].distance > rhumb__reservoirs_limit(reservoirs, node)) return;
    rhumb__candidate *entries = reservoirs->entries + node * (size_t)reservoirs->capacity;
    while (atomic_flag_test_and_set_explicit(&reservoirs->locks[node], memory_order_acquire)) {
    }
    const uint32_t merged_count =
        merge(entries, reservoirs->counts[node], candidates, count, merged, reservoirs->capacity);
    memcpy(entries, merged, merged_count * sizeof *merged);
    reservoirs->counts[node] = (uint16_t)merged_count;
    if (merged_count == reservoirs->capacity) set_limit(reservoirs, node, merged[merged_count - 1].distance);
    atomic_flag_clear_explicit(&reservoirs->locks[node], memory_order_release);
}
