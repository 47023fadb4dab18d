/* neighbour_list.h - rows of slots: how lists are read concurrently with writers, and how links are added and dropped.
 *
 * Every store of an entry is a release store. Loads are relaxed and followed by one acquire fence before the data of
 * the neighbours is touched, so that a thread that sees a slot in a list sees its node. (C11 does not order dependent
 * loads, so relaxed loads alone would not suffice.) ThreadSanitizer does not understand fences; under it the loads are
 * acquire loads, which are stronger.
 */
#ifndef RHUMB_ENGINE_GRAPH_NEIGHBOUR_LIST_H
#define RHUMB_ENGINE_GRAPH_NEIGHBOUR_LIST_H

#include <stdatomic.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "engine/graph/graph.h"

typedef _Atomic uint32_t rhumb__list_slot;

/* The list of one node on one level. */
typedef struct rhumb__list {
    rhumb__graph *graph;
    rhumb__section *section;
    uint64_t row;
    rhumb__list_slot *slots;
    uint32_t capacity; /* M0 on level 0, M above */
} rhumb__list;

/* The list of a node on a level; its `slots` are NULL when the node is not on that level, or a damaged file says so.
 * `slot` is below slot_limit. */
static inline rhumb__list rhumb__graph_list(rhumb__graph *graph, uint32_t slot, uint32_t level) {
    rhumb__graph_assert_slot(graph, slot);
    RHUMB_ASSERT_DEBUG(level <= RHUMB__LEVEL_MAX);
    if (level == 0) {
        rhumb__section *lists0 = &graph->sections[RHUMB__SECTION_LISTS0];
        return (rhumb__list){graph, lists0, slot, rhumb__section_row(lists0, slot), graph->params.M0};
    }
    rhumb__section *lists_upper = &graph->sections[RHUMB__SECTION_LISTS_UPPER];
    const uint64_t node = rhumb__graph_node(graph, slot);
    const uint64_t row = (uint64_t)rhumb__node_upper_row(node) + level - 1;
    const bool exists = (node & RHUMB__NODE_PRESENT) != 0 && level <= rhumb__node_level(node) &&
                        row < atomic_load_explicit(&graph->upper_row_limit, memory_order_acquire);
    if (!exists) return (rhumb__list){graph, lists_upper, 0, NULL, 0};
    return (rhumb__list){graph, lists_upper, row, rhumb__section_row(lists_upper, row), graph->params.M};
}

#if defined(__SANITIZE_THREAD__)
#define RHUMB__LIST_LOAD_ORDER memory_order_acquire
#else
#define RHUMB__LIST_LOAD_ORDER memory_order_relaxed
#endif

/* The entry at `i`, for loops that end with rhumb__list_fence. */
static inline uint32_t rhumb__list_peek(const rhumb__list *list, uint32_t i) {
    RHUMB_ASSERT_DEBUG(i < list->capacity);
    return atomic_load_explicit(&list->slots[i], RHUMB__LIST_LOAD_ORDER);
}

/* Call it once between reading a list and touching its neighbours' data. */
static inline void rhumb__list_fence(void) {
#if !defined(__SANITIZE_THREAD__)
    atomic_thread_fence(memory_order_acquire);
#endif
}

/* Copies the entries up to the first RHUMB__SLOT_NONE to `slots`, which has room for capacity, fences, and returns
 * their number. */
static inline uint32_t rhumb__list_read(const rhumb__list *list, uint32_t *slots) {
    RHUMB_ASSERT_DEBUG(list->capacity <= RHUMB__M0_MAX);
    uint32_t count = 0;
    for (; count < list->capacity; count++) {
        slots[count] = rhumb__list_peek(list, count);
        if (slots[count] == RHUMB__SLOT_NONE) break;
    }
    rhumb__list_fence();
    return count;
}

/* Entries that rhumb__list_differing compares at once. */
#define RHUMB__LIST_SPAN 16u

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
/* Four bytes of 0xFF or 0 for each of four entries: whether it is empty or the slot in its place. A load of 16
 * bytes is not atomic, but no processor splits the aligned four bytes of an entry. */
