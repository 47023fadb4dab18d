/* upper_levels.h - links the upper levels of a graph whose nodes are all placed, all at once.
 */
#ifndef RHUMB_ENGINE_BUILD_UPPER_LEVELS_H
#define RHUMB_ENGINE_BUILD_UPPER_LEVELS_H

#include "base/progress.h"
#include "engine/graph/graph.h"

/* Makes the lists of all upper levels, which are empty, by a plan (bulk/plan.h), where metric, element type, memory and
 * the number of nodes allow that. Sets the bit, in `unlinked`, of each head of an upper level that has no list
 * afterwards: of all where there is no plan, otherwise of those whose vector another head has too. Only the threads of
 * the caller use the graph, whose heads are present. `progress` is asked whether to stop, and not advanced.
 * `thread_count` 0: one per processor. RHUMB_E_CANCELLED. */
rhumb_status rhumb__upper_levels_link(rhumb__graph *graph, uint32_t thread_count, rhumb__progress *progress,
                                      uint64_t *unlinked) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_UPPER_LEVELS_H */
