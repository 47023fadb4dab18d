/* anchor.h - what ties a node that is being linked into the graph, see graph/ties.h: an equal vector, or an anchor.
 */
#ifndef RHUMB_ENGINE_BUILD_ANCHOR_H
#define RHUMB_ENGINE_BUILD_ANCHOR_H

#include "engine/build/link.h"

/* Finds a node whose vector equals that of `node`, among the candidates of level 0 in scratch->pool. Returns
 * RHUMB__SLOT_NONE when there is none, when `node` is tied already, or when it is not to become a copy. */
uint32_t rhumb__link_find_equal(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node);

/* Ties a node, whose own lists are written, to the nearest node of scratch->pool that can take it; the first node of
 * all becomes the root. Does nothing when the node is tied already. */
void rhumb__link_tie(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__link_node *node, bool has_start);

#endif /* RHUMB_ENGINE_BUILD_ANCHOR_H */
