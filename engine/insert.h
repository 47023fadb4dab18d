/* insert.h - adding a node to the graph, by any number of threads at once and beside searches.
 */
#ifndef RHUMB_ENGINE_INSERT_H
#define RHUMB_ENGINE_INSERT_H

#include "engine/scratch.h"

/* Inserts the vector that rhumb__scratch_set_query has prepared under `key`. It either fails before it has taken a
 * slot, and nothing has changed, or it succeeds. RHUMB_E_EXISTS, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key) RHUMB_NODISCARD;

/* The same, but a key that exists gets a new node, and its old one is deleted once the new one can be found: at every
 * moment at least one of the two can. RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_upsert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key) RHUMB_NODISCARD;

/* Locks the bucket of a key whose node, if it has one, is whole; waits for an insert of it that is under way. (To
 * replace or delete a node that is still being inserted, which may itself be replacing one, would leave the oldest of
 * the three to be found.) Returns the node's slot, or RHUMB__SLOT_NONE. */
uint32_t rhumb__graph_lock_settled_key(rhumb__graph *graph, uint64_t key, rhumb__key_place *place);

/* Waits until every insert that has a slot below `slot_limit` has finished. Inserts with higher slots go on. */
void rhumb__graph_wait_inserted(rhumb__graph *graph, uint64_t slot_limit);

/* Lets the inserts under way finish and keeps new ones waiting until rhumb__graph_resume_inserts. Pauses of several
 * threads follow each other. */
void rhumb__graph_pause_inserts(rhumb__graph *graph);
void rhumb__graph_resume_inserts(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_INSERT_H */
