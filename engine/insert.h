/* insert.h - adding a node to the graph, by any number of threads at once and beside searches.
 */
#ifndef RHUMB_ENGINE_INSERT_H
#define RHUMB_ENGINE_INSERT_H

#include "engine/scratch.h"

/* Inserts the vector that rhumb__scratch_set_query has prepared under `key`. It either fails before it has taken a
 * slot, and nothing has changed, or it succeeds. RHUMB_E_EXISTS, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_insert(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t key) RHUMB_NODISCARD;

/* Waits until every insert that has a slot below `slot_limit` has finished. Inserts with higher slots go on. */
void rhumb__graph_wait_inserted(rhumb__graph *graph, uint64_t slot_limit);

/* Lets the inserts under way finish and keeps new ones waiting until rhumb__graph_resume_inserts. Pauses of several
 * threads follow each other. */
void rhumb__graph_pause_inserts(rhumb__graph *graph);
void rhumb__graph_resume_inserts(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_INSERT_H */
