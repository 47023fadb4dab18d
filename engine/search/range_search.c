/* range_search.c - all nodes within a radius. Takes no lock, except where keys are looked up (filter_exact.c).
 *
 * It begins as an ordinary search for the ef nearest. If the last of them is beyond the radius, there are no more
 * answers. Otherwise the walk continues from these to every node within the radius (the flood); nodes that fail the
 * filter or are deleted are passed through. Parts of the answer can hang together only through nodes beyond the radius.
 * So the flood goes on through the nearest of these, until ef of them in succession have led to no answer. It meets
 * each node once and empties the visited set first, because the first walk has dropped what was not among the nearest.
 *
 * When there are more answers than the caller has room for, the radius shrinks to the farthest of the nearest ones, so
 * the flood stays small. A flood that has cost as much as measuring every node is ended by doing that.
 */
#include <math.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/search/exact_search.h"
#include "engine/search/filter_search.h"
#include "engine/search/search.h"
#include "engine/search/walk/group.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/rescore.h"
#include "engine/search/walk/walk.h"

typedef struct range_search {
    rhumb__graph *graph;
    rhumb__scratch *scratch;
    const rhumb__filter *filter; /* or NULL */
    uint64_t capacity;           /* answers that the caller has room for */
    float radius;                /* raw */
    bool coded;                  /* codes are measured first, and the vectors of what may be an answer */
    uint64_t followed_count;     /* copies that chains were followed through */
} range_search;

static uint64_t range_capacity(const range_search *range) {
    return rhumb__min_u64(range->capacity, range->scratch->slot_limit + 1);
}

/* Returns the distance beyond which nodes are no longer answers. */
static float range_bound(const range_search *range) {
    const rhumb__candidate_heap *within = &range->scratch->within;
    return within->count < range_capacity(range) ? range->radius : -within->entries[0].distance;
}

/* Whether another answer at this distance is not needed. */
static bool range_is_full(const range_search *range, float distance) {
    const rhumb__candidate_heap *within = &range->scratch->within;
    if (!(distance <= range->radius)) return true;
    return within->count >= range_capacity(range) && !(distance < -within->entries[0].distance);
}

/* Adds an answer if it is near enough. */
static rhumb_status range_add(range_search *range, uint32_t slot, float distance) {
    rhumb_status status = RHUMB_OK;
    rhumb__candidate_heap *within = &range->scratch->within;
    if (range_is_full(range, distance)) goto done;
    RHUMB_TRY(rhumb__candidate_heap_reserve(within, 1));
    if (within->count >= range_capacity(range)) (void)rhumb__candidate_heap_take(within);
    rhumb__candidate_heap_add(within, slot, -distance);
done:
    return status;
}

/* Adds the members of a group that are answers. The head is in the visited set already; copies are put there, so that
 * none is added twice. */
static rhumb_status range_add_group(range_search *range, uint32_t head, float distance) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = range->scratch;
    if (rhumb__filter_passes(range->graph, range->filter, head)) RHUMB_TRY(range_add(range, head, distance));
    if (!rhumb__graph_has_copies(range->graph)) goto done;
    rhumb__copies copies = rhumb__group_copies(range->graph, head, range->followed_count);
    uint32_t copy;
    while (!range_is_full(range, distance) &&
           rhumb__group_next(range->graph, &copies, scratch->slot_limit, &range->followed_count, &copy)) {
        if (rhumb__visited_add(&scratch->visited, copy)) continue;
        if (rhumb__filter_passes(range->graph, range->filter, copy)) RHUMB_TRY(range_add(range, copy, distance));
    }
done:
    return status;
}

/* Adds the nearest that were found, and the members of their groups. */
static rhumb_status range_add_nearest(range_search *range, const rhumb__candidate_pool *nearest) {
    rhumb_status status = RHUMB_OK;
    rhumb__visited_clear(&range->scratch->visited);
    for (uint32_t i = 0; i < nearest->count; i++) {
        const uint32_t slot = rhumb__candidate_slot(nearest->entries[i]);
        if (rhumb__visited_add(&range->scratch->visited, slot)) continue;
        RHUMB_TRY(range_add_group(range, slot, nearest->entries[i].distance));
    }
done:
    return status;
}

/* ---- the flood ---- */

