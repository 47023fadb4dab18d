/* measure_on_disk.c - measuring vectors of an index that memory cannot hold, see measure.h.
 *
 * A search measures a few vectors at its end, and they are its only ones: they are read together, past the page cache,
 * which is left to what the steps of walks read. Where that is not to be had, they are asked for together, and read
 * through the mapping.
 *
 * Takes no lock.
 */
#include "base/bits.h"
#include "engine/search/walk/measure.h"
#include "storage/row_reads.h"

static_assert(RHUMB__IO_DIRECT_COUNT_MAX <= RHUMB__BATCH_MAX, "what is read at once is measured at once");

/* Reads vectors into memory of its own, and sets scratch->rows to where they are. */
static bool read_vectors(rhumb__io_direct *direct, const rhumb__graph *graph, rhumb__scratch *scratch,
                         const rhumb__candidate *candidates, uint32_t count) {
    uint32_t slots[RHUMB__IO_DIRECT_COUNT_MAX];
    for (uint32_t i = 0; i < count; i++) slots[i] = rhumb__candidate_slot(candidates[i]);
    return rhumb__row_reads_read(direct, &graph->sections[RHUMB__SECTION_VECTORS], slots, count, scratch->rows);
}

void rhumb__measure_on_disk(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate *candidates,
                            uint32_t count) {
    const rhumb__measure_origin origin = {scratch->query, scratch->kernels.distance_many};
    rhumb__io_direct *direct = rhumb__row_reads_take(graph->store);
    uint32_t done = 0;
    while (direct != NULL && done < count) {
        const uint32_t some_count = (uint32_t)rhumb__min_u64(count - done, RHUMB__IO_DIRECT_COUNT_MAX);
        if (!read_vectors(direct, graph, scratch, candidates + done, some_count)) break;
        origin.distance_many(&graph->space, origin.vector, scratch->rows, some_count, scratch->distances);
        for (uint32_t i = 0; i < some_count; i++) candidates[done + i].distance = scratch->distances[i];
        done += some_count;
    }
    rhumb__row_reads_give(graph->store, direct);
    rhumb__measure_candidates_from(graph, scratch, origin, candidates + done, count - done);
}
