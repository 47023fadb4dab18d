/* arrange.h - the order in which vectors lie in the file: those near each other on the same pages, from the start.
 *
 * Compaction arranges nodes by a graph (engine/upkeep/compact/order.h); here there is none yet, so vectors are cut into
 * ever smaller sets by their nearest leaders (cut.h), and lie in the order of these sets.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_ARRANGE_H
#define RHUMB_ENGINE_BUILD_BULK_ARRANGE_H

#include "engine/build/bulk/leaf.h"

/* Fills `order`, which has room for all nodes, with their numbers. The same on any number of threads. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED. */
rhumb_status rhumb__arrange(const rhumb__bulk_nodes *nodes, uint64_t seed, double share, rhumb__bulk_run *run,
                            uint32_t *order) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_BUILD_BULK_ARRANGE_H */