static inline __m128i rhumb__list_same_or_empty4(const rhumb__list_slot *entries, const uint32_t *slots) {
    const __m128i live = _mm_loadu_si128((const __m128i *)(const void *)entries);
    const __m128i same = _mm_cmpeq_epi32(live, _mm_loadu_si128((const __m128i *)(const void *)slots));
    return _mm_or_si128(same, _mm_cmpeq_epi32(live, _mm_set1_epi32(-1)));
}
#endif

/* Compares RHUMB__LIST_SPAN entries from `begin` on, as far as there are so many, with as many slots. Returns a mask of
 * those that are not empty and not the slot in their place, the lowest bit for the first; for loops that end with
 * rhumb__list_fence. */
static inline uint32_t rhumb__list_differing(const rhumb__list *list, uint32_t begin, const uint32_t *slots) {
    static_assert(RHUMB__SLOT_NONE == UINT32_MAX, "an empty entry has all bits set");
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
    if (begin + RHUMB__LIST_SPAN <= list->capacity) {
        const rhumb__list_slot *entries = list->slots + begin;
        const __m128i low = _mm_packs_epi32(rhumb__list_same_or_empty4(entries, slots),
                                            rhumb__list_same_or_empty4(entries + 4, slots + 4));
        const __m128i high = _mm_packs_epi32(rhumb__list_same_or_empty4(entries + 8, slots + 8),
                                             rhumb__list_same_or_empty4(entries + 12, slots + 12));
        return ~(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & 0xFFFFu;
    }
#endif
    uint32_t differing = 0;
    for (uint32_t i = 0; i < RHUMB__LIST_SPAN && begin + i < list->capacity; i++) {
        const uint32_t slot = rhumb__list_peek(list, begin + i);
        differing |= (uint32_t)(slot != slots[i] && slot != RHUMB__SLOT_NONE) << i;
    }
    return differing;
}

static inline bool rhumb__slots_contain(const uint32_t *slots, uint32_t count, uint32_t slot) {
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] == slot) return true;
    }
    return false;
}

/* The neighbours of a node on level 0, as rhumb__list_read returns them, without slots from `slot_limit` on. For walks
 * over a whole graph. */
static inline uint32_t rhumb__graph_neighbours(rhumb__graph *graph, uint32_t slot, uint64_t slot_limit,
                                               uint32_t *slots) {
    const rhumb__list list = rhumb__graph_list(graph, slot, 0);
    const uint32_t count = rhumb__list_read(&list, slots);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] < slot_limit) slots[kept_count++] = slots[i];
    }
    return kept_count;
}

/* Whether the list of a node on level 0 names a neighbour below `slot_limit`. */
static inline bool rhumb__graph_has_link(rhumb__graph *graph, uint32_t slot, uint32_t neighbour, uint64_t slot_limit) {
    uint32_t slots[RHUMB__M0_MAX];
    return rhumb__slots_contain(slots, rhumb__graph_neighbours(graph, slot, slot_limit, slots), neighbour);
}

/* Fills a row with RHUMB__SLOT_NONE, for a node that no other thread can see yet. */
void rhumb__list_clear(const rhumb__list *list);

/* Replaces the content of the list by `slots`, at most capacity of them, if the list still holds exactly `before`;
 * returns whether it did. Entries that stay keep their places and only the others are overwritten, so a search that
 * reads the list in the meantime sees a mixture of old and new neighbours. Takes and releases the lock of the row's
 * chunk. On level 0 the list is marked as changed (changed.h). */
bool rhumb__list_exchange(const rhumb__list *list, const uint32_t *before, uint32_t before_count, const uint32_t *slots,
                          uint32_t slot_count);

/* What rhumb__list_prune changes a list of level 0 from, and to. */
typedef struct rhumb__list_change {
    const uint32_t *before;
    uint32_t before_count;
    const uint32_t *slots;
    uint32_t slot_count;
    const uint32_t *dropped; /* all slots that are in `before` and not in `slots`; others do no harm */
    uint32_t dropped_count;
} rhumb__list_change;

/* The same, unless a slot that it would drop is tied to the node (ties.h). Another thread may have tied it since the
 * caller looked. The lock orders the two: that thread adds the link, or finds it there, under the lock as well. */
bool rhumb__list_prune(const rhumb__graph *graph, const rhumb__list *list, const rhumb__list_change *change);

#endif /* RHUMB_ENGINE_GRAPH_NEIGHBOUR_LIST_H */
