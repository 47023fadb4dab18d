/* equals.h - equal vectors of graphs that are being merged.
 *
 * As long as graphs are joined, each part has a head of its own for a vector that several parts have: so the nodes of
 * a part lead to nodes of that part alone, and a search in it does not leave it. When two parts have become one, equal
 * heads of both become one too.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MERGE_EQUALS_H
#define RHUMB_ENGINE_UPKEEP_MERGE_EQUALS_H

#include "engine/search/walk/scratch.h"

/* Slots that have become one part: [begin, end). */
typedef struct rhumb__merge_part {
    uint32_t begin;
    uint32_t end;
} rhumb__merge_part;

/* The head of a slot in the part that begins at `part_begin` and has the slot. `lower` is regroup.h's. */
static inline uint32_t rhumb__equals_head(const uint32_t *lower, uint32_t slot, uint32_t part_begin) {
    while (lower[slot] != slot && lower[slot] >= part_begin) slot = lower[slot];
    return slot;
}

static inline bool rhumb__equals_is_head(const uint32_t *lower, uint32_t slot, uint32_t part_begin) {
    return lower[slot] == slot || lower[slot] < part_begin;
}

/* A part that has been made of two. */
typedef struct rhumb__equals {
    rhumb__graph *graph;
    const uint32_t *lower;
    rhumb__merge_part part;
    uint32_t middle; /* where the second of the two began */
} rhumb__equals;

/* Makes one node of the equal heads of both parts: lists name the lower one, which has neighbours of both, and the
 * lists of the other are empty. No other thread changes the graph. The scratch is as for rhumb__join_choose. */
void rhumb__equals_unite(const rhumb__equals *equals, rhumb__scratch *scratch);

/* Hangs all copies on their heads, when all slots are one part. */
void rhumb__equals_hang(rhumb__graph *graph, const uint32_t *lower);

#endif /* RHUMB_ENGINE_UPKEEP_MERGE_EQUALS_H */
