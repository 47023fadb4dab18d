/* exact_search.h - the nearest vectors by measuring every one of them: truth, for recall to be counted against.
 */
#ifndef RHUMB_ENGINE_EXACT_SEARCH_H
#define RHUMB_ENGINE_EXACT_SEARCH_H

#include "engine/scratch.h"

/* The k nearest of all live nodes to the query in scratch->query, in scratch->pool: nearest first, equal
 * distances by slot. RHUMB_E_NOMEM. */
rhumb_status rhumb__exact_search(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t k) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_EXACT_SEARCH_H */
