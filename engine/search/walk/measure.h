/* measure.h - the one place where the engine measures distances.
 *
 * There are two kinds: from the query of a scratch to nodes, which guide a search, and from one node to others, which
 * choose links. The former are those of the metric while a user searches, and those that link nodes while a node is
 * being linked (scratch->kernels); the latter are those that link. Distances are raw; rhumb__space_finish turns those
 * of the metric into its own unit.
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

/* Lines of a row that are prefetched as soon as its slot is known. The kernel itself runs ahead within a row, so more
 * than its beginning would only fill the queue of outstanding loads. Short rows end before the kernel is up to speed.
 */
#define RHUMB__PREFETCH_LINES_SHORT 4u
#define RHUMB__PREFETCH_LINES_LONG 2u
#define RHUMB__SHORT_ROW_BYTES 1024u

/* Returns the row that measuring a node reads. The slot is below slot_limit. */
RHUMB__INLINE const void *rhumb__measure_row(const rhumb__graph *graph, uint32_t slot) {
    return rhumb__graph_vector(graph, slot);
}

/* Returns how many bytes of a row are prefetched. */
RHUMB__INLINE uint32_t rhumb__measure_prefetch_bytes(const rhumb__graph *graph) {
    const uint32_t row_bytes = graph->space.row_bytes;
    const uint32_t lines =
        row_bytes <= RHUMB__SHORT_ROW_BYTES ? RHUMB__PREFETCH_LINES_SHORT : RHUMB__PREFETCH_LINES_LONG;
    return row_bytes < lines * RHUMB__CACHE_LINE_BYTES ? row_bytes : lines * RHUMB__CACHE_LINE_BYTES;
}

/* Prefetches the first `bytes` of what measuring a node reads, and returns it. */
RHUMB__INLINE const void *rhumb__measure_prefetch(const rhumb__graph *graph, uint32_t slot, uint32_t bytes) {
    const uint8_t *row = rhumb__measure_row(graph, slot);
    for (uint32_t offset = 0; offset < bytes; offset += RHUMB__CACHE_LINE_BYTES) {
        __builtin_prefetch(row + offset, 0, 3);
    }
    return row;
}

/* ---- from the query, scratch->query ---- */

/* Measures the first `count` of scratch->rows, which are rows of rhumb__measure_row, into scratch->distances. */
RHUMB__INLINE void rhumb__measure_resident_rows(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= RHUMB__BATCH_MAX && !graph->graph_only);
    scratch->kernels.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
}

/* The same; in an index that memory cannot hold, asks for all of them first. */
RHUMB__INLINE void rhumb__measure_rows(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    if (rhumb__read_ahead_pays(graph)) rhumb__read_ahead_rows(scratch->rows, count, graph->space.row_bytes);
    rhumb__measure_resident_rows(graph, scratch, count);
}

/* Measures the first `count` slots of scratch->batch into scratch->distances. */
RHUMB__INLINE void rhumb__measure_batch(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= RHUMB__BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) scratch->rows[i] = rhumb__measure_row(graph, scratch->batch[i]);
    rhumb__measure_rows(graph, scratch, count);
}

/* Returns the distance of one node. */
RHUMB__INLINE float rhumb__measure_slot(const rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t slot) {
    return scratch->kernels.distance(&graph->space, scratch->query, rhumb__measure_row(graph, slot));
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
            scratch->rows[i] = rhumb__graph_vector(graph, candidates[begin + i].slot_mark);
        }
        if (rhumb__read_ahead_pays(graph)) {
            rhumb__read_ahead_rows(scratch->rows, batch_count, graph->space.row_bytes);
        }
        origin.distance_many(&graph->space, origin.vector, scratch->rows, batch_count, scratch->distances);
        for (uint32_t i = 0; i < batch_count; i++) candidates[begin + i].distance = scratch->distances[i];
    }
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
