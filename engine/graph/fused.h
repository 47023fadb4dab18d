/* fused.h - the fused rows of a graph: for slots from 0 on, up to some, the row that a walk expands the node by
 * (fused_row.h).
 *
 * The section is derived: rows are made when lists are as they are going to be for a while, by a compaction, by a batch
 * that fills the index, and then in the background for nodes that have come since (build/weave.h). A row is never
 * written again: a lane is right for the slot that it names, and a walk measures by codes what the list has and the row
 * has not. Nodes without a row are expanded by codes.
 */
#ifndef RHUMB_ENGINE_GRAPH_FUSED_H
#define RHUMB_ENGINE_GRAPH_FUSED_H

#include "engine/graph/graph.h"

/* Sets up the layout of rows. Needs params, space and coder. For parameters from a file, `path` is its name; for those
 * of a caller it is NULL. What rhumb__fused_layout_init returns; RHUMB_E_VERSION in place of it for a file. */
rhumb_status rhumb__fused_init(rhumb__graph *graph, const char *path) RHUMB_NODISCARD;

/* Drops the rows of a graph that is not coded. Call it once codes are known. */
void rhumb__fused_start(rhumb__graph *graph);

/* How many slots have rows, counted from the first. Acquire pairs with the release in rhumb__fused_extend. */
static inline uint64_t rhumb__fused_count(const rhumb__graph *graph) {
    return atomic_load_explicit(&graph->derived_row_counts[RHUMB__SECTION_FUSED], memory_order_acquire);
}

/* Makes it known that the slots below `count` have rows, which have been written. */
static inline void rhumb__fused_extend(rhumb__graph *graph, uint64_t count) {
    RHUMB_ASSERT_DEBUG(count <= atomic_load(&graph->sections[RHUMB__SECTION_FUSED].row_capacity));
    atomic_store_explicit(&graph->derived_row_counts[RHUMB__SECTION_FUSED], count, memory_order_release);
}

/* The place of a slot's row. */
static inline void *rhumb__graph_fused(const rhumb__graph *graph, uint32_t slot) {
    return rhumb__section_row(&graph->sections[RHUMB__SECTION_FUSED], slot);
}

#endif /* RHUMB_ENGINE_GRAPH_FUSED_H */
