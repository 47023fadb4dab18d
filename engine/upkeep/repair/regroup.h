/* regroup.h - finds the groups of equal vectors (graph/ties.h) in a graph whose nodes are placed and not linked yet.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_REGROUP_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_REGROUP_H

#include "engine/graph/graph.h"

/* Makes every node a copy of the one with the lowest slot that has the same vector. No other thread knows the graph.
 * Memory: 16 to 32 bytes per slot. RHUMB_E_NOMEM. */
rhumb_status rhumb__regroup(rhumb__graph *graph) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_REGROUP_H */
