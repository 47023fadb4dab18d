/* recover.h - after a crash: what the log has beyond the newest checkpoint comes back.
 *
 * It happens in two parts. When the index is opened, every operation is carried out except the linking of new nodes;
 * that takes as long as copying the vectors. From then on searches find everything: nodes that no link leads to yet are
 * measured one by one. They are linked in the background, a block at a time, and are ordinary nodes afterwards.
 *
 * A crash during either part changes nothing: log and checkpoint stay as they are until the next checkpoint, which is
 * made when all is linked.
 */
#ifndef RHUMB_ENGINE_DURABILITY_RECOVER_H
#define RHUMB_ENGINE_DURABILITY_RECOVER_H

#include "base/lock.h"
#include "engine/search/scratch.h"

/* Carries out what the graph's log has beyond its checkpoint. Before anybody else knows the graph. RHUMB_E_CORRUPT when
 * an operation contradicts the index, RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__recover(rhumb__graph *graph) RHUMB_NODISCARD;

/* Links the next block of nodes that wait for it in the pool's graph, on as many threads as half the processors;
 * *left_out is whether more are waiting. Several threads may call it; one works at a time, under `lock`. RHUMB_E_NOMEM:
 * some of the block may be linked, and all of it still counts as waiting. */
rhumb_status rhumb__recover_link_block(rhumb__scratch_pool *pool, rhumb__mutex *lock, bool *left_out) RHUMB_NODISCARD;

/* Nodes that wait to be linked. */
uint64_t rhumb__recover_unlinked_count(const rhumb__graph *graph);

#endif /* RHUMB_ENGINE_DURABILITY_RECOVER_H */
