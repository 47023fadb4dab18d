/* search.h - what the functions that search share.
 */
#ifndef RHUMB_API_SEARCH_H
#define RHUMB_API_SEARCH_H

#include "api/handle.h"
#include "engine/search/search.h"

/* A k beyond any slot number asks for nothing more; below it all sizes fit into 32 bits. */
#define RHUMB__K_MAX ((size_t)RHUMB__SLOT_LIMIT)

/* The options of a search, checked. */
typedef struct rhumb__search_setup {
    rhumb_search_options options;
    rhumb__filter filter;   /* what request.filter points to, if it is not NULL */
    rhumb__request request; /* ef and filter are set; ef is not if a recall is asked for (rhumb__search_setup_ef), and
                               the filter is not if each query has its own */
} rhumb__search_setup;

/* Fail for a number of answers, or a recall, that is out of range: RHUMB_E_INVALID. */
rhumb_status rhumb__k_check(size_t k) RHUMB_NODISCARD;
rhumb_status rhumb__recall_check(double recall) RHUMB_NODISCARD;

/* The ef by which searches of a graph find a share of `recall` of the k nearest. RHUMB_E_UNSUPPORTED: that has not been
 * measured. */
rhumb_status rhumb__search_recall_choose(rhumb__graph *graph, size_t k, double recall,
                                         rhumb__recall_choice *choice) RHUMB_NODISCARD;

/* Sets the ef of a search whose options ask for a recall. RHUMB_E_UNSUPPORTED as above. */
rhumb_status rhumb__search_setup_ef(rhumb__search_setup *setup, rhumb__graph *graph, size_t k) RHUMB_NODISCARD;

/* Fails for options that ask for a recall, in a search that has no k: RHUMB_E_INVALID. */
rhumb_status rhumb__search_setup_refuse_recall(const rhumb__search_setup *setup) RHUMB_NODISCARD;

/* Checks the handle, the options and k. options->filters may be set only if `query_count` is not 0; each filter is
 * checked. RHUMB_E_INVALID. */
rhumb_status rhumb__search_setup_make(rhumb__search_setup *setup, const rhumb_index *index, size_t query_count,
                                      size_t k, const rhumb_search_options *options) RHUMB_NODISCARD;

/* Carries out a request on the handle's current graph; its ef is set first if the options ask for a recall.
 * `found_count` may be NULL. */
rhumb_status rhumb__search_once(rhumb_index *index, rhumb__search_setup *setup, rhumb__answer *answer,
                                size_t *found_count) RHUMB_NODISCARD;

#endif /* RHUMB_API_SEARCH_H */