typedef struct flood {
    range_search *range;
    uint64_t answer_count; /* groups that were within the radius */
    uint64_t expanded_count;
    uint64_t measured_count;
} flood;

/* Adds the measured nodes of scratch->batch: those within the radius to the queue and to the answers, the others to the
 * pool, which keeps the nearest. */
static rhumb_status flood_queue(flood *f, uint32_t count) {
    rhumb_status status;
    range_search *range = f->range;
    rhumb__scratch *scratch = range->scratch;
    f->measured_count += count;
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, count));
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = scratch->batch[i];
        const float distance = scratch->distances[i];
        if (distance <= range_bound(range)) {
            rhumb__candidate_heap_add(&scratch->queue, slot, distance);
            RHUMB_TRY(range_add_group(range, slot, distance));
            f->answer_count++;
        } else {
            rhumb__candidate_pool_add(&scratch->pool, slot, distance);
        }
    }
done:
    return status;
}

/* Measures the first `count` nodes of scratch->batch that may be answers, which may leave fewer of them. The others, as
 * their estimates show, go to the pool. */
static uint32_t flood_measure(flood *f, uint32_t count) {
    range_search *range = f->range;
    rhumb__scratch *scratch = range->scratch;
    rhumb__candidate near[RHUMB__BATCH_MAX];
    uint32_t near_count = 0;
    rhumb__measure_rows(range->graph, scratch, count);
    if (!range->coded) return count;
    f->measured_count += count;
    const float bound = range_bound(range);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = scratch->batch[i];
        const float estimate = scratch->distances[i];
        if (rhumb__rescore_least(range->graph, scratch, slot, estimate) > bound) {
            rhumb__candidate_pool_add(&scratch->pool, slot, estimate);
        } else {
            near[near_count++] = (rhumb__candidate){.slot_mark = slot};
        }
    }
    rhumb__measure_candidates_exactly(range->graph, scratch, near, near_count);
    for (uint32_t i = 0; i < near_count; i++) scratch->batch[i] = near[i].slot_mark;
    return near_count;
}

static rhumb_status flood_expand(flood *f, uint32_t slot) {
    rhumb__scratch *scratch = f->range->scratch;
    const rhumb__list list = rhumb__graph_list(f->range->graph, slot, 0);
    const uint32_t count = rhumb__walk_gather(scratch, &list, &scratch->visited, scratch->slot_limit);
    f->expanded_count++;
    return flood_queue(f, flood_measure(f, count));
}

/* Queues the nodes that no link leads to. */
static rhumb_status flood_queue_unlinked(flood *f, rhumb__unlinked_scan *scan) {
    rhumb_status status = RHUMB_OK;
    rhumb__scratch *scratch = f->range->scratch;
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &scratch->visited, scratch->slot_limit)) > 0) {
        for (uint32_t i = 0; i < count; i++) scratch->rows[i] = rhumb__measure_row(scratch, scratch->batch[i]);
        RHUMB_TRY(flood_queue(f, flood_measure(f, count)));
    }
done:
    return status;
}

/* Whether the flood has cost as much as measuring every node. */
static bool flood_is_hopeless(const flood *f, const rhumb__filter_estimate *estimate) {
    const rhumb__graph *graph = f->range->graph;
    const double cost_ns = (double)f->measured_count * rhumb__filter_distance_ns(graph) +
                           (double)f->expanded_count * graph->params.M0 * RHUMB__FILTER_HOP_NS +
                           (double)f->range->followed_count * RHUMB__FILTER_HOP_NS;
    return cost_ns > estimate->exact_ns;
}

/* Expands the queued nodes. *hopeless_out is whether measuring every node is better. */
static rhumb_status flood_within(flood *f, const rhumb__filter_estimate *estimate, bool *hopeless_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__candidate_heap *queue = &f->range->scratch->queue;
    *hopeless_out = false;
    while (queue->count > 0 && !*hopeless_out) {
        const rhumb__candidate candidate = rhumb__candidate_heap_take(queue);
        if (candidate.distance > range_bound(f->range)) break;
        RHUMB_TRY(flood_expand(f, rhumb__candidate_slot(candidate)));
        *hopeless_out = flood_is_hopeless(f, estimate);
    }
    queue->count = 0;
done:
    return status;
}

