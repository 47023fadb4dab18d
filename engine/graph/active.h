/* active.h - the inserts that are under way: so that they find each other, and so that others can wait for them.
 *
 * Each has a place in graph->active from before it takes a slot until its node is linked. A place says in which of
 * three stages its insert is: claimed (no slot yet), with a slot, and linkable (the node can be read, so others may
 * link to it).
 */
#ifndef RHUMB_ENGINE_GRAPH_ACTIVE_H
#define RHUMB_ENGINE_GRAPH_ACTIVE_H

#include "engine/graph/graph.h"

/* Takes a place; waits while all are taken or inserts are paused. */
uint32_t rhumb__active_claim(rhumb__graph *graph);

/* Notes the slot. Under append_lock, so that whoever reads the number of slots afterwards sees this insert here. */
void rhumb__active_take_slot(rhumb__graph *graph, uint32_t place, uint32_t slot);

/* Makes the node known to other inserts. To be called before rhumb__active_peers: each announces itself before it
 * looks, so of two at least one sees the other. */
void rhumb__active_announce(rhumb__graph *graph, uint32_t place, uint32_t slot);

/* The other inserts that have announced themselves, at most RHUMB__ACTIVE_INSERT_MAX slots. */
uint32_t rhumb__active_peers(rhumb__graph *graph, uint32_t place, uint32_t *peers);

/* Gives the place back: the node is linked, or the insert has come to nothing. */
void rhumb__active_leave(rhumb__graph *graph, uint32_t place);

/* Whether the node of a slot is being inserted. */
bool rhumb__active_has_slot(rhumb__graph *graph, uint32_t slot);

/* Waits until every insert that has a slot below `slot_limit` has finished. Inserts with higher slots go on. */
void rhumb__active_wait(rhumb__graph *graph, uint64_t slot_limit);

/* Lets the inserts under way finish and keeps new ones waiting until rhumb__active_resume. Pauses of several threads
 * follow each other. */
void rhumb__active_pause(rhumb__graph *graph);
void rhumb__active_resume(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_GRAPH_ACTIVE_H */
