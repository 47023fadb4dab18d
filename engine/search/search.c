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
#include "engine/search/live_walk.h"
#include "engine/search/selective_walk.h"
#include "engine/search/walk/group.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/rescore.h"
#include "engine/search/walk/walk.h"
#include "storage/residency.h"

/* The answers whose keys are asked for together. */
#define READ_AHEAD_COUNT 64u

/* ---- the answer ---- */

void rhumb__answer_pad(const rhumb__answer *answer) {
    RHUMB_ASSERT_DEBUG(answer->found_count <= answer->capacity);
    for (uint64_t i = answer->found_count; i < answer->capacity; i++) {
        answer->keys[i] = UINT64_MAX;
        if (answer->distances != NULL) answer->distances[i] = INFINITY;
    }
}

/* An answer that is being made from nodes. */
typedef struct emission {
    const rhumb__graph *graph;
    const rhumb__request *request;
    rhumb__answer *answer;
    rhumb__key_set *emitted; /* keys in the answer, where two nodes may have one key; otherwise NULL */
} emission;

/* `replace_done` is the value of graph->replace_done when the search began. */
static emission emission_begin(rhumb__scratch *scratch, const rhumb__request *request, uint64_t replace_done,
                               rhumb__answer *answer) {
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const bool replacing = atomic_load(&graph->replace_begun) != replace_done;
    answer->found_count = 0;
    if (replacing) rhumb__key_set_clear(&scratch->emitted);
    return (emission){graph, request, answer, replacing ? &scratch->emitted : NULL};
}

static bool is_full(const emission *e) { return e->answer->found_count == e->answer->capacity; }

/* The same for an index that memory cannot hold. */
static void emission_read_ahead(const emission *e, const rhumb__candidate_pool *nearest, bool has_copies) {
    const void *rows[3 * READ_AHEAD_COUNT];
    uint32_t count = 0;
    const bool asks_for_keys = rhumb__read_ahead_pays(e->graph, RHUMB__SECTION_KEYS);
    const bool asks_for_nodes = rhumb__read_ahead_pays(e->graph, RHUMB__SECTION_NODES);
    const bool asks_for_ties = has_copies && rhumb__read_ahead_pays(e->graph, RHUMB__SECTION_TIES);
    if (!asks_for_keys && !asks_for_nodes && !asks_for_ties) return;
    for (uint32_t i = 0; i < nearest->count && i < e->answer->capacity && i < READ_AHEAD_COUNT; i++) {
        const uint32_t slot = rhumb__candidate_slot(nearest->entries[i]);
        if (asks_for_nodes) rows[count++] = rhumb__section_row(&e->graph->sections[RHUMB__SECTION_NODES], slot);
        if (asks_for_keys) rows[count++] = rhumb__section_row(&e->graph->sections[RHUMB__SECTION_KEYS], slot);
        if (asks_for_ties) rows[count++] = rhumb__graph_tie(e->graph, slot);
    }
    rhumb__read_ahead_rows(rows, count, sizeof(uint64_t));
}

/* Prefetches what making the answer reads of the nearest nodes, each from another place. Inlined, because gcc 12 drops
 * calls of a function that only prefetches. */
RHUMB__INLINE void emission_prefetch(const emission *e, const rhumb__candidate_pool *nearest, bool has_copies) {
    for (uint32_t i = 0; i < nearest->count && i < e->answer->capacity; i++) {
        const uint32_t slot = rhumb__candidate_slot(nearest->entries[i]);
        __builtin_prefetch(rhumb__section_row(&e->graph->sections[RHUMB__SECTION_NODES], slot), 0, 3);
        __builtin_prefetch(rhumb__section_row(&e->graph->sections[RHUMB__SECTION_KEYS], slot), 0, 3);
        if (has_copies) __builtin_prefetch(rhumb__graph_tie(e->graph, slot), 0, 3);
    }
    emission_read_ahead(e, nearest, has_copies);
}

