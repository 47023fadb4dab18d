/* bypass.h - leaving deleted nodes out of fused rows.
 *
 * A deleted node stays in the graph, because its links hold the graph together; so walks pass through it, and it
 * takes the place of a node that could be an answer. In a fused row its lane can be left to another, as long as the
 * row leads to whatever only the deleted node led to.
 *
 * A node is *gone* if it is deleted and so are all of its copies (ties.h).
 *
 * INVARIANT: while the mark of a node's list is clear (changed.h), its row has a lane for every neighbour in the list;
 * or the neighbour is gone, and if it is tied to the node, the row has a lane for every other node that is tied to it.
 * A neighbour that is not tied to the node need only have been gone when the row was made: if it gets a copy, the lists
 * that are marked are those of its own neighbours, and others may name it too.
 *
 * So rows alone lead from any live node to any other. Take the path between them in the tree of ties: the row of
 * each node on it has a lane for the next one, or for the one after that. It does not matter when each row was made.
 *
 * A node that is gone may be needed again: a new node is tied to it, or becomes a copy of it. The thread that did so
 * calls rhumb__bypass_needed, which marks the lists that name it; then walks read these, and its lane is missed.
 *
 * Which order makes it safe: that thread adds the link or the copy and then looks whether the node is gone. A thread
 * that makes a row finds out that the node is gone and then reads its links. A fence is between the two on both
 * sides, so one of them at least sees what the other has done; and rhumb__bypass_holds is asked again under the lock
 * under which marks change.
 *
 * Deleted nodes are found again only if they were hidden (build/batch_write.c). So nodes that may be hidden are
 * never gone: those that were placed after a moment at which none was.
 */
#ifndef RHUMB_ENGINE_GRAPH_BYPASS_H
#define RHUMB_ENGINE_GRAPH_BYPASS_H

#include "engine/graph/graph.h"

/* Which nodes can be gone. */
typedef struct rhumb__bypass {
    rhumb__graph *graph;
    uint64_t slot_limit; /* of those below it none is hidden; 0: no node is taken as gone */
} rhumb__bypass;

/* What can be left out of rows from now on. Takes append_lock for a moment. */
rhumb__bypass rhumb__bypass_begin(rhumb__graph *graph);

/* `slots` are the first `count` neighbours in the list of a node, and become what its row is to have in their lanes: a
 * node that is gone stays, or gives way to one that is tied to it, or its place is among `places`, which has room for
 * `count`: then any node may have the lane. Returns how many places there are. */
uint32_t rhumb__bypass_plan(const rhumb__bypass *bypass, uint32_t slot, uint32_t *slots, uint32_t count,
                            uint32_t *places);

/* A list, and the slots of a row. */
typedef struct rhumb__bypass_row {
    uint32_t slot; /* the node's */
    const uint32_t *list;
    uint32_t list_count;
    const uint32_t *lanes;
    uint32_t lane_count;
    bool is_old; /* not made of what there is now */
} rhumb__bypass_row;

/* Whether the invariant holds for a node whose mark is clear. */
bool rhumb__bypass_holds(const rhumb__bypass *bypass, const rhumb__bypass_row *row);

/* Whether a node is deleted, and all of its copies. */
bool rhumb__bypass_is_gone(const rhumb__bypass *bypass, uint32_t slot);

/* A node has been tied to that of `slot`, or the one of `copy` hung on it (RHUMB__SLOT_NONE: tied): marks the lists of
 * its neighbours, among which are all that are tied to it, if it is gone but for that. */
void rhumb__bypass_needed(rhumb__graph *graph, uint32_t slot, uint32_t copy);

#endif /* RHUMB_ENGINE_GRAPH_BYPASS_H */
