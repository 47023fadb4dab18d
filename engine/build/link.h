/* link.h - giving a node its place in the graph: its own neighbour lists, and the links back to it. The part of HNSW's
 * insertion (paper, algorithm 1) that does not care where the node comes from: a new insert, or the log after a crash.
 */
#ifndef RHUMB_ENGINE_BUILD_LINK_H
#define RHUMB_ENGINE_BUILD_LINK_H

#include "engine/search/scratch.h"

/* A node that is written and not linked yet. */
typedef struct rhumb__link_node {
    uint32_t slot;
    uint32_t level;
    uint32_t active; /* its place among the active inserts; it has announced itself there */
} rhumb__link_node;

/* Makes room for what linking needs. RHUMB_E_NOMEM. */
rhumb_status rhumb__link_prepare(const rhumb__graph *graph, rhumb__scratch *scratch) RHUMB_NODISCARD;

/* Links the node, whose row is the scratch's query. Cannot fail; without the memory for the newest slots those are not
 * considered as neighbours. */
void rhumb__link(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node);

/* The steps of rhumb__link, for tests that want to stand between them. The search returns whether there was an entry
 * point; the second, whether the node can stay as it is linked: if not, both are to be done again. */
bool rhumb__link_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node);
bool rhumb__link_finish(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, bool had_start);

#endif /* RHUMB_ENGINE_BUILD_LINK_H */