/* Adds a node, for which there is room. */
static rhumb_status emit_node(const emission *e, uint32_t slot, float distance) {
    rhumb__answer *answer = e->answer;
    if ((rhumb__graph_node(e->graph, slot) & RHUMB__NODE_PRESENT) == 0) return RHUMB_OK;
    const uint64_t key = rhumb__graph_key(e->graph, slot);
    if (e->request->left_out != NULL && key == *e->request->left_out) return RHUMB_OK;
    if (e->emitted != NULL) {
        const rhumb_status status = rhumb__key_set_reserve(e->emitted);
        if (status != RHUMB_OK || rhumb__key_set_add(e->emitted, key)) return status;
    }
    answer->keys[answer->found_count] = key;
    if (answer->distances != NULL) {
        answer->distances[answer->found_count] = rhumb__space_finish(&e->graph->space, distance);
    }
    answer->found_count++;
    return RHUMB_OK;
}

/* Turns the nearest nodes into an answer. */
static rhumb_status emit_nodes(const emission *e, const rhumb__candidate_pool *nearest) {
    rhumb_status status = RHUMB_OK;
    emission_prefetch(e, nearest, false);
    for (uint32_t i = 0; i < nearest->count && !is_full(e); i++) {
        RHUMB_TRY(emit_node(e, rhumb__candidate_slot(nearest->entries[i]), nearest->entries[i].distance));
    }
    rhumb__answer_pad(e->answer);
done:
    return status;
}

/* Adds a node of a group, if it is an answer and has not been added. */
static rhumb_status emit_member(const emission *e, const rhumb__visited *emitted, uint32_t slot, float distance) {
    if (rhumb__visited_add(emitted, slot)) return RHUMB_OK;
    if (!rhumb__filter_passes(e->graph, e->request->filter, slot)) return RHUMB_OK;
    return emit_node(e, slot, distance);
}

/* Turns the nearest nodes and their copies into an answer. The walk is over, so the set of visited nodes is free for
 * those that have been added: a copy can also be among the nearest itself, if it was linked only during the search. */
static rhumb_status emit_groups(const emission *e, rhumb__scratch *scratch, const rhumb__candidate_pool *nearest) {
    rhumb_status status = RHUMB_OK;
    uint64_t followed_count = 0;
    emission_prefetch(e, nearest, true);
    rhumb__visited_clear(&scratch->visited);
    for (uint32_t i = 0; i < nearest->count && !is_full(e); i++) {
        const float distance = nearest->entries[i].distance;
        const uint32_t head = rhumb__candidate_slot(nearest->entries[i]);
        RHUMB_TRY(emit_member(e, &scratch->visited, head, distance));
        rhumb__copies copies = rhumb__group_copies(e->graph, head, followed_count);
        uint32_t copy;
        while (!is_full(e) && rhumb__group_next(e->graph, &copies, scratch->slot_limit, &followed_count, &copy)) {
            RHUMB_TRY(emit_member(e, &scratch->visited, copy, distance));
        }
    }
    rhumb__answer_pad(e->answer);
done:
    return status;
}

/* ---- the k nearest ---- */

rhumb_status rhumb__search_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__search_goal *goal,
                                   rhumb__filter_estimate *estimate, rhumb__candidate_pool **nearest_out) {
    bool finished = false;
    rhumb_status status;
    /* A delete increments dead_count before it returns, so completed deletes are always seen here. */
    if (goal->filter == NULL && atomic_load(&graph->dead_count) == 0) {
        const rhumb__walk_goal walk = {.ef = goal->ef};
        *estimate = (rhumb__filter_estimate){.filter = NULL};
        *nearest_out = NULL;
        /* A walk would measure every node too, and read lists to come to them. */
        if (rhumb__graph_slot_count(graph) <= goal->ef) return RHUMB_OK;
        status = rhumb__walk_nearest(graph, scratch, &walk, nearest_out);
        /* Nodes of a batch that are still hidden count as deleted from the beginning. If there have been any during the
         * walk, it may have met some. */
        if (status != RHUMB_OK || atomic_load(&graph->dead_count) == 0) return status;
    }
    *nearest_out = NULL;
    rhumb__filter_estimate_make(graph, scratch, goal->filter, estimate);
    if (estimate->plan == RHUMB__FILTER_PLAN_EXACT) return RHUMB_OK;
    if (goal->filter == NULL && rhumb__filter_plan_is_exact(graph, estimate, goal->ef)) return RHUMB_OK;
    if (goal->filter == NULL && rhumb__live_walk_pays(graph, scratch, goal->ef)) {
        RHUMB_TRY(rhumb__live_walk(graph, scratch, goal->ef, nearest_out));
        if (*nearest_out != NULL) goto done;
    }
    RHUMB_TRY(rhumb__selective_walk(graph, scratch, goal, estimate, &finished));
    if (finished) *nearest_out = &scratch->answers;
done:
    return status;
}

