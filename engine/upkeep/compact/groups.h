/* groups.h - the groups of equal vectors (graph/ties.h) as a compaction carries them over. A group whose head is
 * deleted gets a *stand-in*: a live copy, which becomes the head in the new graph. Vectors are equal, so it takes over
 * the list of the old head, and its place in other lists. No thread changes the graph.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_GROUPS_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_GROUPS_H

#include "engine/graph/ties.h"

/* The node that has the list for a slot: its head, or the slot itself if it is a head or a damaged file gives it none.
 */
static inline uint32_t rhumb__group_of(const rhumb__graph *graph, uint32_t slot) {
    const uint32_t head = rhumb__graph_head(graph, slot);
    return head != slot && rhumb__graph_is_copy(graph, head) ? slot : head;
}

/* Finds, by slot of the head, the live node that stands for each group: the head itself if it is alive, otherwise the
 * copy with the lowest slot. RHUMB__SLOT_NONE for groups without a live node, and for copies. rhumb__free releases
 * them. RHUMB_E_NOMEM. */
rhumb_status rhumb__groups_find(const rhumb__graph *graph, uint64_t slot_count,
                                uint32_t **stand_ins_out) RHUMB_NODISCARD;

/* `order` holds the heads of all groups that have a stand-in, in the order in which they are to lie. Puts the stand-ins
 * in their places, and the other live nodes behind them, in the order of their heads: walks do not read those. `order`
 * has room for all slots. *count_out is the number of live nodes. RHUMB_E_NOMEM. */
rhumb_status rhumb__groups_place(const rhumb__graph *graph, uint64_t slot_count, const uint32_t *stand_ins,
                                 uint32_t *order, uint64_t head_count, uint64_t *count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_GROUPS_H */
