/* exact_search.h - measuring every node that may be an answer: for exact searches, for filters that few keys match, and
 * for the nodes that a walk has not met.
 */
#ifndef RHUMB_ENGINE_SEARCH_EXACT_SEARCH_H
#define RHUMB_ENGINE_SEARCH_EXACT_SEARCH_H

#include "engine/search/walk/filter_plan.h"
#include "engine/search/walk/scratch.h"

/* Receives the nodes that have been measured. */
typedef struct rhumb__visitor {
    /* Called before the first node, and again when a visit starts over: nodes may come a second time then. May be
     * NULL. */
    rhumb_status (*begin)(void *context, rhumb__scratch *scratch);
    /* `count` slots are in scratch->batch, their raw distances in scratch->distances. A failure ends the visit. */
    rhumb_status (*take)(void *context, rhumb__scratch *scratch, uint32_t count);
    void *context;
} rhumb__visitor;

/* Measures all live nodes whose keys match estimate->filter (NULL: all), and passes them to the visitor: by looking the
 * keys up, if the estimate says so, otherwise in the order of slots. It uses scratch->batch, rows and distances, and
 * leaves the visited set alone. RHUMB_E_INVALID: keys that should ascend do not; RHUMB_E_NOMEM; the visitor's failures.
 */
rhumb_status rhumb__exact_visit(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter_estimate *estimate,
                                const rhumb__visitor *visitor) RHUMB_NODISCARD;

/* Finds the `count` nearest of these nodes: they are in scratch->pool, nearest first, equal distances by slot. While an
 * upsert runs, two nodes of its key may be among them. RHUMB_E_INVALID, RHUMB_E_NOMEM. */
rhumb_status rhumb__exact_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter_estimate *estimate,
                                  uint32_t count) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_EXACT_SEARCH_H */
