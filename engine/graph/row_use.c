/* row_use.c - see row_use.h.
 *
 * Owns nothing; takes no lock. Invariant: a search that has not seen the rows withdrawn is counted in one of the two
 * counters of its stripe. A search may load the phase, and raise that counter only after the thread has waited for it;
 * then it sees what is withdrawn, and the next withdrawal waits for it first, before it changes the phase.
 */
#include "engine/graph/row_use.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"

/* How often the thread looks. */
#define WAIT_STEP_NS 20000

static_assert(sizeof(((rhumb__row_use *)0)->stripes[0]) == 64, "a stripe is a cache line");

rhumb__row_use_count *rhumb__row_use_begin(rhumb__row_use *use, const void *reader) {
    const uint64_t hash = (uint64_t)(uintptr_t)reader * UINT64_C(0x9E3779B97F4A7C15);
    const uint32_t phase = atomic_load_explicit(&use->phase, memory_order_relaxed);
    rhumb__row_use_count *count = &use->stripes[hash >> 60].counts[phase & 1];
    atomic_fetch_add(count, 1);
    (void)atomic_load(&use->withdrawn); /* later looks see this or what is newer */
    return count;
}

void rhumb__row_use_end(rhumb__row_use_count *count) { atomic_fetch_sub_explicit(count, 1, memory_order_release); }

/* Waits until no search is counted under a parity. */
static bool wait_for(rhumb__row_use *use, uint32_t parity, uint64_t deadline_ns) {
    for (uint32_t i = 0; i < RHUMB__ROW_USE_STRIPE_COUNT; i++) {
        while (atomic_load(&use->stripes[i].counts[parity]) != 0) {
            if (rhumb__clock_now_ns() >= deadline_ns) return false;
            nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_NS}, NULL);
        }
    }
    return true;
}

bool rhumb__rows_withdraw(rhumb__row_use *use, uint32_t first, uint32_t count, uint64_t wait_ns) {
    const uint64_t deadline_ns = rhumb__clock_now_ns() + wait_ns;
    const uint32_t phase = atomic_load_explicit(&use->phase, memory_order_relaxed);
    atomic_store(&use->withdrawn, (uint64_t)count << 32 | first);
    bool unused = wait_for(use, (phase + 1) & 1, deadline_ns);
    if (unused) {
        atomic_store(&use->phase, phase + 1);
        unused = wait_for(use, phase & 1, deadline_ns);
    }
    if (!unused) rhumb__rows_admit(use);
    return unused;
}

void rhumb__rows_admit(rhumb__row_use *use) { atomic_store_explicit(&use->withdrawn, 0, memory_order_release); }
