/* range_search.c - see range_search.h. Takes no lock, except as a filter's search by list does.
 *
 * It begins as an ordinary search for the ef nearest. If the last of them is beyond the radius, that was all. Otherwise
 * the walk is taken up again from these, now to every node within the radius that can be reached through others within
 * it (the flood); nodes that fail the filter or are deleted are waypoints there. The flood meets each node once and has
 * a visited set of its own, because the first walk has forgotten what was not among the nearest.
 *
 * When there are more than the limit, the radius shrinks to the farthest of the nearest so far, so the flood stays
 * small.
 */
#include "engine/search/range_search.h"

#include <math.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/exact_search.h"
#include "engine/search/filter_search.h"
#include "engine/search/search.h"

typedef struct range {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__range_search *search;
    float radius; /* raw */
    bool has_dead;
    rhumb_status status; /* of the functions that cannot return one */
} range;

static uint64_t limit_of(const range *range) {
    return rhumb__min_u64(range->search->limit, range->scratch->slot_limit + 1);
}

/* Nodes that are farther are no answers any more. */
static float bound_of(const range *range) {
    const rhumb__candidate_heap *within = &range->scratch->within;
    return within->count < limit_of(range) ? range->radius : -within->entries[0].distance;
}

/* Adds an answer, for which there is room, if it is near enough. */
static void add(range *range, uint32_t slot, float distance) {
    rhumb__candidate_heap *within = &range->scratch->within;
    if (!(distance <= bound_of(range))) return;
    if (within->count >= limit_of(range)) (void)rhumb__candidate_heap_take(within);
    rhumb__candidate_heap_add(within, slot, -distance);
}

/* A rhumb__measured_fn. */
static void take_measured(void *context, rhumb__scratch *scratch, uint32_t count) {
    range *range = context;
    if (range->status == RHUMB_OK) range->status = rhumb__candidate_heap_reserve(&scratch->within, count);
    if (range->status != RHUMB_OK) return;
    for (uint32_t i = 0; i < count; i++) add(range, scratch->batch[i], scratch->distances[i]);
}

static bool is_answer(const range *range, uint32_t slot) {
    if (range->has_dead && rhumb__graph_is_dead(range->graph, slot)) return false;
    const rhumb__filter *filter = range->search->filter;
    return filter == NULL || rhumb__filter_matches(filter, rhumb__graph_key(range->graph, slot));
}

/* ---- the flood ---- */

/* Measures scratch->batch. What is within the radius is queued, and an answer if it may be one. */
static rhumb_status measure_and_queue(range *range, uint32_t count) {
    rhumb_status status;
    rhumb__scratch *scratch = range->scratch;
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->within, count));
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, count));
    rhumb__search_measure(range->graph, scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!(scratch->distances[i] <= bound_of(range))) continue;
        rhumb__candidate_heap_add(&scratch->queue, scratch->batch[i], scratch->distances[i]);
        if (is_answer(range, scratch->batch[i])) add(range, scratch->batch[i], scratch->distances[i]);
    }
done:
    return status;
}

static rhumb_status expand(range *range, uint32_t slot) {
    rhumb__scratch *scratch = range->scratch;
    return measure_and_queue(range,
                             rhumb__search_gather(range->graph, scratch, slot, &scratch->visited, scratch->slot_limit));
}

/* The nodes that no link leads to yet. */
static rhumb_status add_unlinked(range *range, uint64_t begin) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = range->scratch;
    const uint64_t end = rhumb__min_u64(range->graph->unlinked_end, scratch->slot_limit);
    while (begin < end && status == RHUMB_OK) {
        uint32_t count = 0;
        for (; begin < end && count < RHUMB__BATCH_MAX; begin++) {
            if (rhumb__visited_add(&scratch->visited, (uint32_t)begin)) continue;
            scratch->batch[count++] = (uint32_t)begin;
        }
        status = measure_and_queue(range, count);
    }
    return status;
}

static rhumb_status flood(range *range, const rhumb__candidate_pool *nearest) {
    rhumb_status status;
    rhumb__scratch *scratch = range->scratch;
    /* Acquire pairs with the release in recover.c, as in rhumb__search_nearest. */
    const uint64_t unlinked_begin = atomic_load_explicit(&range->graph->unlinked_begin, memory_order_acquire);
    rhumb__visited_clear(&scratch->visited);
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->within, nearest->count));
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, nearest->count));
    for (uint32_t i = 0; i < nearest->count; i++) {
        const uint32_t slot = rhumb__candidate_slot(nearest->entries[i]);
        if (rhumb__visited_add(&scratch->visited, slot)) continue;
        rhumb__candidate_heap_add(&scratch->queue, slot, nearest->entries[i].distance);
        add(range, slot, nearest->entries[i].distance);
    }
    RHUMB_TRY(add_unlinked(range, unlinked_begin));
    while (scratch->queue.count > 0) {
        const rhumb__candidate candidate = rhumb__candidate_heap_take(&scratch->queue);
        if (candidate.distance > bound_of(range)) break;
        RHUMB_TRY(expand(range, rhumb__candidate_slot(candidate)));
    }
