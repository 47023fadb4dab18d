/* exact_search.c - see exact_search.h. Reads the vectors in the order of the file; takes no lock.
 */
#include "engine/exact_search.h"

#include "base/status.h"
#include "engine/tombstones.h"

#define ROWS_PER_CALL 64u

/* Measures the live nodes of [begin, end). */
static void scan(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t begin, uint64_t end) {
    for (uint64_t first = begin; first < end; first += ROWS_PER_CALL) {
        uint32_t count = 0;
        for (uint64_t slot = first; slot < end && slot < first + ROWS_PER_CALL; slot++) {
            if ((rhumb__graph_node(graph, (uint32_t)slot) & RHUMB__NODE_PRESENT) == 0) continue;
            if (rhumb__graph_is_dead(graph, (uint32_t)slot)) continue;
            scratch->batch[count] = (uint32_t)slot;
            scratch->rows[count++] = rhumb__graph_vector(graph, (uint32_t)slot);
        }
        graph->space.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
        for (uint32_t i = 0; i < count; i++) {
            rhumb__candidate_pool_add(&scratch->pool, scratch->batch[i], scratch->distances[i]);
        }
    }
}

rhumb_status rhumb__exact_search(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t k) {
    rhumb_status status = rhumb__scratch_prepare_search(scratch, k);
    if (status != RHUMB_OK) return status;
    rhumb__candidate_pool_clear(&scratch->pool, k);
    /* When an upsert overlaps, the old node may be dead by the time the scan gets there, and the new one lies behind
     * what was the end then. So what has come meanwhile is scanned too, which takes ever less time. */
    for (uint64_t begin = 0; begin < scratch->slot_limit;) {
        const uint64_t end = scratch->slot_limit;
        scan(graph, scratch, begin, end);
        if (!rhumb__scratch_extend(scratch)) return rhumb__error_last()->status;
        begin = end;
    }
    return RHUMB_OK;
}
