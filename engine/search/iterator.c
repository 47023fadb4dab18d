/* iterator.c - see iterator.h.
 *
 * A walk without an end: candidates are expanded nearest first, and what may be an answer goes to a second heap. Its
 * nearest is given out when nothing nearer is left to expand and the walk is ef expansions ahead, so that the first k
 * answers are about as good as those of a search with ef + k. A vector that the walk comes upon later although it is
 * nearer than some that are out is given out then: the order is approximate.
 *
 * When the walk has nowhere left to go, or has cost more than looking at everything that is left would, everything that
 * is left is looked at. So an iterator that is never stopped gives out every key that matches, those that no path leads
 * to among them, each once.
 *
 * A node that was deleted while it waited is passed over; if an upsert deleted it, the key's new node takes its place.
 * No lock is taken, except for a moment where keys are looked up in a handle that writes.
 */
#include "engine/search/iterator.h"

#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/live_key.h"
#include "engine/graph/tombstones.h"
#include "engine/search/exact_search.h"
#include "engine/search/filter_search.h"
#include "engine/search/search.h"

struct rhumb__iterator {
    uint64_t graph_id; /* of the graph that the slots below belong to; 0: none yet */
    uint32_t ef;
    bool has_filter;
    rhumb__filter filter;
    uint8_t *query; /* a prepared row */
    rhumb__visited visited;
    uint64_t slot_limit;              /* slots below it have a place in the visited set */
    rhumb__candidate_heap candidates; /* to be expanded */
    rhumb__candidate_heap answers;    /* to be given out */
    rhumb__key_set emitted;           /* keys that are out */
    uint64_t expanded_count;
    uint64_t answer_count; /* given out by the walk over this graph */
    uint64_t measured_count;
    double exact_ns;  /* what looking at everything costs; infinity without a filter */
    bool is_complete; /* nothing is left to be looked at */
};

rhumb_status rhumb__iterator_new(rhumb__scratch *scratch, uint32_t ef, const rhumb__filter *filter,
                                 rhumb__iterator **iterator_out) {
    const uint32_t row_bytes = rhumb__scratch_graph(scratch)->space.row_bytes;
    rhumb__iterator *iterator = rhumb__alloc_zeroed(1, sizeof *iterator);
    if (iterator == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for an iterator");
    iterator->query = rhumb__alloc_aligned(row_bytes, 1, 64);
    if (iterator->query == NULL) {
        rhumb__free(iterator);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a query of %u bytes", row_bytes);
    }
    memcpy(iterator->query, scratch->query, row_bytes);
    iterator->ef = ef;
    iterator->has_filter = filter != NULL;
    if (filter != NULL) iterator->filter = *filter;
    *iterator_out = iterator;
    return RHUMB_OK;
}

void rhumb__iterator_free(rhumb__iterator *iterator) {
    if (iterator == NULL) return;
    rhumb__free(iterator->query);
    rhumb__free(iterator->visited.words);
    rhumb__candidate_heap_free(&iterator->candidates);
    rhumb__candidate_heap_free(&iterator->answers);
    rhumb__key_set_free(&iterator->emitted);
    rhumb__free(iterator);
}

static const rhumb__filter *filter_of(const rhumb__iterator *iterator) {
    return iterator->has_filter ? &iterator->filter : NULL;
}

static rhumb_status reserve(rhumb__iterator *iterator, uint32_t count) {
    rhumb_status status;
    RHUMB_TRY(rhumb__candidate_heap_reserve(&iterator->candidates, count));
    RHUMB_TRY(rhumb__candidate_heap_reserve(&iterator->answers, count));
done:
    return status;
}

/* Follows the graph as it grows. */
static rhumb_status extend(rhumb__iterator *iterator, const rhumb__graph *graph) {
    rhumb_status status;
    const uint64_t slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    RHUMB_TRY(rhumb__visited_reserve(&iterator->visited, slot_limit));
    iterator->slot_limit = rhumb__max_u64(iterator->slot_limit, slot_limit);
done:
    return status;
}

/* Measures scratch->batch. Everything is a candidate, and what may be one an answer. There is room for both. */
static void measure_and_add(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    const rhumb__filter *filter = filter_of(iterator);
    rhumb__search_measure(graph, scratch, count);
    iterator->measured_count += count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = scratch->batch[i];
        rhumb__candidate_heap_add(&iterator->candidates, slot, scratch->distances[i]);
        if (rhumb__graph_is_dead(graph, slot)) continue;
        if (filter != NULL && !rhumb__filter_matches(filter, rhumb__graph_key(graph, slot))) continue;
        rhumb__candidate_heap_add(&iterator->answers, slot, scratch->distances[i]);
    }
}

