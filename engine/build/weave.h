/* weave.h - making fused rows of lists and vectors; see graph/fused.h.
 */
#ifndef RHUMB_ENGINE_BUILD_WEAVE_H
#define RHUMB_ENGINE_BUILD_WEAVE_H

#include <stdbool.h>

#include "engine/graph/graph.h"

/* Writes the rows of the slots from those that have one up to `end`, on `thread_count` threads (0: one per processor),
 * and makes them known. Their nodes are linked, and no other thread weaves. Lists may change concurrently: then a row
 * is of what the list was. Does nothing in a graph without rows. RHUMB_E_NOMEM, RHUMB_E_FULL. */
rhumb_status rhumb__weave(rhumb__graph *graph, uint64_t end, uint32_t thread_count) RHUMB_NODISCARD;

/* Does so for the first `count_max` slots without rows, in a graph that other threads may be changing: as far as the
 * nodes are complete, and not while another thread weaves it. RHUMB_E_NOMEM, RHUMB_E_FULL. */
rhumb_status rhumb__weave_new(rhumb__graph *graph, uint64_t count_max, uint32_t thread_count) RHUMB_NODISCARD;

/* How many slots have no rows in a graph that is to have rows; 0 in another. */
uint64_t rhumb__weave_missing_count(rhumb__graph *graph);

/* Whether rows that are missing are to be made although they are few, since no other work waits: in an index that has
 * rows. */
bool rhumb__weave_pays_when_idle(rhumb__graph *graph);

/* Whether a batch that has added many nodes is to make their rows before it ends: when most slots have none. */
bool rhumb__weave_pays_after_batch(rhumb__graph *graph);

/* With how many slots the background thread is to make rows: when many have come since the others were made. Without
 * any rows, an index is only just being filled, and rows that are made too early know few of the neighbours that a node
 * gets: then it is never, UINT64_MAX. */
uint64_t rhumb__weave_due_slot(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_BUILD_WEAVE_H */
