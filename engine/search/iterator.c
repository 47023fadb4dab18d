/* iterator.c - see iterator.h.
 *
 * The nodes that the walk has met and not returned wait in two sets: the ef nearest of them in a pool like that of a
 * search, all others in a heap. While the pool is not full or a node in it has not been expanded, the nearest of those
 * is expanded. Otherwise a search with as many answers more as were returned would end here, so the nearest is returned
 * and one from the heap takes its place. The first k answers are thus as good as those of a search with ef + k - 1,
 * however far from the query the walk began. A node that the walk meets later, although it is nearer than some that
 * were returned, is returned then: the order is approximate.
 *
 * When every node that was met has been expanded, or the walk has cost more than measuring every remaining node would,
 * every remaining node is measured. So an iterator that is never stopped returns every key that matches, each once,
 * also those of nodes that no path leads to.
 *
 * Where the walk measures codes, the two sets are in the order of estimates. A node whose turn has come is measured by
 * its vector and gets ready; of those that are ready the nearest is returned as soon as no other is likely to be
 * nearer.
 *
 * Nodes that may not be answers wait like the others; when their turn comes they are passed over. The copies of a node
 * (graph/ties.h) are as far as the node itself, so they are returned right after its turn, from the chain that hangs on
 * it. If an upsert has deleted a node while it waited, the key's new node takes its place.
 *
 * Takes no lock, except briefly where it looks up keys in a handle that writes.
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
#include "engine/search/walk/group.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/rescore.h"
#include "engine/search/walk/walk.h"

#define QUERY_ALIGNMENT 64u

struct rhumb__iterator {
    uint64_t graph_id; /* of the graph that the slots below belong to; 0: none yet */
    bool has_filter;
    rhumb__filter filter;
    uint8_t *query; /* a prepared row */
    rhumb__visited visited;
    uint64_t slot_limit;           /* the visited set has room for slots below it */
    rhumb__candidate_pool nearest; /* of the nodes that wait for their turn, the nearest: ef, or all */
    rhumb__candidate_heap farther; /* the others */
    bool coded;                    /* the distances in these two are estimates */
    rhumb__candidate_heap ready;   /* of a coded walk: nodes whose turn has come, by their distances */
    float ready_least;             /* a node whose turn has not come is hardly nearer than this */
    rhumb__key_set emitted;        /* keys that were returned */
    uint64_t expanded_count;
    uint64_t measured_count;
    rhumb__copies copies; /* those to be returned next */
    float copy_distance;
    uint64_t followed_count; /* copies that chains were followed through */
    uint64_t replace_done;   /* of this graph, when the walk began */
    double exact_ns;         /* what measuring every node costs; infinity where every node may be an answer */
    bool is_complete;        /* every node has been measured; all wait in `farther` */
};

rhumb_status rhumb__iterator_new(rhumb__scratch *scratch, const rhumb__request *request,
                                 rhumb__iterator **iterator_out) {
    rhumb_status status;
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const uint32_t row_bytes = graph->space.row_bytes;
    rhumb__iterator *iterator = NULL;
    RHUMB_ASSERT_DEBUG(!request->exact && !request->has_radius && request->left_out == NULL);
    RHUMB_TRY(rhumb__request_set_query(scratch, request));
    iterator = rhumb__alloc_zeroed(1, sizeof *iterator);
    if (iterator == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for an iterator");
        goto done;
    }
    iterator->query = rhumb__alloc_aligned(row_bytes, 1, QUERY_ALIGNMENT);
    if (iterator->query == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a query of %u bytes", row_bytes);
        goto done;
    }
    memcpy(iterator->query, scratch->query, row_bytes);
    const uint32_t ef = rhumb__request_ef(request, graph);
    iterator->nearest.entries =
        rhumb__alloc_resize(NULL, rhumb__candidate_pool_room(ef), sizeof *iterator->nearest.entries);
    if (iterator->nearest.entries == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for %u candidates", ef);
        goto done;
    }
    rhumb__candidate_pool_clear(&iterator->nearest, ef);
    iterator->has_filter = request->filter != NULL;
    if (request->filter != NULL) iterator->filter = *request->filter;
    *iterator_out = iterator;
    iterator = NULL;
done:
    rhumb__iterator_free(iterator);
    return status;
}

