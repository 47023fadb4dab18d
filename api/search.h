/* search.h - what the functions that search share.
 */
#ifndef RHUMB_API_SEARCH_H
#define RHUMB_API_SEARCH_H

#include "api/handle.h"
#include "engine/search/filter.h"

/* A k beyond any slot number asks for nothing more; below it all sizes fit into 32 bits. */
#define RHUMB__K_MAX ((size_t)RHUMB__SLOT_LIMIT)

/* The options of a search, checked. */
typedef struct rhumb__search_setup {
    rhumb_search_options options;
    rhumb__filter filter_space;
    const rhumb__filter *filter; /* for all queries, or NULL */
} rhumb__search_setup;

/* How broad a search of `graph` is to be. */
static inline uint32_t rhumb__search_setup_ef(const rhumb__search_setup *setup, const rhumb__graph *graph) {
    return setup->options.ef_search == 0 ? graph->params.ef_search : setup->options.ef_search;
}

/* Checks the handle, the options and k. options->filters may be set only if `query_count` is not 0; each filter is
 * checked. RHUMB_E_INVALID. */
rhumb_status rhumb__search_setup_make(rhumb__search_setup *setup, const rhumb_index *index, size_t query_count,
                                      size_t k, const rhumb_search_options *options) RHUMB_NODISCARD;

#endif /* RHUMB_API_SEARCH_H */
