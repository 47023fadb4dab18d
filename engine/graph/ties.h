/* ties.h - what ties a node into the graph: its anchor, and the copies of its vector.
 *
 * Equal vectors form a group. One node of a group, the *head*, is in the graph. The others are *copies*: no list
 * contains them, and their own lists are empty. They hang on the head in a chain, so that a search that meets the head
 * finds all of the group, and lists are not filled with equal neighbours. A head that is deleted stays in the graph,
 * like any deleted node, and its copies stay on it. An insert links to the node of another that is under way only when
 * that one is tied, and so is not going to be a copy. Two concurrent inserts of equal vectors do not see each other,
 * and both become heads.
 *
 * Every node in the graph but the *root* has an *anchor*: a node that was in the graph before it. The links of level 0
 * between a node and its anchor, in both directions, are never pruned. They form a tree, so from any node of the graph
 * there is a path on level 0 to any other.
 *
 * A tie is 8 bytes, a row of the section has those of 8 slots:
 *   anchor     0: not tied yet; otherwise 1 + the slot of the anchor (of the root: its own), or, with
 *              RHUMB__TIE_COPY, 1 + the slot of the head
 *   next_copy  0: none; otherwise 1 + the slot of the next copy of the group
 *
 * INVARIANTS
 *   1. `anchor` is stored before a link to the node, or the node itself as a copy, can be found. It changes only while
 *      no link to the node depends on it. `next_copy` of a copy never changes once the copy is in its chain; of a head
 *      it changes when a copy is put in front.
 *   2. Anchors and heads of nodes that inserts link have lower slots than these nodes, so every version, which has the
 *      slots below some number, has a whole tree. (Not so where many threads begin a graph with short lists: a slow
 *      one may find all lower slots full.)
 *   3. A file may violate all of this: slots are compared with the slot limit before they are used, and a chain ends
 *      after as many copies as the graph has.
 *
 * LOCKS: stores take the chunk of the row, one at a time. Loads take none.
 */
#ifndef RHUMB_ENGINE_GRAPH_TIES_H
#define RHUMB_ENGINE_GRAPH_TIES_H

#include "base/assert.h"
#include "base/bits.h"
#include "engine/graph/graph.h"

#define RHUMB__TIE_ROW_BYTES 64u
#define RHUMB__TIE_ROW_SLOTS 8u
#define RHUMB__TIE_COPY (UINT32_C(1) << 31)

typedef struct rhumb__tie {
    _Atomic uint32_t anchor;
    _Atomic uint32_t next_copy;
} rhumb__tie;

static_assert(sizeof(rhumb__tie) * RHUMB__TIE_ROW_SLOTS == RHUMB__TIE_ROW_BYTES, "a row of ties");
static_assert(offsetof(rhumb__tie, anchor) == 0 && offsetof(rhumb__tie, next_copy) == 4, "tie layout");

static inline uint64_t rhumb__tie_row_count(uint64_t slot_count) {
    return rhumb__divide_up(slot_count, RHUMB__TIE_ROW_SLOTS);
}

/* The tie of a slot below slot_limit. */
static inline rhumb__tie *rhumb__graph_tie(const rhumb__graph *graph, uint32_t slot) {
    rhumb__graph_assert_slot(graph, slot);
    return (rhumb__tie *)graph->sections[RHUMB__SECTION_TIES].base + slot;
}

/* Acquire pairs with the releases in ties.c. */
static inline uint32_t rhumb__tie_load(const rhumb__graph *graph, uint32_t slot) {
    return atomic_load_explicit(&rhumb__graph_tie(graph, slot)->anchor, memory_order_acquire);
}

/* The anchor of a node in the graph, which may be any number in a damaged file; RHUMB__SLOT_NONE for a copy and for a
 * node that is not tied. */
static inline uint32_t rhumb__graph_anchor(const rhumb__graph *graph, uint32_t slot) {
    const uint32_t anchor = rhumb__tie_load(graph, slot);
    return (anchor & RHUMB__TIE_COPY) != 0 || anchor == 0 ? RHUMB__SLOT_NONE : anchor - 1;
}

