/* rebuild.h - filling a new graph from another: the steps that compaction, repair and import share.
 *
 * No other thread knows the new graph.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REBUILD_H
#define RHUMB_ENGINE_UPKEEP_REBUILD_H

#include <stdbool.h>

#include "engine/graph/graph.h"

/* Writes what has been placed to the append-only sections of the file, which releases its memory. Mutable ones are
 * written with the version that is published at the end. With `whole_pieces` a little waits for more (publish.h).
 * *written_bytes grows by what was written. RHUMB_E_NOMEM, what rhumb__store_write_ahead returns. */
rhumb_status rhumb__rebuild_write_ahead(rhumb__graph *graph, bool whole_pieces,
                                        uint64_t *written_bytes) RHUMB_NODISCARD;

/* Makes the fused rows of all nodes, if the graph is to have some, and writes them ahead, some at a time.
 * `thread_count` 0: one per processor. Otherwise as above. */
rhumb_status rhumb__rebuild_weave(rhumb__graph *graph, uint32_t thread_count, uint64_t *written_bytes) RHUMB_NODISCARD;

/* Lists of level 0 of another graph, to be taken over. */
typedef struct rhumb__rebuild_lists {
    rhumb__graph *graph;     /* the new one: its nodes are placed, and its copies hang on their heads */
    const uint32_t *map;     /* by old slot: the new one, or RHUMB__SLOT_NONE */
    uint32_t old_count;      /* of slots in the map */
    uint64_t *incomplete;    /* one bit per new slot: its list lacks something. At first all are set */
    uint16_t *before_counts; /* NULL, or by new slot: how long a list was that lacks something. At first all are 0 */
} rhumb__rebuild_lists;

/* Gives the node that stands for an old slot that slot's list: with the new slots, without what is not in the new graph
 * or was there twice, as much as there is room for. Of a group of equal vectors, the first that has a list gives it to
 * the head. Clears the head's bit if nothing was left out. */
void rhumb__rebuild_list(const rhumb__rebuild_lists *lists, uint32_t old_slot, const uint32_t *old_neighbours,
                         uint32_t count);

#endif /* RHUMB_ENGINE_UPKEEP_REBUILD_H */