/* Finds the nearest by measuring every node that may be an answer. */
static rhumb_status search_exactly(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__request *request,
                                   const rhumb__filter_estimate *estimate, rhumb__answer *answer) {
    rhumb_status status;
    for (uint32_t count = (uint32_t)answer->capacity + (request->left_out != NULL);; count *= 2) {
        const uint64_t replace_done = atomic_load(&graph->replace_done);
        RHUMB_TRY(rhumb__exact_nearest(graph, scratch, estimate, count));
        const emission e = emission_begin(scratch, request, replace_done, answer);
        RHUMB_TRY(emit_nodes(&e, &scratch->pool));
        const bool is_all = scratch->pool.count < count;
        if (answer->found_count == answer->capacity || is_all || count > UINT32_MAX / 4) break;
    }
done:
    return status;
}

/* Whether an answer has all that there can be. With a filter, only an exact search can tell. */
static bool is_complete(const rhumb__graph *graph, const rhumb__request *request, const rhumb__answer *answer) {
    if (answer->found_count == answer->capacity) return true;
    const uint64_t left_out_count = request->left_out != NULL;
    return request->filter == NULL && answer->found_count + left_out_count >= rhumb__graph_live_count(graph);
}

/* Turns what a walk has found into an answer. */
static rhumb_status emit(const rhumb__request *request, uint64_t replace_done, rhumb__scratch *scratch,
                         const rhumb__candidate_pool *nearest, rhumb__answer *answer) {
    const emission e = emission_begin(scratch, request, replace_done, answer);
    return rhumb__graph_has_copies(e.graph) ? emit_groups(&e, scratch, nearest) : emit_nodes(&e, nearest);
}

/* The same after a walk over codes, whose distances are estimates. */
static rhumb_status emit_rescored(const rhumb__request *request, uint64_t replace_done, rhumb__scratch *scratch,
                                  rhumb__candidate_pool *nearest, rhumb__answer *answer) {
    rhumb_status status;
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const uint32_t found_count = nearest->count;
    const uint32_t wanted_count = (uint32_t)answer->capacity + (request->left_out != NULL);
    nearest->count = rhumb__rescore(graph, scratch, nearest, wanted_count);
    RHUMB_TRY(emit(request, replace_done, scratch, nearest, answer));
    if (answer->found_count == answer->capacity || nearest->count == found_count) goto done;
    /* Two of the nearest were nodes of one key. */
    nearest->count = found_count;
    rhumb__rescore_all(graph, scratch, nearest);
    status = emit(request, replace_done, scratch, nearest, answer);
done:
    return status;
}

/* Finds the nearest by walking; or exactly, where that costs less or the walk has found fewer than there are. */
static rhumb_status search_by_walk(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__request *request,
                                   rhumb__answer *answer) {
    rhumb_status status;
    rhumb__filter_estimate estimate;
    rhumb__candidate_pool *nearest;
    rhumb__search_goal goal = {.filter = request->filter, .ef = rhumb__request_ef(request, graph)};
    const uint32_t wanted_count = (uint32_t)answer->capacity + (request->left_out != NULL);
    if (goal.ef < wanted_count) goal.ef = wanted_count;
    const uint64_t replace_done = atomic_load(&graph->replace_done);
    const bool coded = rhumb__query_use_rows(scratch);
    RHUMB_TRY(rhumb__search_nearest(graph, scratch, &goal, &estimate, &nearest));
    if (nearest != NULL) {
        RHUMB_TRY(coded ? emit_rescored(request, replace_done, scratch, nearest, answer)
                        : emit(request, replace_done, scratch, nearest, answer));
        if (is_complete(graph, request, answer)) goto done;
    }
    rhumb__query_use_vectors(scratch);
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
    scratch->hidden = request->hidden;
    if (request->has_radius) {
        status = rhumb__range_search(graph, scratch, request, answer);
    } else if (request->exact) {
        const rhumb__filter_estimate no_estimate = {.filter = request->filter};
        status = search_exactly(graph, scratch, request, &no_estimate, answer);
    } else {
        status = search_by_walk(graph, scratch, request, answer);
    }
    rhumb__residency_searched(graph->store);
done:
    scratch->hidden = NULL;
    return status;
}
