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

void rhumb__measure_on_disk(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__measure_origin origin,
                            rhumb__candidate *candidates, uint32_t count) {
    const rhumb__section *vectors = &graph->sections[RHUMB__SECTION_VECTORS];
    rhumb__io_direct *direct = rhumb__row_reads_take(graph->store);
    uint32_t slots[RHUMB__BATCH_MAX];
    const uint32_t batch_max = direct != NULL ? RHUMB__IO_DIRECT_COUNT_MAX : RHUMB__BATCH_MAX;
    for (uint32_t begin = 0; begin < count; begin += batch_max) {
        const uint32_t batch_count = (uint32_t)rhumb__min_u64(count - begin, batch_max);
        for (uint32_t i = 0; i < batch_count; i++) {
            slots[i] = rhumb__candidate_slot(candidates[begin + i]);
        }
        if (direct == NULL || !rhumb__row_reads_read(direct, vectors, slots, batch_count, scratch->rows)) {
            for (uint32_t i = 0; i < batch_count; i++) {
                scratch->rows[i] = rhumb__graph_vector(graph, slots[i]);
            }
            rhumb__read_ahead_rows(scratch->rows, batch_count, graph->space.row_bytes);
        }
        origin.distance_many(&graph->space, origin.vector, scratch->rows, batch_count, scratch->distances);
        for (uint32_t i = 0; i < batch_count; i++) candidates[begin + i].distance = scratch->distances[i];
    }
    rhumb__row_reads_give(graph->store, direct);
}
