/* remove.h - deleting.
 */
#ifndef RHUMB_ENGINE_BUILD_REMOVE_H
#define RHUMB_ENGINE_BUILD_REMOVE_H

#include "engine/graph/graph.h"

/* Deletes the node of a key. Searches that begin after this has returned do not find it. It is durable once
 * rhumb__log_wait has returned for *lsn_out. RHUMB_E_NOTFOUND, RHUMB_E_NOMEM, RHUMB_E_FATAL. */
rhumb_status rhumb__graph_delete(rhumb__graph *graph, uint64_t key, uint64_t *lsn_out) RHUMB_NODISCARD;

/* Deletes the node at a slot as a part of the batch that has inserted it, if its key still leads there. RHUMB_E_NOMEM,
 * RHUMB_E_FATAL. */
rhumb_status rhumb__graph_take_back(rhumb__graph *graph, uint32_t slot, uint64_t batch) RHUMB_NODISCARD;

/* The same without the log, which has failed: nothing of the batch will be durable, and searches are not to find it. */
void rhumb__graph_take_back_unlogged(rhumb__graph *graph, uint32_t slot);

/* Deletes the node of a key, if there is one and its slot is not below `slot_min`, for an operation that is in the log
 * already. One thread at a time, and no other thread uses the graph. */
void rhumb__graph_delete_replayed(rhumb__graph *graph, uint64_t key, uint64_t slot_min);

#endif /* RHUMB_ENGINE_BUILD_REMOVE_H */
