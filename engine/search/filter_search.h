/* filter_search.h - what searches with a filter, or with deleted nodes, know before they begin; and the visit to listed
 * keys.
 */
#ifndef RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H
#define RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H

#include "engine/search/exact_search.h"

/* ---- filter_estimate.c ---- */

/* Estimates how many nodes match, and plans the search (estimate->plan, see filter_plan.h). With a filter, it samples
 * nodes and keeps those that match in scratch->seeds; without one (NULL), it counts the live ones. The scratch is not
 * in use by a walk. */
void rhumb__filter_estimate_make(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                 rhumb__filter_estimate *estimate);

/* Whether the node of a slot may be an answer: it exists, is alive, and its key matches the filter, if there is one. */
bool rhumb__filter_passes(const rhumb__graph *graph, const rhumb__filter *filter, uint32_t slot);

/* ---- filter_exact.c ---- */

/* Returns the 64 bits of a bitmap that begin at bit i * 64. */
uint64_t rhumb__filter_bitmap_word(const rhumb__filter *filter, uint64_t i);

/* Looks up the keys that a filter lists, measures their nodes and passes them to the visitor. *complete_out is false
 * when the node of a key could not be read because an upsert was replacing it: then nodes may be missing.
 * RHUMB_E_INVALID: keys that should ascend do not; the visitor's failures. */
rhumb_status rhumb__filter_visit_list(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                      const rhumb__visitor *visitor, bool *complete_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H */
