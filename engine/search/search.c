/* search.c - carrying out a request: choosing how to search, and making the answer from nodes; see search.h.
 *
 * While an upsert runs, its old and its new node can both be found. Each key is still returned only once: two counters
 * of the graph show whether an upsert overlapped with the search, and only then are keys compared. So the k nearest
 * nodes may have fewer than k keys; an exact search then asks for more nodes.
 *
 * Takes no lock, except where keys are looked up (filter_exact.c).
 */
#include "engine/search/search.h"

#include <math.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/search/exact_search.h"
#include "engine/search/filter_search.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/walk.h"

/* ---- the answer ---- */

static bool is_found(const rhumb__answer *answer, uint64_t key) {
    for (uint64_t i = 0; i < answer->found_count; i++) {
        if (answer->keys[i] == key) return true;
    }
    return false;
}

void rhumb__answer_pad(const rhumb__answer *answer) {
    RHUMB_ASSERT_DEBUG(answer->found_count <= answer->capacity);
    for (uint64_t i = answer->found_count; i < answer->capacity; i++) {
        answer->keys[i] = UINT64_MAX;
        if (answer->distances != NULL) answer->distances[i] = INFINITY;
    }
}

/* Turns the nearest nodes into an answer. `replace_done` is the value of graph->replace_done when the search began. */
static void search_emit(const rhumb__graph *graph, const rhumb__candidate_pool *nearest, const rhumb__request *request,
                        uint64_t replace_done, rhumb__answer *answer) {
    const bool replacing = atomic_load(&graph->replace_begun) != replace_done;
    answer->found_count = 0;
    for (uint32_t i = 0; i < nearest->count && answer->found_count < answer->capacity; i++) {
        const rhumb__candidate candidate = nearest->entries[i];
        const uint32_t slot = rhumb__candidate_slot(candidate);
        if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0) continue;
        const uint64_t key = rhumb__graph_key(graph, slot);
        if (request->left_out != NULL && key == *request->left_out) continue;
        if (replacing && is_found(answer, key)) continue;
        answer->keys[answer->found_count] = key;
        if (answer->distances != NULL) {
            answer->distances[answer->found_count] = rhumb__space_finish(&graph->space, candidate.distance);
        }
        answer->found_count++;
    }
    rhumb__answer_pad(answer);
}

/* ---- the k nearest ---- */

rhumb_status rhumb__search_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                   rhumb__filter_estimate *estimate, rhumb__candidate_pool **nearest_out) {
    RHUMB_ASSERT_DEBUG(goal->wanted_count > 0 && goal->wanted_count <= goal->ef);
    if (goal->filter == NULL) {
        *estimate = (rhumb__filter_estimate){.filter = NULL};
        return rhumb__walk_nearest(graph, scratch, goal->ef, nearest_out);
    }
    bool finished = false;
    rhumb_status status = RHUMB_OK;
    rhumb__filter_estimate_make(graph, scratch, goal->filter, estimate);
    if (estimate->plan != RHUMB__FILTER_PLAN_EXACT) {
        status = rhumb__filter_walk(graph, scratch, goal, estimate, &finished);
    }
    *nearest_out = finished ? &scratch->answers : NULL;
    return status;
}

/* Finds the nearest by measuring every node that may be an answer. */
static rhumb_status search_exactly(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__request *request,
                                   const rhumb__filter_estimate *estimate, rhumb__answer *answer) {
    rhumb_status status;
    for (uint32_t count = (uint32_t)answer->capacity + (request->left_out != NULL);; count *= 2) {
        const uint64_t replace_done = atomic_load(&graph->replace_done);
        RHUMB_TRY(rhumb__exact_nearest(graph, scratch, estimate, count));
        search_emit(graph, &scratch->pool, request, replace_done, answer);
        const bool is_all = scratch->pool.count < count;
        if (answer->found_count == answer->capacity || is_all || count > UINT32_MAX / 4) break;
    }
done:
    return status;
}

/* Finds the nearest by walking, or exactly if a filter makes that cheaper. */
static rhumb_status search_by_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__request *request,
                                   rhumb__answer *answer) {
    rhumb_status status;
    rhumb__filter_estimate estimate;
    rhumb__candidate_pool *nearest;
    rhumb__search_goal goal = {.filter = request->filter, .ef = rhumb__request_ef(request, graph)};
    goal.wanted_count = (uint32_t)answer->capacity + (request->left_out != NULL);
    if (goal.ef < goal.wanted_count) goal.ef = goal.wanted_count;
    const uint64_t replace_done = atomic_load(&graph->replace_done);
    RHUMB_TRY(rhumb__search_nearest(graph, scratch, &goal, &estimate, &nearest));
    if (nearest != NULL) {
        search_emit(graph, nearest, request, replace_done, answer);
        /* With a filter, as many nodes as wanted match. If they have fewer keys, two of them are the nodes of one
         * upsert. */
        if (request->filter == NULL || answer->found_count == answer->capacity) goto done;
    }
    status = search_exactly(graph, scratch, request, &estimate, answer);
done:
    return status;
}

/* ---- every request ---- */

rhumb_status rhumb__request_set_query(rhumb__scratch *scratch, const rhumb__request *request) {
    if (request->query != NULL) return rhumb__query_set_vector(scratch, request->query);
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    RHUMB_ASSERT_DEBUG((rhumb__graph_node(graph, request->like) & RHUMB__NODE_PRESENT) != 0);
    return rhumb__query_set_row(scratch, rhumb__graph_vector(graph, request->like));
}

rhumb_status rhumb__search_run(rhumb__scratch *scratch, const rhumb__request *request, rhumb__answer *answer) {
    rhumb_status status;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    RHUMB_ASSERT_DEBUG(answer->capacity > 0 && (request->has_radius || answer->capacity <= RHUMB__SLOT_LIMIT));
    RHUMB_TRY(rhumb__request_set_query(scratch, request));
    if (request->has_radius) {
        status = rhumb__range_search(graph, scratch, request, answer);
    } else if (request->exact) {
        const rhumb__filter_estimate no_estimate = {.filter = request->filter};
        status = search_exactly(graph, scratch, request, &no_estimate, answer);
    } else {
        status = search_by_walk(graph, scratch, request, answer);
    }
done:
    return status;
}
