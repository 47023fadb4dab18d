/* regroup.h - finds the groups of equal vectors (graph/ties.h) in a graph whose nodes are placed and not linked yet.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REGROUP_H
#define RHUMB_ENGINE_UPKEEP_REGROUP_H

#include "base/progress.h"
#include "engine/graph/graph.h"

/* Makes every node a copy of the one with the lowest slot that has the same vector. No other thread knows the graph.
 * Memory: 16 to 32 bytes per slot. `progress` is asked now and then whether to stop. RHUMB_E_NOMEM, RHUMB_E_CANCELLED.
 */
rhumb_status rhumb__regroup(rhumb__graph *graph, rhumb__progress *progress) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_REGROUP_H */
