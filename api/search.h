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
    rhumb__request request; /* ef and filter are set; the filter is not if each query has its own */
} rhumb__search_setup;

/* Checks the handle, the options and k. options->filters may be set only if `query_count` is not 0; each filter is
 * checked. RHUMB_E_INVALID. */
rhumb_status rhumb__search_setup_make(rhumb__search_setup *setup, const rhumb_index *index, size_t query_count,
                                      size_t k, const rhumb_search_options *options) RHUMB_NODISCARD;

/* Carries out a request on the handle's current graph. `found_count` may be NULL. */
rhumb_status rhumb__search_once(rhumb_index *index, const rhumb__request *request, rhumb__answer *answer,
                                size_t *found_count) RHUMB_NODISCARD;

#endif /* RHUMB_API_SEARCH_H */
