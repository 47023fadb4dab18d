/* join_choose.h - a node that has got candidates chooses its neighbours again.
 */
#ifndef RHUMB_ENGINE_UPKEEP_MERGE_JOIN_CHOOSE_H
#define RHUMB_ENGINE_UPKEEP_MERGE_JOIN_CHOOSE_H

#include "engine/search/walk/scratch.h"

/* Replaces the list of a node on a level by what is chosen from it and from `given_count` other nodes of the level, of
 * which the first scratch->candidates have the slots; a slot may be there twice. The scratch is prepared for an insert
 * with room for RHUMB__M0_MAX candidates more. Reads no other list. */
void rhumb__join_choose(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level,
                        uint32_t given_count);

#endif /* RHUMB_ENGINE_UPKEEP_MERGE_JOIN_CHOOSE_H */
