/* link.h - linking a node: its own neighbour lists, and the links back to it. This is the part of HNSW's
 * insertion (paper, algorithm 1) that does not depend on where the node comes from: a new insert, or the log after a
 * crash.
 */
#ifndef RHUMB_ENGINE_BUILD_LINK_H
#define RHUMB_ENGINE_BUILD_LINK_H

#include "engine/build/bulk/select_rows.h"
#include "engine/search/walk/scratch.h"

/* A node that is written and not linked yet. */
typedef struct rhumb__link_node {
    uint32_t slot;
    uint32_t level;
    uint32_t active; /* its entry among the active inserts, in which it has been published */
    bool as_head;    /* it does not become a copy */
    bool any_anchor; /* its anchor may have any slot: no more nodes are placed before the next version */
} rhumb__link_node;

/* What the search for a node's neighbours has found. */
typedef struct rhumb__link_found {
    bool has_start;   /* there was an entry point */
    bool has_peers;   /* other inserts were under way, and their nodes may have been selected */
    uint32_t outward; /* the nearest node by the metric, where nodes are linked by another distance, see outward.h; or
                         RHUMB__SLOT_NONE */
    uint32_t equal;   /* a node with an equal vector, of which this one becomes a copy; or RHUMB__SLOT_NONE */
} rhumb__link_found;

/* Makes room for what linking needs, and measures from the scratch's query by the distance that links nodes until the
 * next query is set. RHUMB_E_NOMEM. */
rhumb_status rhumb__link_prepare(const rhumb__graph *graph, rhumb__scratch *scratch) RHUMB_NODISCARD;

/* Links the node, whose row is the scratch's query, or makes it a copy. A node that is linked already gets more links,
 * and keeps its anchor; a copy stays as it is. It cannot fail; without the memory for the newest slots, those are
 * not considered as neighbours. */
void rhumb__link(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node);

/* The steps of rhumb__link, split so that tests can run other inserts between the two. The second returns whether the
 * node can stay as it is linked: if not, both are to be repeated. */
rhumb__link_found rhumb__link_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node);
bool rhumb__link_finish(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node,
                        const rhumb__link_found *found);

/* ---- link_add.c ---- */

/* Slots that are to be added to one list. */
typedef struct rhumb__link_addition {
    uint32_t slot; /* whose list, and on which level */
    uint32_t level;
    const uint32_t *added;
    uint32_t added_count;
    uint32_t tie_limit; /* not 0: `added` is one node that is being tied to this one, and is added even if the heuristic
                           rejects it, unless the list has so many ties */
} rhumb__link_addition;

/* Adds to a list, pruning it if it overflows; the ties of level 0 stay. Returns whether the first of the added slots is
 * in the list now. */
bool rhumb__link_add(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_addition *addition);

/* ---- select.c ---- */

/* Chooses neighbours of a node by the heuristic of select_rows.h. */
uint32_t rhumb__select(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidates candidates,
                       uint32_t capacity, uint32_t *selected);

#endif /* RHUMB_ENGINE_BUILD_LINK_H */
