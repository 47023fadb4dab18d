/* exact_search.c - see exact_search.h. Reads the vectors in the order of the file; takes no lock.
 */
#include "engine/search/exact_search.h"

#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/prefetch.h"

#define ROWS_PER_CALL 64u

typedef struct visit {
    const rhumb__filter *filter;
    rhumb__measured_fn take;
    void *context;
} visit;

/* Measures the live nodes of [begin, end) that the filter, if there is one, lets through. */
static void scan(rhumb__graph *graph, rhumb__scratch *scratch, const visit *visit, uint64_t begin, uint64_t end) {
    for (uint64_t slot = begin; slot < end;) {
        uint32_t count = 0;
        for (; slot < end && count < ROWS_PER_CALL; slot++) {
            if ((rhumb__graph_node(graph, (uint32_t)slot) & RHUMB__NODE_PRESENT) == 0) continue;
            if (rhumb__graph_is_dead(graph, (uint32_t)slot)) continue;
            const uint8_t *row = rhumb__graph_vector(graph, (uint32_t)slot);
            if (visit->filter != NULL) {
                if (!rhumb__filter_matches(visit->filter, rhumb__graph_key(graph, (uint32_t)slot))) continue;
                /* Without a filter rows follow each other, and the processor sees them coming. */
                rhumb__prefetch_vector(graph, row);
            }
            scratch->batch[count] = (uint32_t)slot;
            scratch->rows[count++] = row;
        }
        graph->space.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
        visit->take(visit->context, scratch, count);
    }
}

rhumb_status rhumb__exact_visit(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                rhumb__measured_fn take, void *context) {
    const visit visit = {filter, take, context};
    if (!rhumb__scratch_extend(scratch)) return rhumb__error_last()->status;
    /* When an upsert overlaps, the old node may be dead by the time the scan gets there, and the new one lies behind
     * what was the end then. So what has come meanwhile is scanned too, which takes ever less time. */
    for (uint64_t begin = 0; begin < scratch->slot_limit;) {
        const uint64_t end = scratch->slot_limit;
        scan(graph, scratch, &visit, begin, end);
        if (!rhumb__scratch_extend(scratch)) return rhumb__error_last()->status;
        begin = end;
    }
    return RHUMB_OK;
}

void rhumb__exact_take_nearest(void *context, rhumb__scratch *scratch, uint32_t count) {
    rhumb__candidate_pool *pool = context;
    for (uint32_t i = 0; i < count; i++) rhumb__candidate_pool_add(pool, scratch->batch[i], scratch->distances[i]);
}

rhumb_status rhumb__exact_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                 uint32_t k) {
    rhumb_status status = rhumb__scratch_prepare_search(scratch, k);
    if (status != RHUMB_OK) return status;
    return rhumb__exact_visit(graph, scratch, filter, rhumb__exact_take_nearest, &scratch->pool);
}
