/* insert.h - adding a node to the graph, by any number of threads at once and beside searches.
 */
#ifndef RHUMB_ENGINE_BUILD_INSERT_H
#define RHUMB_ENGINE_BUILD_INSERT_H

#include "engine/search/scratch.h"

/* Inserts the vector that rhumb__scratch_set_query has prepared under `key`. It either fails before it has taken a
 * slot, and nothing has changed, or it succeeds, with its number in *lsn_out; it is durable once rhumb__log_wait has
 * returned for that. `batch` is the LSN of the begin record of the batch it belongs to, or 0. *slot_out (may be NULL)
 * is the node's slot. RHUMB_E_EXISTS, RHUMB_E_FULL, RHUMB_E_NOMEM, RHUMB_E_FATAL. */
rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key, uint64_t batch,
                                 uint32_t *slot_out, uint64_t *lsn_out) RHUMB_NODISCARD;

/* The same, but a key that exists gets a new node, and its old one is deleted once the new one can be found: at every
 * moment at least one of the two can. RHUMB_E_FULL, RHUMB_E_NOMEM, RHUMB_E_FATAL. */
rhumb_status rhumb__graph_upsert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key,
                                 uint64_t *lsn_out) RHUMB_NODISCARD;

/* Writes a node without linking it, for an operation that the log knows already: `row` is a prepared row of the space.
 * With `replace` the key may exist; its node so far is deleted. One thread at a time, before anybody else knows the
 * graph. RHUMB_E_EXISTS, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_place(rhumb__graph *graph, uint64_t key, const void *row, bool replace) RHUMB_NODISCARD;

/* Links a node that rhumb__graph_place has written. RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_link_placed(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) RHUMB_NODISCARD;

/* Locks the bucket of a key whose node, if it has one, is whole; waits for an insert of it that is under way. (To
 * replace or delete a node that is still being inserted, which may itself be replacing one, would leave the oldest of
 * the three to be found.) Returns the node's slot, or RHUMB__SLOT_NONE. */
uint32_t rhumb__graph_lock_settled_key(rhumb__graph *graph, uint64_t key, rhumb__key_place *place);

#endif /* RHUMB_ENGINE_BUILD_INSERT_H */