done:
    return status;
}

/* ---- all of it ---- */

static rhumb_status measure_all(range *range, const rhumb__filter_estimate *estimate) {
    rhumb_status status;
    const rhumb__filter *filter = range->search->filter;
    if (estimate->by_list) {
        bool complete;
        RHUMB_TRY(rhumb__filter_visit_list(range->graph, range->scratch, filter, take_measured, range, &complete));
        if (complete) goto done;
        range->scratch->within.count = 0;
    }
    status = rhumb__exact_visit(range->graph, range->scratch, filter, take_measured, range);
done:
    return status == RHUMB_OK ? range->status : status;
}

/* Finds the ef nearest; *nearest_out is where they are, or NULL when everything has been measured instead. */
static rhumb_status find_nearest(range *range, rhumb__candidate_pool **nearest_out) {
    rhumb_status status;
    rhumb__scratch *scratch = range->scratch;
    const rhumb__range_search *search = range->search;
    *nearest_out = NULL;
    if (search->filter == NULL) {
        RHUMB_TRY(rhumb__search_nearest(range->graph, scratch, search->ef, nearest_out));
        goto done;
    }
    rhumb__filter_estimate estimate;
    bool finished = false;
    const rhumb__filter_plan plan = rhumb__filter_estimate_make(range->graph, scratch, search->filter, &estimate);
    if (plan != RHUMB__FILTER_PLAN_EXACT) {
        RHUMB_TRY(rhumb__filter_search_walk(range->graph, scratch, search->filter, &estimate, plan, 1, search->ef,
                                            &finished));
    }
    if (finished) {
        *nearest_out = &scratch->answers;
    } else {
        status = measure_all(range, &estimate);
    }
done:
    return status;
}

/* Whether the radius reaches beyond the nearest ones. */
static bool reaches_beyond(const range *range, const rhumb__candidate_pool *nearest) {
    if (nearest->count < nearest->limit || nearest->count >= limit_of(range)) return false;
    return nearest->entries[nearest->count - 1].distance <= range->radius;
}

/* Writes the answers, nearest first. */
static rhumb_status emit(range *range, uint64_t replace_done, uint64_t *found_count_out) {
    rhumb_status status = RHUMB_OK;
    const rhumb__range_search *search = range->search;
    rhumb__scratch *scratch = range->scratch;
    const bool replacing = atomic_load(&range->graph->replace_begun) != replace_done;
    const uint64_t count = scratch->within.count;
    uint64_t found_count = 0;
    scratch->queue.count = 0;
    rhumb__key_set_clear(&scratch->emitted);
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, count));
    for (uint64_t i = count; i > 0; i--) scratch->queue.entries[i - 1] = rhumb__candidate_heap_take(&scratch->within);
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t slot = rhumb__candidate_slot(scratch->queue.entries[i]);
        if ((rhumb__graph_node(range->graph, slot) & RHUMB__NODE_PRESENT) == 0) continue;
        const uint64_t key = rhumb__graph_key(range->graph, slot);
        if (replacing) {
            RHUMB_TRY(rhumb__key_set_reserve(&scratch->emitted));
            if (rhumb__key_set_add(&scratch->emitted, key)) continue;
        }
        search->keys[found_count] = key;
        if (search->distances != NULL) {
            search->distances[found_count] =
                rhumb__space_finish(&range->graph->space, -scratch->queue.entries[i].distance);
        }
        found_count++;
    }
    for (uint64_t i = found_count; i < search->limit; i++) {
        search->keys[i] = UINT64_MAX;
        if (search->distances != NULL) search->distances[i] = INFINITY;
    }
    *found_count_out = found_count;
done:
    return status;
}

rhumb_status rhumb__range_search_run(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__range_search *search,
                                     uint64_t *found_count_out) {
    rhumb_status status;
    range range = {.graph = graph, .scratch = scratch, .search = search};
    const uint64_t replace_done = atomic_load(&graph->replace_done);
    range.radius = rhumb__space_raw(&graph->space, search->radius);
    range.has_dead = atomic_load(&graph->dead_count) > 0;
    scratch->within.count = 0;
    scratch->queue.count = 0;
    rhumb__candidate_pool *nearest;
    RHUMB_TRY(find_nearest(&range, &nearest));
    if (nearest != NULL && reaches_beyond(&range, nearest)) {
        RHUMB_TRY(flood(&range, nearest));
    } else if (nearest != NULL) {
        RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->within, nearest->count));
        for (uint32_t i = 0; i < nearest->count; i++) {
            add(&range, rhumb__candidate_slot(nearest->entries[i]), nearest->entries[i].distance);
        }
    }
    status = emit(&range, replace_done, found_count_out);
done:
    return status;
}