void rhumb__iterator_free(rhumb__iterator *iterator) {
    if (iterator == NULL) return;
    rhumb__free(iterator->query);
    rhumb__free(iterator->visited.words);
    rhumb__free(iterator->nearest.entries);
    rhumb__candidate_heap_free(&iterator->farther);
    rhumb__candidate_heap_free(&iterator->ready);
    rhumb__key_set_free(&iterator->emitted);
    rhumb__free(iterator);
}

static const rhumb__filter *filter_of(const rhumb__iterator *iterator) {
    return iterator->has_filter ? &iterator->filter : NULL;
}

/* Makes room in the visited set for slots below `slot_limit`. */
static rhumb_status iterator_extend(rhumb__iterator *iterator, uint64_t slot_limit) {
    rhumb_status status;
    RHUMB_TRY(rhumb__visited_reserve(&iterator->visited, slot_limit));
    iterator->slot_limit = rhumb__max_u64(iterator->slot_limit, slot_limit);
done:
    return status;
}

/* Makes room for all slots that the graph has now. */
static rhumb_status iterator_follow(rhumb__iterator *iterator, const rhumb__graph *graph) {
    return iterator_extend(iterator, atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
}

/* ---- the nodes that wait ---- */

/* Makes room for `count` more. */
static rhumb_status iterator_reserve(rhumb__iterator *iterator, uint64_t count) {
    return rhumb__candidate_heap_reserve(&iterator->farther, count);
}

/* Adds a node, for which there is room. Its mark says whether it has been expanded. */
static void iterator_wait(rhumb__iterator *iterator, uint32_t slot_mark, float distance) {
    rhumb__candidate_pool *nearest = &iterator->nearest;
    if (iterator->is_complete || !rhumb__candidate_pool_accepts(nearest, distance)) {
        rhumb__candidate_heap_add(&iterator->farther, slot_mark, distance);
        return;
    }
    if (nearest->count == nearest->capacity) {
        const rhumb__candidate last = rhumb__candidate_pool_farthest(nearest);
        rhumb__candidate_heap_add(&iterator->farther, last.slot_mark, last.distance);
    }
    rhumb__candidate_pool_add(nearest, slot_mark, distance);
}

/* Whether the turn of the nearest has come. */
static bool is_ripe(const rhumb__iterator *iterator) {
    const rhumb__candidate_pool *nearest = &iterator->nearest;
    uint32_t slot;
    if (iterator->is_complete) return iterator->farther.count > 0;
    return nearest->count == nearest->capacity && !rhumb__candidate_pool_peek(nearest, &slot);
}

/* Takes the nearest of the nodes that wait; there is one. */
static rhumb__candidate take_waiting(rhumb__iterator *iterator) {
    if (iterator->is_complete) return rhumb__candidate_heap_take(&iterator->farther);
    rhumb__candidate_pool *nearest = &iterator->nearest;
    const rhumb__candidate first = rhumb__candidate_pool_shift(nearest);
    if (iterator->farther.count > 0) {
        const rhumb__candidate next = rhumb__candidate_heap_take(&iterator->farther);
        rhumb__candidate_pool_add(nearest, next.slot_mark, next.distance);
    }
    return first;
}

/* Whether a node that is ready may be returned now. */
static bool is_ready(const rhumb__iterator *iterator) {
    return iterator->ready.count > 0 && iterator->ready.entries[0].distance <= iterator->ready_least;
}

/* Gets the nearest of the nodes that wait ready; there is one, and room. */
static void make_ready(rhumb__iterator *iterator, const rhumb__graph *graph, const rhumb__scratch *scratch) {
    const rhumb__candidate nearest = take_waiting(iterator);
    const uint32_t slot = rhumb__candidate_slot(nearest);
    const float least = rhumb__rescore_least(graph, scratch, slot, nearest.distance);
    if (least > iterator->ready_least) iterator->ready_least = least;
    rhumb__candidate_heap_add(&iterator->ready, slot, rhumb__measure_slot_exactly(graph, scratch, slot));
}

/* Takes the node that is to be returned next; there is one. */
static rhumb__candidate take_next(rhumb__iterator *iterator) {
    return iterator->coded ? rhumb__candidate_heap_take(&iterator->ready) : take_waiting(iterator);
}

/* Puts a node back that was taken, for which there is room. */
static void put_back(rhumb__iterator *iterator, rhumb__candidate candidate) {
    if (iterator->coded) {
        rhumb__candidate_heap_add(&iterator->ready, candidate.slot_mark, candidate.distance);
    } else {
        iterator_wait(iterator, candidate.slot_mark, candidate.distance);
    }
}

/* Adds the measured nodes of scratch->batch, for which there is room. */
static void iterator_add(rhumb__iterator *iterator, const rhumb__scratch *scratch, uint32_t count) {
    iterator->measured_count += count;
    for (uint32_t i = 0; i < count; i++) {
        RHUMB_ASSERT_DEBUG(scratch->batch[i] < iterator->slot_limit);
        iterator_wait(iterator, scratch->batch[i], scratch->distances[i]);
    }
}

/* Expands the nearest node that has not been; *expanded_out is false when all have been. */
static rhumb_status iterator_expand(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                    bool *expanded_out) {
    rhumb_status status;
    uint32_t slot;
    /* Reserved before any node is marked as visited: a node that is marked and not added would be lost. */
    RHUMB_TRY(iterator_reserve(iterator, RHUMB__BATCH_MAX));
    *expanded_out = rhumb__candidate_pool_take(&iterator->nearest, &slot);
    if (!*expanded_out) goto done;
    const rhumb__list list = rhumb__graph_list(graph, slot, 0);
    const uint32_t count = rhumb__walk_gather(scratch, &list, &iterator->visited, iterator->slot_limit);
    rhumb__measure_rows(graph, scratch, count);
    iterator_add(iterator, scratch, count);
    iterator->expanded_count++;
done:
    return status;
}

/* ---- measuring every remaining node ---- */

/* Adds the nodes that the walk has not met. */
static rhumb_status take_rest(void *context, rhumb__scratch *scratch, uint32_t count) {
    rhumb_status status;
    rhumb__iterator *iterator = context;
    RHUMB_TRY(iterator_reserve(iterator, count));
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = scratch->batch[i];
        if (slot >= iterator->slot_limit) RHUMB_TRY(iterator_extend(iterator, (uint64_t)slot + 1));
        if (rhumb__visited_add(&iterator->visited, slot)) continue;
        iterator_wait(iterator, slot, scratch->distances[i]);
    }
done:
    return status;
}

