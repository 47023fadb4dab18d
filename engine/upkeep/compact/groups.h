/* groups.h - the groups of equal vectors (graph/ties.h) as a compaction carries them over. A group whose head is
 * left out gets a *stand-in*: a copy that is not, which becomes the head in the new graph. Vectors are equal, so it
 * takes over the list of the old head, and its place in other lists. No thread changes the graph.
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_GROUPS_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_GROUPS_H

#include "base/bits.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"

/* The node that has the list for a slot: its head, or the slot itself if it is a head or a damaged file gives it none.
 */
static inline uint32_t rhumb__group_of(const rhumb__graph *graph, uint32_t slot) {
    const uint32_t head = rhumb__graph_head(graph, slot);
    return head != slot && rhumb__graph_is_copy(graph, head) ? slot : head;
}

/* The groups of the nodes that are taken over. */
typedef struct rhumb__groups {
    const rhumb__graph *graph;
    uint64_t slot_count;
    const uint64_t *left_out; /* one bit per slot: it is not taken over; NULL: those that are deleted */
    uint32_t *stand_ins;      /* by slot of the head: the node that stands for the group, see rhumb__groups_find */
} rhumb__groups;

/* Whether a slot is not taken over. */
static inline bool rhumb__groups_leave_out(const rhumb__groups *groups, uint32_t slot) {
    return groups->left_out == NULL ? rhumb__graph_is_dead(groups->graph, slot)
                                    : rhumb__bit_get(groups->left_out, slot);
}

/* Sets groups->stand_ins, which rhumb__free releases; the other fields are set. The node that stands for a group is the
 * head itself if it is taken over, otherwise the copy with the lowest slot. RHUMB__SLOT_NONE for groups of which no
 * node is, and for copies. RHUMB_E_NOMEM. */
rhumb_status rhumb__groups_find(rhumb__groups *groups) RHUMB_NODISCARD;

/* `order` holds the heads of all groups that have a stand-in, in the order in which they are to lie. Puts the stand-ins
 * in their places, and the other nodes behind them, in the order of their heads: walks do not read those. `order` has
 * room for all slots. *count_out is the number of nodes. RHUMB_E_NOMEM. */
rhumb_status rhumb__groups_place(const rhumb__groups *groups, uint32_t *order, uint64_t head_count,
                                 uint64_t *count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_GROUPS_H */
