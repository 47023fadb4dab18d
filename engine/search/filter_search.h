/* filter_search.h - the parts of a search with a filter: an estimate of what matches, the visit to listed keys, and the
 * walks. rhumb__search_nearest combines them.
 */
#ifndef RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H
#define RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H

#include "engine/search/exact_search.h"
#include "engine/search/search.h"

/* ---- filter_estimate.c ---- */

/* Estimates from a sample of the nodes how many match, and plans the search (estimate->plan, see filter_plan.h). Keeps
 * the nodes of the sample that match in scratch->seeds. The scratch is not in use by a walk. */
void rhumb__filter_estimate_make(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                 rhumb__filter_estimate *estimate);

/* Whether the node of a slot may be an answer: it exists, is alive, and its key matches. */
bool rhumb__filter_passes(const rhumb__graph *graph, const rhumb__filter *filter, uint32_t slot);

/* ---- filter_exact.c ---- */

/* Returns the 64 bits of a bitmap that begin at bit i * 64. */
uint64_t rhumb__filter_bitmap_word(const rhumb__filter *filter, uint64_t i);

/* Looks up the keys that a filter lists, measures their nodes and passes them to the visitor. *complete_out is false
 * when the node of a key could not be read because an upsert was replacing it: then nodes may be missing.
 * RHUMB_E_INVALID: keys that should ascend do not; the visitor's failures. */
rhumb_status rhumb__filter_visit_list(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                      const rhumb__visitor *visitor, bool *complete_out) RHUMB_NODISCARD;

/* ---- filter_walk.c ---- */

/* Walks as estimate->plan says. If *finished_out is true, the nearest matching nodes, goal->wanted_count at least, are
 * in scratch->answers; otherwise the walk ended early, because an exact search is cheaper or finds more.
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__filter_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                const rhumb__filter_estimate *estimate, bool *finished_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H */