/* Measures all nodes that wait by their vectors, and is coded no more. */
static rhumb_status iterator_end_estimates(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch) {
    rhumb_status status;
    rhumb__candidate_heap waiting = iterator->farther;
    RHUMB_TRY(rhumb__candidate_heap_reserve(&iterator->ready, waiting.count + iterator->nearest.count));
    while (iterator->nearest.count > 0) {
        const uint32_t slot = rhumb__candidate_slot(rhumb__candidate_pool_shift(&iterator->nearest));
        rhumb__candidate_heap_add(&iterator->ready, slot, rhumb__measure_slot_exactly(graph, scratch, slot));
    }
    for (uint64_t i = 0; i < waiting.count; i++) {
        const uint32_t slot = rhumb__candidate_slot(waiting.entries[i]);
        rhumb__candidate_heap_add(&iterator->ready, slot, rhumb__measure_slot_exactly(graph, scratch, slot));
    }
    waiting.count = 0;
    iterator->farther = iterator->ready;
    iterator->ready = waiting;
    iterator->coded = false;
    rhumb__query_use_vectors(scratch);
done:
    return status;
}

static rhumb_status iterator_complete(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                      const rhumb__filter_estimate *estimate) {
    rhumb_status status;
    const rhumb__visitor visitor = {.take = take_rest, .context = iterator};
    if (iterator->coded) RHUMB_TRY(iterator_end_estimates(iterator, graph, scratch));
    RHUMB_TRY(rhumb__exact_visit(graph, scratch, estimate, &visitor));
    RHUMB_TRY(iterator_reserve(iterator, iterator->nearest.count));
    iterator->is_complete = true;
    rhumb__candidate_pool_settle(&iterator->nearest);
    for (uint32_t i = 0; i < iterator->nearest.count; i++) {
        iterator_wait(iterator, iterator->nearest.entries[i].slot_mark, iterator->nearest.entries[i].distance);
    }
    iterator->nearest.count = 0;
done:
    return status;
}

/* ---- beginning ---- */

static void iterator_reset(rhumb__iterator *iterator) {
    iterator->graph_id = 0; /* until the beginning has succeeded: after a failure the next call begins again */
    rhumb__candidate_pool_clear(&iterator->nearest, iterator->nearest.capacity);
    iterator->farther.count = 0;
    iterator->coded = false;
    iterator->ready.count = 0;
    iterator->ready_least = -INFINITY;
    iterator->expanded_count = 0;
    iterator->measured_count = 0;
    iterator->copies = (rhumb__copies){0};
    iterator->followed_count = 0;
    iterator->is_complete = false;
    iterator->slot_limit = 0;
    rhumb__visited_clear(&iterator->visited);
}