static inline bool rhumb__graph_is_copy(const rhumb__graph *graph, uint32_t slot) {
    return (rhumb__tie_load(graph, slot) & RHUMB__TIE_COPY) != 0;
}

/* The node that stands for a slot in the graph: of a copy its head, otherwise the slot itself. Below slot_limit, unless
 * a damaged file names none: then the slot itself. */
static inline uint32_t rhumb__graph_head(const rhumb__graph *graph, uint32_t slot) {
    const uint32_t anchor = rhumb__tie_load(graph, slot);
    const uint32_t head = (anchor & ~RHUMB__TIE_COPY) - 1;
    const bool exists = head < atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    return (anchor & RHUMB__TIE_COPY) != 0 && exists ? head : slot;
}

/* How many ties the list of one node should have, so that most of it stays free for better neighbours: half of it, but
 * enough for a tree. */
static inline uint32_t rhumb__tie_limit(const rhumb__graph *graph) {
    const uint32_t M0 = graph->params.M0;
    return (uint32_t)rhumb__max_u64(M0 / 2, rhumb__min_u64(M0, 3));
}

/* Whether the link between two nodes is a part of the tree. */
static inline bool rhumb__graph_are_tied(const rhumb__graph *graph, uint32_t a, uint32_t b) {
    return rhumb__graph_anchor(graph, a) == b || rhumb__graph_anchor(graph, b) == a;
}

/* ---- the copies of a head ---- */

/* Goes through the copies of a head. Copies that are added in the meantime are not among them. */
typedef struct rhumb__copies {
    uint32_t next;       /* 1 + the slot, as in the section */
    uint64_t left_count; /* copies that the graph can have: a longer chain is damaged */
} rhumb__copies;

/* Whether the graph has copies at all: if not, no tie need be read. */
static inline bool rhumb__graph_has_copies(const rhumb__graph *graph) {
    return atomic_load_explicit(&graph->copy_count, memory_order_acquire) > 0;
}

/* The copies of the node at `head`, which may be any node below slot_limit. */
static inline rhumb__copies rhumb__copies_of(const rhumb__graph *graph, uint32_t head) {
    rhumb__copies copies = {0};
    if (!rhumb__graph_has_copies(graph)) return copies;
    copies.next = atomic_load_explicit(&rhumb__graph_tie(graph, head)->next_copy, memory_order_acquire);
    /* After the first copy has been read: a copy is counted before it hangs, so these are at least all of the chain.
     * Read before, copies that are added in between would push the last ones out. */
    copies.left_count = atomic_load_explicit(&graph->copy_count, memory_order_acquire);
    return copies;
}

/* Takes the next copy whose slot is below `slot_limit`, which is at most the graph's. Returns false at the end. */
static inline bool rhumb__copies_next(const rhumb__graph *graph, rhumb__copies *copies, uint64_t slot_limit,
                                      uint32_t *slot_out) {
    const uint64_t limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    while (copies->next != 0 && copies->next <= limit && copies->left_count > 0) {
        const uint32_t slot = copies->next - 1;
        copies->left_count--;
        copies->next = atomic_load_explicit(&rhumb__graph_tie(graph, slot)->next_copy, memory_order_acquire);
        if (slot >= slot_limit) continue;
        *slot_out = slot;
        return true;
    }
    return false;
}

/* ---- changing ties: ties.c ---- */

/* Records the anchor of a node that is in no list yet, or whose links do not depend on its anchor. */
void rhumb__tie_set_anchor(rhumb__graph *graph, uint32_t slot, uint32_t anchor);

/* Undoes it: the node is not tied. No node is tied to it. */
void rhumb__tie_clear_anchor(rhumb__graph *graph, uint32_t slot);

/* Clears what a damaged file has put where a new node is placed. */
void rhumb__tie_clear(rhumb__graph *graph, uint32_t slot);

/* Makes a node that is in no list a copy of `head`, and counts it. */
void rhumb__tie_hang(rhumb__graph *graph, uint32_t slot, uint32_t head);

#endif /* RHUMB_ENGINE_GRAPH_TIES_H */