/* Expands the nearest nodes beyond the radius, and what they lead to within it. */
static rhumb_status flood_beyond(flood *f, const rhumb__filter_estimate *estimate, bool *hopeless_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__candidate_pool *beyond = &f->range->scratch->pool;
    uint32_t barren_count = 0; /* expanded since the last answer */
    uint32_t slot;
    *hopeless_out = false;
    while (barren_count < beyond->capacity && !*hopeless_out && rhumb__candidate_pool_take(beyond, &slot)) {
        const uint64_t answer_count = f->answer_count;
        RHUMB_TRY(flood_expand(f, slot));
        barren_count = f->answer_count == answer_count ? barren_count + 1 : 0;
        RHUMB_TRY(flood_within(f, estimate, hopeless_out));
    }
done:
    return status;
}

/* Adds all answers that can be reached from the nearest; *hopeless_out is as above. */
static rhumb_status flood_run(range_search *range, const rhumb__candidate_pool *nearest, uint32_t ef,
                              const rhumb__filter_estimate *estimate, bool *hopeless_out) {
    rhumb_status status;
    rhumb__scratch *scratch = range->scratch;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(range->graph);
    flood f = {.range = range};
    RHUMB_TRY(rhumb__candidate_heap_reserve(&scratch->queue, nearest->count));
    RHUMB_TRY(range_add_nearest(range, nearest));
    scratch->queue.count = 0;
    for (uint32_t i = 0; i < nearest->count; i++) {
        const rhumb__candidate candidate = nearest->entries[i];
        rhumb__candidate_heap_add(&scratch->queue, rhumb__candidate_slot(candidate), candidate.distance);
    }
    rhumb__candidate_pool_clear(&scratch->pool, ef);
    RHUMB_TRY(flood_queue_unlinked(&f, &scan));
    RHUMB_TRY(flood_within(&f, estimate, hopeless_out));
    if (!*hopeless_out) status = flood_beyond(&f, estimate, hopeless_out);
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
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < count; i++) RHUMB_TRY(range_add(range, scratch->batch[i], scratch->distances[i]));
done:
    return status;
}

/* ---- all answers ---- */

/* Whether there may be answers beyond the nearest nodes. */
static bool reaches_beyond(const range_search *range, const rhumb__candidate_pool *nearest) {
    if (nearest->count < nearest->capacity || nearest->count >= range_capacity(range)) return false;
    return nearest->entries[nearest->count - 1].distance <= range->radius;
}

/* Puts the answers that a walk finds into scratch->within. *exact_out is whether only measuring every node finds all;
 * *estimate says how to do that. */
static rhumb_status range_walk(range_search *range, uint32_t ef, rhumb__filter_estimate *estimate, bool *exact_out) {
    rhumb_status status;
    rhumb__candidate_pool *nearest;
    const rhumb__search_goal goal = {.filter = range->filter, .ef = ef};
    RHUMB_TRY(rhumb__search_nearest(range->graph, range->scratch, &goal, estimate, &nearest));
    *exact_out = nearest == NULL || nearest->count == 0;
    if (*exact_out) goto done;
    if (range->coded) rhumb__rescore_all(range->graph, range->scratch, nearest);
    if (!reaches_beyond(range, nearest)) {
        status = range_add_nearest(range, nearest);
        goto done;
    }
    /* Without a filter the search may have had no need of an estimate. */
    if (range->filter == NULL) rhumb__filter_estimate_make(range->graph, range->scratch, NULL, estimate);
    status = flood_run(range, nearest, ef, estimate, exact_out);
done:
    return status;
}

/* Puts all answers into scratch->within. */
static rhumb_status range_find(range_search *range, uint32_t ef) {
    rhumb_status status;
    rhumb__filter_estimate estimate;
    bool exact;
    RHUMB_TRY(range_walk(range, ef, &estimate, &exact));
    if (!exact) goto done;
    rhumb__query_use_vectors(range->scratch);
    const rhumb__visitor visitor = {range_visit_begin, range_visit_take, range};
    status = rhumb__exact_visit(range->graph, range->scratch, &estimate, &visitor);
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
    range.coded = rhumb__query_use_codes(scratch);
    scratch->within.count = 0;
    scratch->queue.count = 0;
    RHUMB_TRY(range_find(&range, rhumb__request_ef(request, graph)));
    RHUMB_TRY(range_sort(&range));
    status = range_emit(&range, replace_done, answer);
done:
    return status;
}
