/* range_search.c - all nodes within a radius. Takes no lock, except where keys are looked up (filter_exact.c).
 *
 * It begins as an ordinary search for the ef nearest. If the last of them is beyond the radius, there are no more
 * answers. Otherwise the walk continues from these to every node within the radius that can be reached through others
 * within it (the flood); nodes that fail the filter or are deleted are passed through. The flood meets each node once
 * and empties the visited set first, because the first walk has dropped what was not among the nearest.
 *
 * When there are more answers than the caller has room for, the radius shrinks to the farthest of the nearest ones, so
 * the flood stays small.
 */
#include <math.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/exact_search.h"
#include "engine/search/search.h"
#include "engine/search/walk/walk.h"

typedef struct range_search {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__filter *filter; /* or NULL */
    uint64_t capacity;           /* answers that the caller has room for */
    float radius;                /* raw */
    bool has_dead;
} range_search;

static uint64_t range_capacity(const range_search *range) {
    return rhumb__min_u64(range->capacity, range->scratch->slot_limit + 1);
}

/* Returns the distance beyond which nodes are no longer answers. */
static float range_bound(const range_search *range) {
    const rhumb__candidate_heap *within = &range->scratch->within;
    return within->count < range_capacity(range) ? range->radius : -within->entries[0].distance;
}

/* Adds an answer, for which there is room in the heap, if it is near enough. */
static void range_add(range_search *range, uint32_t slot, float distance) {
    rhumb__candidate_heap *within = &range->scratch->within;
    RHUMB_ASSERT_DEBUG(within->count < within->capacity);
    if (!(distance <= range_bound(range))) return;
    if (within->count >= range_capacity(range)) (void)rhumb__candidate_heap_take(within);
    rhumb__candidate_heap_add(within, slot, -distance);
}

/* Adds the nearest that were found. */
static rhumb_status range_add_nearest(range_search *range, const rhumb__candidate_pool *nearest) {
    const rhumb_status status = rhumb__candidate_heap_reserve(&range->scratch->within, nearest->count);
    for (uint32_t i = 0; status == RHUMB_OK && i < nearest->count; i++) {
        range_add(range, rhumb__candidate_slot(nearest->entries[i]), nearest->entries[i].distance);
    }
    return status;
}

static bool range_is_answer(const range_search *range, uint32_t slot) {
    if (range->has_dead && rhumb__graph_is_dead(range->graph, slot)) return false;
    return range->filter == NULL || rhumb__filter_matches(range->filter, rhumb__graph_key(range->graph, slot));
}

/* ---- the flood ---- */

/* Queues the measured nodes of scratch->batch that are within the radius; those that may be answers are added. */
static rhumb_status flood_queue(range_search *range, uint32_t count) {
    rhumb_status status;
    rhumb__scratch *scratch = range->scratch;
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->within, count));
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, count));
    for (uint32_t i = 0; i < count; i++) {
        if (!(scratch->distances[i] <= range_bound(range))) continue;
        rhumb__candidate_heap_add(&scratch->queue, scratch->batch[i], scratch->distances[i]);
        if (range_is_answer(range, scratch->batch[i])) range_add(range, scratch->batch[i], scratch->distances[i]);
    }
done:
    return status;
}

static rhumb_status flood_expand(range_search *range, uint32_t slot) {
    rhumb__scratch *scratch = range->scratch;
    const rhumb__list list = rhumb__graph_list(range->graph, slot, 0);
    const uint32_t count = rhumb__walk_gather(range->graph, scratch, &list, &scratch->visited, scratch->slot_limit);
    rhumb__measure_rows(range->graph, scratch, count);
    return flood_queue(range, count);
}

/* Queues the nodes that no link leads to. */
static rhumb_status flood_queue_unlinked(range_search *range, rhumb__unlinked_scan *scan) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = range->scratch;
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &scratch->visited, scratch->slot_limit)) > 0) {
        rhumb__measure_batch(range->graph, scratch, count);
        RHUMB_TRY(flood_queue(range, count));
    }
done:
    return status;
}

static rhumb_status flood(range_search *range, const rhumb__candidate_pool *nearest) {
    rhumb_status status;
    rhumb__scratch *scratch = range->scratch;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(range->graph);
    rhumb__visited_clear(&scratch->visited);
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->within, nearest->count));
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, nearest->count));
    for (uint32_t i = 0; i < nearest->count; i++) {
        const uint32_t slot = rhumb__candidate_slot(nearest->entries[i]);
        if (rhumb__visited_add(&scratch->visited, slot)) continue;
        rhumb__candidate_heap_add(&scratch->queue, slot, nearest->entries[i].distance);
        range_add(range, slot, nearest->entries[i].distance);
    }
    RHUMB_TRY(flood_queue_unlinked(range, &scan));
    while (scratch->queue.count > 0) {
        const rhumb__candidate candidate = rhumb__candidate_heap_take(&scratch->queue);
        if (candidate.distance > range_bound(range)) break;
        RHUMB_TRY(flood_expand(range, rhumb__candidate_slot(candidate)));
    }