static rhumb_status expand(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch) {
    rhumb_status status;
    /* Before anything is marked as visited: what does not get in now never would. */
    RHUMB_TRY(reserve(iterator, RHUMB__BATCH_MAX));
    const uint32_t slot = rhumb__candidate_slot(rhumb__candidate_heap_take(&iterator->candidates));
    const uint32_t count = rhumb__search_gather(graph, scratch, slot, &iterator->visited, iterator->slot_limit);
    measure_and_add(iterator, graph, scratch, count);
    iterator->expanded_count++;
done:
    return status;
}

/* ---- looking at everything ---- */

typedef struct rest {
    rhumb__iterator *iterator;
    rhumb_status status; /* of the function that cannot return one */
} rest;

/* A rhumb__measured_fn: adds the answers that the walk has not met. */
static void take_rest(void *context, rhumb__scratch *scratch, uint32_t count) {
    rest *rest = context;
    rhumb__iterator *iterator = rest->iterator;
    if (rest->status == RHUMB_OK) rest->status = rhumb__candidate_heap_reserve(&iterator->answers, count);
    for (uint32_t i = 0; i < count && rest->status == RHUMB_OK; i++) {
        const uint32_t slot = scratch->batch[i];
        if (slot >= iterator->slot_limit) {
            rest->status = rhumb__visited_reserve(&iterator->visited, (uint64_t)slot + 1);
            if (rest->status != RHUMB_OK) break;
            iterator->slot_limit = (uint64_t)slot + 1;
        }
        if (rhumb__visited_add(&iterator->visited, slot)) continue;
        rhumb__candidate_heap_add(&iterator->answers, slot, scratch->distances[i]);
    }
}

static rhumb_status complete(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                             const rhumb__filter_estimate *estimate) {
    rhumb_status status;
    rest rest = {iterator, RHUMB_OK};
    bool is_done = false;
    if (estimate != NULL && estimate->by_list) {
        RHUMB_TRY(rhumb__filter_visit_list(graph, scratch, filter_of(iterator), take_rest, &rest, &is_done));
    }
    if (!is_done) RHUMB_TRY(rhumb__exact_visit(graph, scratch, filter_of(iterator), take_rest, &rest));
    RHUMB_TRY(rest.status);
    iterator->candidates.count = 0;
    iterator->is_complete = true;
done:
    return status;
}

/* ---- beginning ---- */

static rhumb_status add_unlinked(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                 uint64_t begin) {
    rhumb_status status = RHUMB_OK;
    const uint64_t end = rhumb__min_u64(graph->unlinked_end, iterator->slot_limit);
    while (begin < end && status == RHUMB_OK) {
        uint32_t count = 0;
        status = reserve(iterator, RHUMB__BATCH_MAX);
        for (; status == RHUMB_OK && begin < end && count < RHUMB__BATCH_MAX; begin++) {
            if (rhumb__visited_add(&iterator->visited, (uint32_t)begin)) continue;
            scratch->batch[count++] = (uint32_t)begin;
        }
        measure_and_add(iterator, graph, scratch, count);
    }
    return status;
}

static rhumb_status begin(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch) {
    rhumb_status status;
    rhumb__filter_estimate estimate = {.exact_ns = INFINITY};
    /* Acquire pairs with the release in recover.c, as in rhumb__search_nearest. */
    const uint64_t unlinked_begin = atomic_load_explicit(&graph->unlinked_begin, memory_order_acquire);
    iterator->graph_id = 0; /* until all is well: a failure here is followed by another beginning */
    iterator->candidates.count = 0;
    iterator->answers.count = 0;
    iterator->expanded_count = 0;
    iterator->answer_count = 0;
    iterator->measured_count = 0;
    iterator->is_complete = false;
    iterator->slot_limit = 0;
    rhumb__visited_clear(&iterator->visited);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, 1));
    rhumb__filter_plan plan = RHUMB__FILTER_PLAN_AUTO;
    if (iterator->has_filter) plan = rhumb__filter_estimate_make(graph, scratch, &iterator->filter, &estimate);
    iterator->exact_ns = estimate.exact_ns;
    if (plan == RHUMB__FILTER_PLAN_EXACT) {
        RHUMB_TRY(extend(iterator, graph));
        RHUMB_TRY(complete(iterator, graph, scratch, &estimate));
    } else {
        uint32_t top;
        const rhumb__nearest start = rhumb__search_descend(graph, scratch, 0, &top);
        RHUMB_TRY(extend(iterator, graph));
        RHUMB_TRY(reserve(iterator, 1));
        if (start.slot != RHUMB__SLOT_NONE && start.slot < iterator->slot_limit) {
            (void)rhumb__visited_add(&iterator->visited, start.slot);
            scratch->batch[0] = start.slot;
            measure_and_add(iterator, graph, scratch, 1);
        }
        if (unlinked_begin < graph->unlinked_end) {
            RHUMB_TRY(add_unlinked(iterator, graph, scratch, unlinked_begin));
        }
    }
    iterator->graph_id = graph->id;
