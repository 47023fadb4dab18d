/* filter_estimate.c - estimating how many nodes may be answers: by a sample, and by a count where that costs little.
 *
 * The sample is the same for every search of an index of one size, so the same search gets the same plan every time.
 * Takes no lock.
 */
#include <math.h>

#include "base/bits.h"
#include "engine/graph/tombstones.h"
#include "engine/search/filter_search.h"

#define SAMPLES_PER_TURN 16u

/* Bits of a bitmap are counted only where they are sparse, and the bitmap not much longer than the index. */
#define COUNTED_SHARE_MAX 0.05
#define COUNTED_KEYS_PER_SLOT 16u
#define COUNTED_KEYS_MIN 65536u

bool rhumb__filter_passes(const rhumb__graph *graph, const rhumb__filter *filter, uint32_t slot) {
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0 || rhumb__graph_is_dead(graph, slot)) return false;
    return rhumb__filter_matches(filter, rhumb__graph_key(graph, slot));
}

/* The i-th slot of the sample, below slot_count. */
static uint32_t sample_slot(uint64_t i, uint64_t slot_count) {
    return (uint32_t)((rhumb__mix64(i * UINT64_C(0x9E3779B97F4A7C15)) >> 32) * slot_count >> 32);
}

/* Returns the share of slots that match, by a sample. */
static double sample_share(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                           uint64_t slot_count) {
    uint32_t sample_count = 0;
    scratch->seed_count = 0;
    while (sample_count < RHUMB__FILTER_SAMPLE_MAX &&
           scratch->seed_count + SAMPLES_PER_TURN <= RHUMB__FILTER_SEED_MAX) {
        uint32_t slots[SAMPLES_PER_TURN];
        for (uint32_t i = 0; i < SAMPLES_PER_TURN; i++) {
            slots[i] = sample_slot(sample_count + i, slot_count);
            __builtin_prefetch(rhumb__section_row(&graph->sections[RHUMB__SECTION_NODES], slots[i]), 0, 3);
            __builtin_prefetch(rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], slots[i]), 0, 3);
        }
        for (uint32_t i = 0; i < SAMPLES_PER_TURN; i++) {
            if (rhumb__filter_passes(graph, filter, slots[i])) scratch->seeds[scratch->seed_count++] = slots[i];
        }
        sample_count += SAMPLES_PER_TURN;
    }
    return (scratch->seed_count + 0.5) / (sample_count + 0.5);
}

static double count_bits(const rhumb__filter *filter) {
    uint64_t count = 0;
    const uint64_t word_count = rhumb__divide_up(filter->bit_count, 64);
    for (uint64_t i = 0; i < word_count; i++) {
        count += (uint64_t)__builtin_popcountll(rhumb__filter_bitmap_word(filter, i));
    }
    return (double)count;
}

/* Returns how many keys would have to be looked up one by one: infinity if they cannot be listed or counting them would
 * take too long. */
static double list_count(const rhumb__filter *filter, uint64_t slot_count, double share) {
    if (!rhumb__filter_is_list(filter)) return INFINITY;
    if (filter->kind == RHUMB__FILTER_KEYS) return (double)filter->key_count;
    const uint64_t bit_max = rhumb__max_u64(slot_count * COUNTED_KEYS_PER_SLOT, COUNTED_KEYS_MIN);
    return share <= COUNTED_SHARE_MAX && filter->bit_count <= bit_max ? count_bits(filter) : INFINITY;
}

void rhumb__filter_estimate_make(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                 rhumb__filter_estimate *estimate) {
    const uint64_t slot_count = rhumb__min_u64(atomic_load(&graph->finished_count),
                                               atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    *estimate = (rhumb__filter_estimate){.filter = filter, .list_count = INFINITY};
    scratch->seed_count = 0;
    if (filter == NULL) {
        estimate->match_count = (double)rhumb__graph_live_count(graph);
        estimate->share = estimate->match_count / (double)rhumb__max_u64(slot_count, 1);
        rhumb__filter_plan_begin(graph, slot_count, estimate);
        return;
    }
    if (slot_count > 0) estimate->share = sample_share(graph, scratch, filter, slot_count);
    estimate->match_count = estimate->share * (double)slot_count;
    estimate->list_count = list_count(filter, slot_count, estimate->share);
    if (estimate->list_count < estimate->match_count) {
        estimate->match_count = estimate->list_count;
        estimate->share = estimate->match_count / (double)slot_count;
    }
    rhumb__filter_plan_begin(graph, slot_count, estimate);
}
