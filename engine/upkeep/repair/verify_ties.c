/* verify_ties.c - checks anchors and copies, see verify_internal.h.
 *
 *   anchors   every node in the graph but one has an anchor, with links both ways, and all ways up end at the root.
 *             Each is followed until it meets one that was followed before, so every node is passed once
 *   copies    every copy is equal to its head, has no lists, and is in the chain of its head and in no other. A chain
 *             is left where it leads to a copy that a chain has led to before, so every copy is passed once
 *
 * Locks: those of the caller. It fails when the caller cancels.
 */
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/unlinked.h"
#include "engine/upkeep/repair/verify_internal.h"

/* ---- anchors ---- */

static bool is_unlinked(const rhumb__verifier *v, uint32_t slot) {
    return slot >= rhumb__unlinked_begin(v->graph) && slot < rhumb__unlinked_end(v->graph);
}

/* A node in the graph. `root` is the first root, or RHUMB__SLOT_NONE. */
static void check_anchor(rhumb__verifier *v, uint32_t slot, uint32_t *root) {
    const uint32_t anchor = rhumb__graph_anchor(v->graph, slot);
    if (anchor == RHUMB__SLOT_NONE) {
        rhumb__verify_note(v, "slot %u: it is tied to no anchor", slot);
    } else if (anchor >= v->slot_count || rhumb__graph_anchor(v->graph, anchor) == RHUMB__SLOT_NONE) {
        rhumb__verify_note(v, "slot %u: its anchor, slot %u of %llu, is not in the graph", slot, anchor,
                           (unsigned long long)v->slot_count);
    } else if (anchor != slot) {
        if (rhumb__graph_has_link(v->graph, slot, anchor, v->slot_count) &&
            rhumb__graph_has_link(v->graph, anchor, slot, v->slot_count)) {
            return;
        }
        rhumb__verify_note(v, "slot %u: the links between it and its anchor, slot %u, are not both there", slot,
                           anchor);
    } else if (*root == RHUMB__SLOT_NONE) {
        *root = slot;
    } else {
        rhumb__verify_note(v, "slot %u: it is a root, and so is slot %u", slot, *root);
    }
}

/* The next node on the way up that has not been passed, or RHUMB__SLOT_NONE. */
static uint32_t above(const rhumb__verifier *v, uint32_t slot) {
    const uint32_t anchor = rhumb__graph_anchor(v->graph, slot);
    return anchor >= v->slot_count || (v->marks[anchor] & RHUMB__MARK_SEEN) != 0 ? RHUMB__SLOT_NONE : anchor;
}

/* Follows the way up from a node. It must not lead to itself, except at the root. */
static void follow_up(rhumb__verifier *v, uint32_t slot) {
    uint32_t at = slot;
    if ((v->marks[slot] & RHUMB__MARK_SEEN) != 0) return;
    while (at != RHUMB__SLOT_NONE && (v->marks[at] & RHUMB__MARK_PATH) == 0) {
        v->marks[at] |= RHUMB__MARK_PATH;
        at = above(v, at);
    }
    if (at != RHUMB__SLOT_NONE && rhumb__graph_anchor(v->graph, at) != at) {
        rhumb__verify_note(v, "slot %u: its anchors lead back to it instead of to the root", at);
    }
    for (at = slot; at != RHUMB__SLOT_NONE && (v->marks[at] & RHUMB__MARK_SEEN) == 0;) {
        v->marks[at] |= RHUMB__MARK_SEEN;
        at = above(v, at);
    }
}

/* ---- copies ---- */

static void check_empty(rhumb__verifier *v, uint32_t slot) {
    const uint32_t level_count = rhumb__node_level(rhumb__graph_node(v->graph, slot)) + 1;
    for (uint32_t level = 0; level < level_count && level < RHUMB__LEVEL_COUNT; level++) {
        const rhumb__list list = rhumb__graph_list(v->graph, slot, level);
        if (list.slots == NULL || rhumb__list_peek(&list, 0) == RHUMB__SLOT_NONE) continue;
        rhumb__verify_note(v, "slot %u, level %u: a copy with links", slot, level);
    }
}

static void check_copy(rhumb__verifier *v, uint32_t slot) {
    const rhumb__graph *graph = v->graph;
    const uint32_t head = (rhumb__tie_load(graph, slot) & ~RHUMB__TIE_COPY) - 1;
    check_empty(v, slot);
    if (head >= v->slot_count || rhumb__graph_is_copy(graph, head)) {
        rhumb__verify_note(v, "slot %u: a copy of slot %u of %llu, which is not in the graph", slot, head,
                           (unsigned long long)v->slot_count);
    } else if (!graph->graph_only &&
               !rhumb__space_equal(&graph->space, rhumb__graph_vector(graph, slot), rhumb__graph_vector(graph, head))) {
        rhumb__verify_note(v, "slot %u: a copy of slot %u, whose vector is another", slot, head);
    }
}

static uint32_t next_copy(const rhumb__verifier *v, uint32_t slot) {
    return atomic_load_explicit(&rhumb__graph_tie(v->graph, slot)->next_copy, memory_order_acquire);
}

/* Follows the chain of a node in the graph. */
static void check_chain(rhumb__verifier *v, uint32_t head) {
    for (uint32_t next = next_copy(v, head); next != 0; next = next_copy(v, next - 1)) {
        const uint32_t slot = next - 1;
        if (slot >= v->slot_count || rhumb__tie_load(v->graph, slot) != ((head + 1) | RHUMB__TIE_COPY)) {
            rhumb__verify_note(v, "slot %u: its copies lead to slot %u of %llu, which is none", head, slot,
                               (unsigned long long)v->slot_count);
            return;
        }
        if ((v->marks[slot] & RHUMB__MARK_CHAINED) != 0) {
            rhumb__verify_note(v, "slot %u: its copies lead to slot %u twice", head, slot);
            return;
        }
        v->marks[slot] |= RHUMB__MARK_CHAINED;
    }
}

/* ---- all ---- */

rhumb_status rhumb__verify_ties(rhumb__verifier *v) {
    rhumb_status status = RHUMB_OK;
    uint64_t copy_count = 0;
    uint32_t root = RHUMB__SLOT_NONE;
    const uint64_t recorded_count = atomic_load_explicit(&v->graph->copy_count, memory_order_acquire);
    for (uint64_t i = 0; i < v->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__graph_is_copy(v->graph, slot)) {
            copy_count++;
            check_copy(v, slot);
        } else if (!is_unlinked(v, slot) || rhumb__tie_load(v->graph, slot) != 0) {
            check_anchor(v, slot, &root);
            follow_up(v, slot);
        }
        RHUMB_TRY(rhumb__verify_advance(v, i + 1));
    }
    for (uint64_t i = 0; i < v->slot_count; i++) {
        if (!rhumb__graph_is_copy(v->graph, (uint32_t)i)) check_chain(v, (uint32_t)i);
    }
    for (uint64_t i = 0; i < v->slot_count; i++) {
        if (!rhumb__graph_is_copy(v->graph, (uint32_t)i) || (v->marks[i] & RHUMB__MARK_CHAINED) != 0) continue;
        rhumb__verify_note(v, "slot %llu: a copy that is in no chain of copies", (unsigned long long)i);
    }
    if (copy_count <= recorded_count) goto done;
    rhumb__verify_note(v, "copies: at most %llu expected, %llu found", (unsigned long long)recorded_count,
                       (unsigned long long)copy_count);
done:
    return status;
}
