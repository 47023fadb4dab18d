/* weave.h - making fused rows of lists and vectors; see graph/fused.h.
 */
#ifndef RHUMB_ENGINE_BUILD_WEAVE_H
#define RHUMB_ENGINE_BUILD_WEAVE_H

#include "engine/graph/graph.h"

/* Writes the rows of the slots from those that have one up to `end`, on `thread_count` threads (0: one per processor),
 * and makes them known. Their nodes are linked, and no other thread weaves. Lists may change concurrently: then a row
 * is of what the list was. Does nothing in a graph without rows. RHUMB_E_NOMEM. */
rhumb_status rhumb__weave(rhumb__graph *graph, uint64_t end, uint32_t thread_count) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_WEAVE_H */