done:
    return status;
}

/* ---- giving out ---- */

/* Whether the nearest of the answers may go out. */
static bool is_ripe(const rhumb__iterator *iterator) {
    if (iterator->answers.count == 0) return false;
    if (iterator->is_complete) return true;
    if (iterator->candidates.count == 0) return false;
    if (iterator->expanded_count < iterator->answer_count + iterator->ef) return false;
    return iterator->answers.entries[0].distance <= iterator->candidates.entries[0].distance;
}

/* Makes an answer riper, or finds that there are no more (false). */
static rhumb_status go_on(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch, bool *left_out) {
    *left_out = !iterator->is_complete;
    if (iterator->is_complete) return RHUMB_OK;
    const double cost_ns = (double)iterator->measured_count * rhumb__filter_distance_ns(graph);
    const bool is_too_long = cost_ns > iterator->exact_ns * RHUMB__FILTER_PATIENCE;
    if (iterator->candidates.count > 0 && !is_too_long) return expand(iterator, graph, scratch);
    return complete(iterator, graph, scratch, NULL);
}

/* The node in whose place upserts have put a newer one: that, if the walk has not met it, is an answer. It may be
 * replaced in turn at any moment, and stays an answer then: when its turn comes, its own successor is looked for. */
static rhumb_status add_successor(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                  uint32_t dead_slot) {
    rhumb_status status;
    const uint32_t slot = rhumb__graph_await_live(graph, rhumb__graph_key(graph, dead_slot));
    RHUMB_TRY(extend(iterator, graph));
    RHUMB_TRY(reserve(iterator, 1));
    if (slot >= iterator->slot_limit || rhumb__visited_add(&iterator->visited, slot)) goto done;
    scratch->batch[0] = slot;
    rhumb__search_measure(graph, scratch, 1);
    iterator->measured_count++;
    if (!iterator->is_complete) rhumb__candidate_heap_add(&iterator->candidates, slot, scratch->distances[0]);
    rhumb__candidate_heap_add(&iterator->answers, slot, scratch->distances[0]);
done:
    return status;
}

/* Takes the nearest of the answers. *given_out is false when it is no answer any more. */
static rhumb_status take(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch, uint64_t *key_out,
                         float *distance_out, bool *given_out) {
    rhumb_status status;
    *given_out = false;
    RHUMB_TRY(rhumb__key_set_reserve(&iterator->emitted));
    const rhumb__candidate answer = rhumb__candidate_heap_take(&iterator->answers);
    const uint32_t slot = rhumb__candidate_slot(answer);
    iterator->answer_count++;
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0) goto done;
    if (rhumb__graph_is_dead(graph, slot)) {
        status = add_successor(iterator, graph, scratch, slot);
        if (status != RHUMB_OK) rhumb__candidate_heap_add(&iterator->answers, slot, answer.distance);
        goto done;
    }
    *key_out = rhumb__graph_key(graph, slot);
    *distance_out = rhumb__space_finish(&graph->space, answer.distance);
    *given_out = !rhumb__key_set_add(&iterator->emitted, *key_out);
done:
    return status;
}

rhumb_status rhumb__iterator_next(rhumb__iterator *iterator, rhumb__scratch *scratch, uint64_t count, uint64_t *keys,
                                  float *distances, uint64_t *found_count_out) {
    rhumb_status status;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    uint64_t found_count = 0;
    bool is_left = true;
    RHUMB_TRY(rhumb__scratch_set_row(scratch, iterator->query));
    if (iterator->graph_id == graph->id) {
        RHUMB_TRY(extend(iterator, graph));
    } else {
        RHUMB_TRY(begin(iterator, graph, scratch));
    }
    while (found_count < count && is_left) {
        if (!is_ripe(iterator)) {
            RHUMB_TRY(go_on(iterator, graph, scratch, &is_left));
            continue;
        }
        uint64_t key;
        float distance;
        bool is_given;
        RHUMB_TRY(take(iterator, graph, scratch, &key, &distance, &is_given));
        if (!is_given) continue;
        keys[found_count] = key;
        if (distances != NULL) distances[found_count] = distance;
        found_count++;
    }
done:
    *found_count_out = found_count;
    return status;
}