/* Adds the nodes that no link leads to. */
static rhumb_status add_unlinked(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                 rhumb__unlinked_scan *scan) {
    rhumb_status status = RHUMB_OK;
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &iterator->visited, iterator->slot_limit)) > 0) {
        RHUMB_TRY(iterator_reserve(iterator, count));
        rhumb__measure_batch(graph, scratch, count);
        iterator_add(iterator, scratch, count);
    }
done:
    return status;
}

/* Adds the node where the walk begins, and the unlinked ones. */
static rhumb_status begin_walk(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch) {
    rhumb_status status;
    uint32_t top;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(graph);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, 1));
    const rhumb__nearest start = rhumb__walk_descend(graph, scratch, 0, &top);
    RHUMB_TRY(iterator_follow(iterator, graph));
    RHUMB_TRY(iterator_reserve(iterator, 1));
    if (start.slot != RHUMB__SLOT_NONE && start.slot < iterator->slot_limit) {
        (void)rhumb__visited_add(&iterator->visited, start.slot);
        scratch->batch[0] = start.slot;
        rhumb__measure_batch(graph, scratch, 1);
        iterator_add(iterator, scratch, 1);
    }
    status = add_unlinked(iterator, graph, scratch, &scan);
done:
    return status;
}

static rhumb_status iterator_begin(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch) {
    rhumb_status status;
    rhumb__filter_estimate estimate = {.exact_ns = INFINITY};
    iterator_reset(iterator);
    iterator->replace_done = atomic_load(&graph->replace_done);
    if (iterator->has_filter || atomic_load(&graph->dead_count) > 0) {
        rhumb__filter_estimate_make(graph, scratch, filter_of(iterator), &estimate);
    }
    iterator->exact_ns = estimate.exact_ns;
    if (estimate.plan == RHUMB__FILTER_PLAN_EXACT) {
        RHUMB_TRY(iterator_follow(iterator, graph));
        RHUMB_TRY(iterator_complete(iterator, graph, scratch, &estimate));
    } else {
        iterator->coded = rhumb__query_use_codes(scratch);
        RHUMB_TRY(begin_walk(iterator, graph, scratch));
    }
    iterator->graph_id = graph->id;
done:
    return status;
}

/* ---- returning answers ---- */

/* Continues the walk by a step; *left_out is false when there are no more answers. */
static rhumb_status iterator_advance(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                     bool *left_out) {
    rhumb_status status = RHUMB_OK;
    bool expanded = false;
    *left_out = !iterator->is_complete;
    if (iterator->is_complete) goto done;
    const double distance_ns =
        iterator->coded ? rhumb__filter_walk_distance_ns(graph) : rhumb__filter_distance_ns(graph);
    const double cost_ns = (double)iterator->measured_count * distance_ns +
                           (double)iterator->expanded_count * graph->params.M0 * RHUMB__FILTER_HOP_NS;
    const bool is_too_long = cost_ns > iterator->exact_ns * RHUMB__FILTER_PATIENCE;
    if (!is_too_long) RHUMB_TRY(iterator_expand(iterator, graph, scratch, &expanded));
    if (expanded) goto done;
    const rhumb__filter_estimate scan_all = {.filter = filter_of(iterator)};
    status = iterator_complete(iterator, graph, scratch, &scan_all);
done:
    return status;
}

/* Adds the node that an upsert has put in the place of a dead one, unless the walk has met it. It may be replaced in
 * turn at any moment, and stays an answer then: when its turn comes, its own successor is looked up. */
static rhumb_status add_successor(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                  uint32_t dead_slot) {
    rhumb_status status;
    const uint32_t slot = rhumb__graph_await_live(graph, rhumb__graph_key(graph, dead_slot));
    RHUMB_TRY(iterator_follow(iterator, graph));
    RHUMB_TRY(iterator_reserve(iterator, 1));
    if (slot >= iterator->slot_limit || rhumb__visited_add(&iterator->visited, slot)) goto done;
    const float distance = rhumb__measure_slot(graph, scratch, slot);
    iterator->measured_count++;
    iterator_wait(iterator, slot, distance);
done:
    return status;
}

