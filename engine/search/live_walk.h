/* live_walk.h - walks over fused rows, in an index of which a few nodes have been deleted.
 *
 * A selective walk keeps all candidates, so that no number of deleted nodes around the query hides what is behind
 * them. Where only a few are deleted that costs more than they do: a walk with a limited pool (walk/row_walk.h), in
 * which they leave their places to others once they have been expanded, finds the same. It ends when it has met many of
 * them; then the selective walk has to do.
 */
#ifndef RHUMB_ENGINE_SEARCH_LIVE_WALK_H
#define RHUMB_ENGINE_SEARCH_LIVE_WALK_H

#include "engine/search/walk/walk.h"

/* Whether so few nodes are deleted, there are rows that the scratch may read, and the walk is not too broad. */
bool rhumb__live_walk_pays(rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t ef);

/* Finds the `ef` nearest nodes whose groups (graph/ties.h) have live members. *nearest_out is the pool of the scratch
 * that holds them, or NULL when there are too many deleted nodes around the query. RHUMB_E_NOMEM. */
rhumb_status rhumb__live_walk(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t ef,
                              rhumb__candidate_pool **nearest_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_LIVE_WALK_H */
