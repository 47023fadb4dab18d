/* order_window.h - the order of Wei et al., "Speedup graph processing by graph ordering" (Gorder, SIGMOD 2016).
 */
#ifndef RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_WINDOW_H
#define RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_WINDOW_H

#include "engine/graph/graph.h"

/* Rearranges `order`, which holds every slot below slot_count once: each next slot is the one that has most in common
 * with the last five, links between them and nodes that link to both. Among equals, and where nothing is shared, the
 * order given counts. RHUMB_E_NOMEM. */
rhumb_status rhumb__order_window(rhumb__graph *graph, uint64_t slot_count, uint32_t *order) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_UPKEEP_COMPACT_ORDER_WINDOW_H */