/* Returns a live node, unless its key has been returned. The set of keys has room. */
static void iterator_emit(rhumb__iterator *iterator, const rhumb__graph *graph, uint32_t slot, float distance,
                          rhumb__answer *answer) {
    const uint64_t key = rhumb__graph_key(graph, slot);
    if (rhumb__key_set_add(&iterator->emitted, key)) return;
    answer->keys[answer->found_count] = key;
    if (answer->distances != NULL) {
        answer->distances[answer->found_count] = rhumb__space_finish(&graph->space, distance);
    }
    answer->found_count++;
}

/* Whether a node may have been an answer before it was deleted. */
static bool was_answer(const rhumb__iterator *iterator, const rhumb__graph *graph, uint32_t slot) {
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0 || !rhumb__graph_is_dead(graph, slot)) return false;
    return rhumb__filter_matches(filter_of(iterator), rhumb__graph_key(graph, slot));
}

/* Adds what has taken the place of a node that is not an answer, if that may have happened since the walk began. */
static rhumb_status replace(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) {
    if (atomic_load(&graph->replace_begun) == iterator->replace_done) return RHUMB_OK;
    return was_answer(iterator, graph, slot) ? add_successor(iterator, graph, scratch, slot) : RHUMB_OK;
}

/* Takes the next node, and returns it if it is an answer. Its copies come next. */
static rhumb_status iterator_take(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                  rhumb__answer *answer) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(answer->found_count < answer->capacity);
    RHUMB_TRY(rhumb__key_set_reserve(&iterator->emitted));
    const rhumb__candidate nearest = take_next(iterator);
    const uint32_t slot = rhumb__candidate_slot(nearest);
    if (rhumb__filter_passes(graph, filter_of(iterator), slot)) {
        iterator_emit(iterator, graph, slot, nearest.distance, answer);
    } else {
        status = replace(iterator, graph, scratch, slot);
        if (status != RHUMB_OK) {
            put_back(iterator, nearest);
            goto done;
        }
    }
    iterator->copies = rhumb__group_copies(graph, slot, iterator->followed_count);
    iterator->copy_distance = nearest.distance;
done:
    return status;
}

/* Takes the next copy of the node that was taken last, and returns it if it is an answer. *taken_out is false when
 * there are no more. */
static rhumb_status iterator_take_copy(rhumb__iterator *iterator, rhumb__graph *graph, rhumb__scratch *scratch,
                                       rhumb__answer *answer, bool *taken_out) {
    rhumb_status status = RHUMB_OK;
    *taken_out = false;
    if (iterator->copies.next == 0) goto done;
    RHUMB_TRY(rhumb__key_set_reserve(&iterator->emitted));
    const rhumb__copies before = iterator->copies;
    uint32_t slot;
    *taken_out = rhumb__group_next(graph, &iterator->copies, iterator->slot_limit, &iterator->followed_count, &slot);
    if (!*taken_out) {
        iterator->copies.next = 0;
        goto done;
    }
    if (rhumb__filter_passes(graph, filter_of(iterator), slot)) {
        if (rhumb__visited_add(&iterator->visited, slot)) goto done; /* it waits for a turn of its own */
        iterator_emit(iterator, graph, slot, iterator->copy_distance, answer);
    } else {
        status = replace(iterator, graph, scratch, slot);
        if (status != RHUMB_OK) iterator->copies = before;
    }
done:
    return status;
}

rhumb_status rhumb__iterator_next(rhumb__iterator *iterator, rhumb__scratch *scratch, rhumb__answer *answer) {
    rhumb_status status;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    bool is_left = true;
    answer->found_count = 0;
    RHUMB_TRY(rhumb__query_set_row(scratch, iterator->query));
    if (iterator->graph_id == graph->id) {
        if (iterator->coded) (void)rhumb__query_use_codes(scratch);
        RHUMB_TRY(iterator_follow(iterator, graph));
    } else {
        RHUMB_TRY(iterator_begin(iterator, graph, scratch));
    }
    while (answer->found_count < answer->capacity && is_left) {
        bool taken;
        RHUMB_TRY(iterator_take_copy(iterator, graph, scratch, answer, &taken));
        if (taken) continue;
        if (iterator->coded ? is_ready(iterator) : is_ripe(iterator)) {
            RHUMB_TRY(iterator_take(iterator, graph, scratch, answer));
        } else if (is_ripe(iterator)) {
            RHUMB_TRY(rhumb__candidate_heap_reserve(&iterator->ready, 2));
            make_ready(iterator, graph, scratch);
        } else {
            RHUMB_TRY(iterator_advance(iterator, graph, scratch, &is_left));
        }
    }
done:
    return status;
}
