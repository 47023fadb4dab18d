/* adjacency.h - the neighbours of a node as callers see them: live ones only, nearest first.
 *
 * Callers do not see that copies (graph/ties.h) are not in the graph themselves. The neighbours of a copy on level 0
 * are its head and those of its head; every member of a group has other members among its neighbours, as many as a list
 * has room for, and at least the one that follows it in the chain. Where a list contains a deleted node, a live copy of
 * that stands for it.
 */
#ifndef RHUMB_ENGINE_SEARCH_ADJACENCY_H
#define RHUMB_ENGINE_SEARCH_ADJACENCY_H

#include "engine/search/walk/scratch.h"

/* The most neighbours that a node can have on all levels together. */
#define RHUMB__ADJACENCY_MAX (RHUMB__M0_MAX + RHUMB__LEVEL_MAX * RHUMB__M_MAX)

/* For `level`: every level that the node is on, each neighbour once. */
#define RHUMB__LEVELS_ALL UINT32_MAX

/* Makes room in `scratch` for the functions below. RHUMB_E_NOMEM. */
rhumb_status rhumb__adjacency_prepare(rhumb__scratch *scratch) RHUMB_NODISCARD;

/* Puts the neighbours of the node at `slot`, which is below slot_limit, into scratch->candidates and returns how many
 * there are, at most RHUMB__ADJACENCY_MAX. Deleted nodes, slots from slot_limit up, and what a list must not have
 * (the node itself, slots without a node) are left out. While inserts and deletes run, the result is a list that the
 * node had at some moment. */
uint32_t rhumb__adjacency_read(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                               uint64_t slot_limit);

/* Measures the first `count` of scratch->candidates from the node at `slot`, with raw distances, and sorts them by
 * distance, equal ones by slot; by the metric, as a user sees them. The graph has its vectors. */
void rhumb__adjacency_measure(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t count);

#endif /* RHUMB_ENGINE_SEARCH_ADJACENCY_H */
