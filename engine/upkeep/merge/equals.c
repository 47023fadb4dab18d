/* equals.c - see equals.h.
 *
 * The lower of two equal heads first chooses among its neighbours and those of the other, which are what it would have
 * been linked to in the other part. Then all lists are given the new names. One thread, in the order of slots, so the
 * graph does not depend on the number of threads.
 *
 * Works in the scratch of its caller. Locks: those of storing lists and ties.
 */
#include "engine/upkeep/merge/equals.h"

#include "base/bits.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/upkeep/merge/join_choose.h"

static bool becomes_copy(const rhumb__equals *equals, uint32_t slot) {
    return rhumb__equals_is_head(equals->lower, slot, equals->middle) &&
           !rhumb__equals_is_head(equals->lower, slot, equals->part.begin);
}

/* Gives neighbours of a node their new heads, each once. One that is not on the level is left out. */
static uint32_t rename_all(const rhumb__equals *equals, uint32_t slot, uint32_t level, uint32_t *slots,
                           uint32_t count) {
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t head = rhumb__equals_head(equals->lower, slots[i], equals->part.begin);
        const bool is_there = level == 0 || rhumb__node_level(rhumb__graph_node(equals->graph, head)) >= level;
        if (is_there && head != slot && !rhumb__slots_contain(slots, kept_count, head)) slots[kept_count++] = head;
    }
    return kept_count;
}

/* Lets the head of a node that becomes a copy choose among the neighbours of both, on the levels that both are on. */
static void choose_lists(const rhumb__equals *equals, rhumb__scratch *scratch, uint32_t copy) {
    rhumb__graph *graph = equals->graph;
    const uint32_t slot = rhumb__equals_head(equals->lower, copy, equals->part.begin);
    const uint32_t level = rhumb__node_level(rhumb__graph_node(graph, slot));
    const uint32_t copy_level = rhumb__node_level(rhumb__graph_node(graph, copy));
    for (uint32_t i = 0; i <= rhumb__min_u64(level, copy_level); i++) {
        uint32_t slots[RHUMB__M0_MAX];
        const rhumb__list list = rhumb__graph_list(graph, copy, i);
        const uint32_t count = rename_all(equals, slot, i, slots, rhumb__list_read(&list, slots));
        for (uint32_t k = 0; k < count; k++) scratch->candidates[k].slot_mark = slots[k];
        if (count > 0) rhumb__join_choose(graph, scratch, slot, i, count);
    }
}

static void rename_list(const rhumb__equals *equals, uint32_t slot, uint32_t level) {
    uint32_t before[RHUMB__M0_MAX];
    uint32_t after[RHUMB__M0_MAX];
    const rhumb__list list = rhumb__graph_list(equals->graph, slot, level);
    const uint32_t before_count = rhumb__list_read(&list, before);
    uint32_t after_count = 0;
    if (rhumb__equals_is_head(equals->lower, slot, equals->part.begin)) {
        for (uint32_t i = 0; i < before_count; i++) after[i] = before[i];
        after_count = rename_all(equals, slot, level, after, before_count);
    }
    /* No other thread changes the list, so this succeeds. */
    (void)rhumb__list_exchange(&list, before, before_count, after, after_count);
}

void rhumb__equals_unite(const rhumb__equals *equals, rhumb__scratch *scratch) {
    uint64_t copy_count = 0;
    for (uint32_t slot = equals->middle; slot < equals->part.end; slot++) {
        if (!becomes_copy(equals, slot)) continue;
        choose_lists(equals, scratch, slot);
        copy_count++;
    }
    if (copy_count == 0) return;
    for (uint32_t slot = equals->part.begin; slot < equals->part.end; slot++) {
        const uint32_t level = rhumb__node_level(rhumb__graph_node(equals->graph, slot));
        for (uint32_t i = 0; i <= level; i++) rename_list(equals, slot, i);
    }
}

void rhumb__equals_hang(rhumb__graph *graph, const uint32_t *lower) {
    for (uint64_t i = 0; i < graph->counts.slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        const uint32_t head = rhumb__equals_head(lower, slot, 0);
        if (head != slot) rhumb__tie_hang(graph, slot, head);
    }
}