done:
    return status;
}

/* ---- measuring everything ---- */

static rhumb_status range_visit_begin(void *context, rhumb__scratch *scratch) {
    (void)context;
    scratch->within.count = 0;
    /* Reads the slot limit, which range_capacity needs, in case no walk has read it. */
    return rhumb__scratch_extend(scratch) ? RHUMB_OK : rhumb__error_last()->status;
}

static rhumb_status range_visit_take(void *context, rhumb__scratch *scratch, uint32_t count) {
    range_search *range = context;
    const rhumb_status status = rhumb__candidate_heap_reserve(&scratch->within, count);
    for (uint32_t i = 0; status == RHUMB_OK && i < count; i++) {
        range_add(range, scratch->batch[i], scratch->distances[i]);
    }
    return status;
}

/* ---- all answers ---- */

/* Whether there may be answers beyond the nearest nodes. */
static bool reaches_beyond(const range_search *range, const rhumb__candidate_pool *nearest) {
    if (nearest->count < nearest->capacity || nearest->count >= range_capacity(range)) return false;
    return nearest->entries[nearest->count - 1].distance <= range->radius;
}

/* Puts all answers into scratch->within. */
static rhumb_status range_find(range_search *range, uint32_t ef) {
    rhumb_status status;
    rhumb__filter_estimate estimate;
    rhumb__candidate_pool *nearest;
    const rhumb__search_goal goal = {.filter = range->filter, .ef = ef, .wanted_count = 1};
    RHUMB_TRY(rhumb__search_nearest(range->graph, range->scratch, &goal, &estimate, &nearest));
    if (nearest == NULL) {
        const rhumb__visitor visitor = {range_visit_begin, range_visit_take, range};
        status = rhumb__exact_visit(range->graph, range->scratch, &estimate, &visitor);
    } else if (reaches_beyond(range, nearest)) {
        status = flood(range, nearest);
    } else {
        status = range_add_nearest(range, nearest);
    }
done:
    return status;
}

/* Moves the answers to scratch->queue, nearest first, with their distances negated. */
static rhumb_status range_sort(range_search *range) {
    rhumb__scratch *scratch = range->scratch;
    const uint64_t count = scratch->within.count;
    scratch->queue.count = 0;
    const rhumb_status status = rhumb__candidate_heap_reserve(&scratch->queue, count);
    if (status != RHUMB_OK) return status;
    for (uint64_t i = count; i > 0; i--) scratch->queue.entries[i - 1] = rhumb__candidate_heap_take(&scratch->within);
    scratch->queue.count = count;
    return RHUMB_OK;
}

/* Turns the sorted nodes into the answer. `replace_done` is as in search.c. */
static rhumb_status range_emit(range_search *range, uint64_t replace_done, rhumb__answer *answer) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = range->scratch;
    const bool replacing = atomic_load(&range->graph->replace_begun) != replace_done;
    uint64_t found_count = 0;
    rhumb__key_set_clear(&scratch->emitted);
    for (uint64_t i = 0; i < scratch->queue.count; i++) {
        const rhumb__candidate candidate = scratch->queue.entries[i];
        const uint32_t slot = rhumb__candidate_slot(candidate);
        if ((rhumb__graph_node(range->graph, slot) & RHUMB__NODE_PRESENT) == 0) continue;
        const uint64_t key = rhumb__graph_key(range->graph, slot);
        if (replacing) {
            RHUMB_TRY(rhumb__key_set_reserve(&scratch->emitted));
            if (rhumb__key_set_add(&scratch->emitted, key)) continue;
        }
        answer->keys[found_count] = key;
        if (answer->distances != NULL) {
            answer->distances[found_count] = rhumb__space_finish(&range->graph->space, -candidate.distance);
        }
        found_count++;
    }
    answer->found_count = found_count;
    rhumb__answer_pad(answer);
done:
    return status;
}

rhumb_status rhumb__range_search(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__request *request,
                                 rhumb__answer *answer) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(request->has_radius && !isnan(request->radius) && answer->capacity > 0);
    range_search range = {.graph = graph, .scratch = scratch, .filter = request->filter, .capacity = answer->capacity};
    const uint64_t replace_done = atomic_load(&graph->replace_done);
    range.radius = rhumb__space_raw(&graph->space, request->radius);
    range.has_dead = atomic_load(&graph->dead_count) > 0;
    scratch->within.count = 0;
    scratch->queue.count = 0;
    RHUMB_TRY(range_find(&range, rhumb__request_ef(request, graph)));
    RHUMB_TRY(range_sort(&range));
    status = range_emit(&range, replace_done, answer);
done:
    return status;
}
