/* filter_search.h - the nearest nodes whose keys a filter lets through.
 */
#ifndef RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H
#define RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H

#include "engine/search/exact_search.h"

/* Looks at a sample of the nodes, keeps those that match as scratch->seeds, and returns how to begin a search, see
 * filter_plan.h. The scratch is not being used for a search. */
rhumb__filter_plan rhumb__filter_estimate_make(rhumb__graph *graph, rhumb__scratch *scratch,
                                               const rhumb__filter *filter, rhumb__filter_estimate *estimate);

/* Looks up the keys that the filter lists (estimate->by_list), measures their nodes and hands them to `take`.
 * *complete_out is false when the node of one of them could not be had, because it is just being replaced: then some
 * may be missing. RHUMB_E_INVALID: keys that should ascend do not. */
rhumb_status rhumb__filter_visit_list(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                      rhumb__measured_fn take, void *context, bool *complete_out) RHUMB_NODISCARD;

/* Measures every node that matches; the k nearest are in scratch->pool afterwards. An upsert that overlaps may put two
 * nodes of one key there. RHUMB_E_NOMEM, RHUMB_E_INVALID. */
rhumb_status rhumb__filter_search_exact(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                        const rhumb__filter_estimate *estimate, uint32_t k) RHUMB_NODISCARD;

/* Walks as `plan` says. *finished_out is false when that was given up because an exact search is cheaper or finds more;
 * otherwise the nearest matching nodes, `wanted_count` at least, are in scratch->answers. RHUMB_E_NOMEM. */
rhumb_status rhumb__filter_search_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                       const rhumb__filter_estimate *estimate, rhumb__filter_plan plan,
                                       uint32_t wanted_count, uint32_t ef, bool *finished_out) RHUMB_NODISCARD;

/* As rhumb__graph_search, with a filter. Fewer than k are found only if fewer match. */
rhumb_status rhumb__graph_search_filtered(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                          uint32_t k, uint32_t ef, const uint64_t *left_out, uint64_t *keys,
                                          float *distances, uint32_t *found_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_FILTER_SEARCH_H */
