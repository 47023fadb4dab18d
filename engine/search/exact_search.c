/* exact_search.c - see exact_search.h. A scan reads the vectors in the order of the file. Takes no lock, except briefly
 * for each key that is looked up (filter_exact.c).
 */
#include "engine/search/exact_search.h"

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/filter_search.h"
#include "engine/search/walk/measure.h"

#define ROWS_PER_CALL 64u

/* Gathers the next live nodes of [*next, end) that match the filter, if there is one. Returns how many. */
static uint32_t scan_gather(const rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                            uint64_t *next, uint64_t end) {
    uint32_t count = 0;
    uint64_t at = *next;
    for (; at < end && count < ROWS_PER_CALL; at++) {
        const uint32_t slot = (uint32_t)at;
        rhumb__read_ahead_scan(graph, RHUMB__SECTION_VECTORS, at);
        if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0) continue;
        if (rhumb__graph_is_dead(graph, slot)) continue;
        if (scratch->hidden != NULL && rhumb__bit_get(scratch->hidden->bits, at)) continue;
        const void *row = rhumb__measure_row(scratch, slot);
        if (filter != NULL) {
            if (!rhumb__filter_matches(filter, rhumb__graph_key(graph, slot))) continue;
            /* Without a filter rows follow each other, and the processor prefetches them by itself. */
            (void)rhumb__measure_prefetch(&scratch->measured, slot);
        }
        scratch->batch[count] = slot;
        scratch->rows[count++] = row;
    }
    *next = at;
    return count;
}

/* The end of the slots that have been allocated and that the scratch may read. An index that grows has room for many
 * more. */
static uint64_t scan_end(const rhumb__graph *graph, const rhumb__scratch *scratch) {
    return rhumb__min_u64(scratch->slot_limit, rhumb__graph_slot_count(graph));
}

/* Visits all nodes in the order of slots. */
static rhumb_status scan(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                         const rhumb__visitor *visitor) {
    rhumb_status status = RHUMB_OK;
    if (!rhumb__scratch_extend(scratch)) return rhumb__error_last()->status;
    /* While an upsert runs, the old node may be dead by the time the scan gets there, and the new one may come after
     * the end that was read. So the scan continues with the nodes added in the meantime, fewer each time, until there
     * are none. */
    uint64_t end;
    for (uint64_t next = 0; next < (end = scan_end(graph, scratch));) {
        while (next < end) {
            const uint32_t count = scan_gather(graph, scratch, filter, &next, end);
            rhumb__measure_rows(graph, scratch, count);
            RHUMB_TRY(visitor->take(visitor->context, scratch, count));
        }
        if (!rhumb__scratch_extend(scratch)) return rhumb__error_last()->status;
    }
done:
    return status;
}

rhumb_status rhumb__exact_visit(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter_estimate *estimate,
                                const rhumb__visitor *visitor) {
    rhumb_status status;
    if (estimate->by_list) {
        bool complete;
        if (visitor->begin != NULL) RHUMB_TRY(visitor->begin(visitor->context, scratch));
        RHUMB_TRY(rhumb__filter_visit_list(graph, scratch, estimate->filter, visitor, &complete));
        if (complete) goto done;
    }
    if (visitor->begin != NULL) RHUMB_TRY(visitor->begin(visitor->context, scratch));
    status = scan(graph, scratch, estimate->filter, visitor);
done:
    return status;
}

/* ---- the nearest ---- */

static rhumb_status nearest_begin(void *context, rhumb__scratch *scratch) {
    const uint32_t *count = context;
    return rhumb__scratch_prepare_search(scratch, *count);
}

static rhumb_status nearest_take(void *context, rhumb__scratch *scratch, uint32_t count) {
    (void)context;
    rhumb__candidate_pool *pool = &scratch->pool;
    for (uint32_t i = 0; i < count; i++) rhumb__candidate_pool_add(pool, scratch->batch[i], scratch->distances[i]);
    return RHUMB_OK;
}

rhumb_status rhumb__exact_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter_estimate *estimate,
                                  uint32_t count) {
    const rhumb__visitor visitor = {nearest_begin, nearest_take, &count};
    RHUMB_ASSERT_DEBUG(count > 0);
    const rhumb_status status = rhumb__exact_visit(graph, scratch, estimate, &visitor);
    if (status == RHUMB_OK) rhumb__candidate_pool_settle(&scratch->pool);
    return status;
}
