/* measure.h - the one place where the engine measures distances.
 *
 * There are two kinds: from the query of a scratch to nodes, which guide a search, and from one node to others, which
 * choose links. The former are those of the metric while a user searches, and those that link nodes while a node is
 * being linked (scratch->kernels); the latter are those that link. Distances are raw; rhumb__space_finish turns those
 * of the metric into its own unit. Those from the query are estimates while the scratch measures codes instead of
 * vectors (scratch->measured, see query.h).
 *
 * Everything is inlined into the loops that call it, so a step of a walk costs one indirect call, that of the kernel.
 * The prefetches must be inlined for another reason too: gcc 12 drops calls of a function that does nothing but
 * prefetch.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_MEASURE_H
#define RHUMB_ENGINE_SEARCH_WALK_MEASURE_H

#include "base/assert.h"
#include "base/inline.h"
#include "engine/search/walk/read_ahead.h"
#include "engine/search/walk/scratch.h"

#define RHUMB__CACHE_LINE_BYTES 64u

/* Returns the row that measuring a node reads. The slot is below slot_limit. */
RHUMB__INLINE const void *rhumb__measure_row(const rhumb__scratch *scratch, uint32_t slot) {
    return scratch->measured.rows + slot * scratch->measured.stride_bytes;
}

/* Prefetches the beginning of what measuring a node reads, and returns it. */
RHUMB__INLINE const void *rhumb__measure_prefetch(const rhumb__measured *measured, uint32_t slot) {
    const uint8_t *row = measured->rows + slot * measured->stride_bytes;
    for (uint32_t offset = 0; offset < measured->prefetch_bytes; offset += RHUMB__CACHE_LINE_BYTES) {
        __builtin_prefetch(row + offset, 0, 3);
    }
    return row;
}

/* ---- from the query, scratch->query ---- */

/* Measures the first `count` of scratch->rows, which are rows of rhumb__measure_row, into scratch->distances. */
RHUMB__INLINE void rhumb__measure_resident_rows(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= RHUMB__BATCH_MAX && !graph->graph_only);
    if (scratch->measured.coded) {
        graph->coder.kernels.measure_many(&graph->coder, scratch->code_query, scratch->rows, count, scratch->distances);
    } else {
        scratch->kernels.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
    }
}

/* The same; in an index that memory cannot hold, asks for all of them first. */
RHUMB__INLINE void rhumb__measure_rows(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    if (rhumb__read_ahead_pays(graph, scratch->measured.section_id)) {
        rhumb__read_ahead_rows(scratch->rows, count, scratch->measured.row_bytes);
    }
    rhumb__measure_resident_rows(graph, scratch, count);
}

/* Measures the first `count` slots of scratch->batch into scratch->distances. */
RHUMB__INLINE void rhumb__measure_batch(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= RHUMB__BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) scratch->rows[i] = rhumb__measure_row(scratch, scratch->batch[i]);
    rhumb__measure_rows(graph, scratch, count);
}

/* Returns the distance of one node. */
RHUMB__INLINE float rhumb__measure_slot(const rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t slot) {
    const void *row = rhumb__measure_row(scratch, slot);
    if (scratch->measured.coded) return graph->coder.kernels.measure(&graph->coder, scratch->code_query, row);
    return scratch->kernels.distance(&graph->space, scratch->query, row);
}

/* Returns the distance of one node by its vector, also while codes are measured. */
RHUMB__INLINE float rhumb__measure_slot_exactly(const rhumb__graph *graph, const rhumb__scratch *scratch,
                                                uint32_t slot) {
    return scratch->kernels.distance(&graph->space, scratch->query, rhumb__graph_vector(graph, slot));
}

/* ---- from node to node ---- */

/* Measures `count` vectors from a vector, to choose links. */
RHUMB__INLINE void rhumb__measure_vectors(const rhumb__graph *graph, const void *vector, const void *const *vectors,
                                          uint32_t count, float *distances) {
    graph->space.link.distance_many(&graph->space, vector, vectors, count, distances);
}

/* Where to measure from, and by which kernel. */
typedef struct rhumb__measure_origin {
    const void *vector;
    rhumb__distance_many_fn distance_many;
} rhumb__measure_origin;

/* Sets the distances of `count` candidates. Overwrites scratch->rows and scratch->distances. */
RHUMB__INLINE void rhumb__measure_candidates_from(const rhumb__graph *graph, rhumb__scratch *scratch,
                                                  rhumb__measure_origin origin, rhumb__candidate *candidates,
                                                  uint32_t count) {
    RHUMB_ASSERT_DEBUG(!graph->graph_only);
    for (uint32_t begin = 0; begin < count; begin += RHUMB__BATCH_MAX) {
        const uint32_t batch_count = count - begin < RHUMB__BATCH_MAX ? count - begin : RHUMB__BATCH_MAX;
        for (uint32_t i = 0; i < batch_count; i++) {
            scratch->rows[i] = rhumb__graph_vector(graph, rhumb__candidate_slot(candidates[begin + i]));
        }
        if (rhumb__read_ahead_pays(graph, RHUMB__SECTION_VECTORS)) {
            rhumb__read_ahead_rows(scratch->rows, batch_count, graph->space.row_bytes);
        }
        origin.distance_many(&graph->space, origin.vector, scratch->rows, batch_count, scratch->distances);
        for (uint32_t i = 0; i < batch_count; i++) candidates[begin + i].distance = scratch->distances[i];
    }
}

/* What the next function does in an index that memory cannot hold. */
void rhumb__measure_on_disk(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate *candidates,
                            uint32_t count);

/* Sets the distances of `count` candidates to those from the query, which were estimates. */
RHUMB__INLINE void rhumb__measure_candidates_exactly(const rhumb__graph *graph, rhumb__scratch *scratch,
                                                     rhumb__candidate *candidates, uint32_t count) {
    if (rhumb__read_ahead_pays(graph, RHUMB__SECTION_VECTORS)) {
        rhumb__measure_on_disk(graph, scratch, candidates, count);
        return;
    }
    const rhumb__measure_origin origin = {scratch->query, scratch->kernels.distance_many};
    rhumb__measure_candidates_from(graph, scratch, origin, candidates, count);
}

/* Sets the distances of `count` candidates to those from the node at `slot`, to choose links. */
RHUMB__INLINE void rhumb__measure_candidates(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot,
                                             rhumb__candidate *candidates, uint32_t count) {
    const rhumb__measure_origin origin = {rhumb__graph_vector(graph, slot), graph->space.link.distance_many};
    rhumb__measure_candidates_from(graph, scratch, origin, candidates, count);
}

/* The same by the metric, to show them to a user. */
RHUMB__INLINE void rhumb__measure_neighbours(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot,
                                             rhumb__candidate *neighbours, uint32_t count) {
    const rhumb__measure_origin origin = {rhumb__graph_vector(graph, slot), graph->space.distance_many};
    rhumb__measure_candidates_from(graph, scratch, origin, neighbours, count);
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_MEASURE_H */
