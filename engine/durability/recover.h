/* recover.h - after a crash, restores the operations that the log has and the newest checkpoint has not.
 *
 * Recovery has two parts. Opening the index carries out every operation except the linking of new nodes, which takes as
 * long as copying the vectors. From then on searches find everything: they measure the nodes that no link leads to yet
 * one by one. These are linked in the background, a block at a time, and are ordinary nodes afterwards.
 *
 * A crash during either part changes nothing: log and checkpoint stay as they are until the next checkpoint, which is
 * made when all nodes are linked.
 */
#ifndef RHUMB_ENGINE_DURABILITY_RECOVER_H
#define RHUMB_ENGINE_DURABILITY_RECOVER_H

#include "base/lock.h"
#include "engine/search/walk/scratch.h"

/* Carries out the operations that the graph's log has after its checkpoint, before any other thread knows the graph.
 * RHUMB_E_CORRUPT: an operation contradicts the index. RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__recover(rhumb__graph *graph) RHUMB_NODISCARD;

/* Links the next block of waiting nodes of the pool's graph, on half as many threads as there are processors; *left_out
 * is whether more are waiting. Several threads may call it; one works at a time, under `lock`. RHUMB_E_NOMEM: some
 * nodes of the block may be linked, but all of them are still waiting. */
rhumb_status rhumb__recover_link_block(rhumb__scratch_pool *pool, rhumb__mutex *lock, bool *left_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_DURABILITY_RECOVER_H */
