/* active.h - the inserts under way, so that they can link to each other and other threads can wait for them.
 *
 * Each insert has an entry in graph->active from before it takes a slot until its node is linked. The entry records
 * which of three stages the insert has reached: claimed (no slot yet), with a slot, linkable (the node can be read, so
 * other inserts may link to it).
 */
#ifndef RHUMB_ENGINE_GRAPH_ACTIVE_H
#define RHUMB_ENGINE_GRAPH_ACTIVE_H

#include "engine/graph/graph.h"

/* Takes a free entry and returns its index; waits while all are taken or inserts are paused. */
uint32_t rhumb__active_claim(rhumb__graph *graph);

/* Records the slot. Under append_lock, so that a thread that reads the number of slots later sees this insert. */
void rhumb__active_take_slot(rhumb__graph *graph, uint32_t entry, uint32_t slot);

/* Publishes the node to other inserts. Call it before rhumb__active_peers: each insert publishes its node before it
 * looks for others, so of any two at least one sees the other. */
void rhumb__active_publish(rhumb__graph *graph, uint32_t entry, uint32_t slot);

/* The slots of the other inserts that have published their nodes: at most RHUMB__ACTIVE_INSERT_MAX. */
uint32_t rhumb__active_peers(rhumb__graph *graph, uint32_t entry, uint32_t *peers);

/* Releases the entry: the node is linked, or the insert has failed. */
void rhumb__active_leave(rhumb__graph *graph, uint32_t entry);

/* The lowest slot whose node is being inserted; UINT64_MAX: there is none. All nodes below it that had slots when the
 * caller last held append_lock are complete. */
uint64_t rhumb__active_lowest(rhumb__graph *graph);

/* Reads the counts of a moment, down to the slots whose nodes are complete, and the number of all slots. A node that is
 * placed without an insert is complete when it has been counted in graph->finished_count. */
rhumb__counts rhumb__active_complete_counts(rhumb__graph *graph, uint64_t *slot_count_out);

/* Whether the node of a slot is being inserted. */
bool rhumb__active_has_slot(rhumb__graph *graph, uint32_t slot);

/* Whether a node with a slot below `slot` is being inserted. */
bool rhumb__active_has_below(rhumb__graph *graph, uint32_t slot);

/* Whether another node than that of `slot` is being inserted. */
bool rhumb__active_has_other(rhumb__graph *graph, uint32_t slot);

/* Waits until every insert with a slot below `slot_limit` has finished. Inserts with higher slots continue. */
void rhumb__active_wait(rhumb__graph *graph, uint64_t slot_limit);

/* Waits for the inserts under way and blocks new ones until rhumb__active_resume. A second thread that pauses waits for
 * the first to resume. */
void rhumb__active_pause(rhumb__graph *graph);
void rhumb__active_resume(rhumb__graph *graph);

#endif /* RHUMB_ENGINE_GRAPH_ACTIVE_H */
