/* join.c - see join.h.
 *
 *   1. queue     the searching nodes of a level are put in an order in which each comes after a neighbour of it, its
 *                parent: breadth first, from those that have searched on the level above
 *   2. seek      wave by wave, all nodes of which have their parents in waves before: each walks over the other part
 *                from the nearest node that its parent has found there. What it finds are candidates for it, and it
 *                is one for them
 *   3. choose    the neighbours of each node that has candidates (join_choose.h)
 *
 * In step 2 lists stay as they are, and what a search stores is its own node's alone, or goes to reservoirs, whose
 * content does not depend on the order in which it comes. In step 3 a node reads no list but its own.
 *
 * A walk over a part does not leave it: of a vector that two parts have, each has a node (equals.h), until they are
 * joined. When one node stood for both, walks led from it into their own part, and found little else where many vectors
 * were equal.
 *
 * Owns its arrays. Locks: those of the reservoirs, and of storing lists.
 */
#include "engine/upkeep/merge/join.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/memory_limit.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/bulk/reservoir.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/walk.h"
#include "engine/upkeep/merge/equals.h"
#include "engine/upkeep/merge/join_choose.h"

/* Nodes that a thread takes at a time. */
#define NODES_PER_STEP 64u

/* Of the memory that this process may use, what candidates may take. */
#define MEMORY_SHARE 0.5

#define BREADTH_MIN 4u
#define BREADTH_USUAL_MIN 16u

/* What of a round a level takes: choosing, and searching, which one part does. */
#define SEEK_SHARE 0.6

typedef struct join {
    const rhumb__join_spec *spec;
    rhumb__graph *graph;
    uint32_t *begins; /* of the parts that are left */
    uint32_t part_count;
    uint32_t breadth;
    uint32_t level;    /* in hand */
    uint32_t *nodes;   /* of the level: the slots of its heads, ascending */
    uint32_t *numbers; /* by slot: its number among these */
    uint64_t node_count;
    rhumb__reservoirs reservoirs; /* by number */
    uint32_t start;               /* where a search without a seed begins */
    uint32_t *seeds;              /* by slot: the nearest node that its search has found, or RHUMB__SLOT_NONE */
    uint32_t *outward;            /* by slot: the same by the metric; NULL: it is the linking distance */
    uint32_t *queue;              /* slots */
    uint32_t *parents;            /* by slot: whose seed its search begins at; its own slot: no neighbour's */
    uint64_t queued_count;
    double progress_begin; /* of the step in hand */
    double progress_steps;
    uint64_t begin; /* of the step in hand, in the queue or the nodes */
    uint64_t end;
    _Atomic uint64_t next;
    _Atomic bool stopped;
} join;

uint32_t rhumb__join_breadth(const rhumb__params *params, uint64_t slot_count) {
    const uint64_t usual_count = rhumb__max_u64(params->M + params->M / 4, BREADTH_USUAL_MIN);
    const double bytes = MEMORY_SHARE * (double)rhumb__memory_limit_bytes();
    const double affordable_count = bytes / (double)sizeof(rhumb__candidate) / (double)(slot_count + 1);
    const uint64_t count = affordable_count < (double)usual_count ? (uint64_t)affordable_count : usual_count;
    return (uint32_t)rhumb__min_u64(rhumb__max_u64(count, BREADTH_MIN), RHUMB__RESERVOIR_CAPACITY_MAX);
}

static bool is_on_level(const join *j, uint32_t slot, uint32_t part_begin) {
    if (!rhumb__equals_is_head(j->spec->lower, slot, part_begin)) return false;
    return j->level == 0 || rhumb__node_level(rhumb__graph_node(j->graph, slot)) >= j->level;
}

/* ---- steps on all threads ---- */

static bool take(join *j, uint64_t *begin_out, uint64_t *end_out) {
    if (atomic_load_explicit(&j->stopped, memory_order_relaxed)) return false;
    *begin_out = atomic_fetch_add_explicit(&j->next, NODES_PER_STEP, memory_order_relaxed);
    *end_out = rhumb__min_u64(*begin_out + NODES_PER_STEP, j->end);
    return *begin_out < j->end;
}

/* Reports that of the step in hand all before `at` is done. */
static rhumb_status report(join *j, uint64_t at) {
    const double share = (double)(at - j->begin) / (double)rhumb__max_u64(j->end - j->begin, 1);
    const double done_count = j->progress_begin + share * j->progress_steps;
    return rhumb__progress_report(j->spec->progress, rhumb__min_u64((uint64_t)done_count, j->spec->progress_end));
}

/* Goes through [begin, end) of the queue or of the nodes. That many steps of the progress are passed. */
static rhumb_status run(join *j, uint64_t begin, uint64_t end, double progress_steps, rhumb__worker worker) {
    j->begin = begin;
    j->end = end;
    j->progress_steps = progress_steps;
    atomic_store(&j->next, begin);
    const uint32_t thread_count = end - begin <= NODES_PER_STEP ? 1 : j->spec->thread_count;
    const rhumb_status status = rhumb__parallel_run(thread_count, worker, j);
    j->progress_begin += progress_steps;
    return status;
}

/* ---- seek ---- */

/* Gives what a search has found to the node, and the node to what it has found. */
static void give(join *j, uint32_t slot, rhumb__candidate *found, uint32_t count) {
    const uint32_t number = j->numbers[slot];
    for (uint32_t i = 0; i < count; i++) {
        const rhumb__candidate own = {found[i].distance, number};
        found[i].slot_mark = j->numbers[found[i].slot_mark];
        rhumb__reservoirs_give(&j->reservoirs, found[i].slot_mark, &own, 1);
    }
    rhumb__reservoirs_give(&j->reservoirs, number, found, count);
}

/* Finds what the metric finds, where nodes are linked by another distance (build/outward.h): all that is found are
 * candidates, and the nearest is kept in any case. */
static void seek_outward(join *j, rhumb__scratch *scratch, uint32_t slot) {
    rhumb__graph *graph = j->graph;
    const uint32_t parent = j->outward[j->parents[slot]];
    rhumb__nearest start = {.slot = parent == RHUMB__SLOT_NONE ? j->start : parent};
    scratch->kernels = (rhumb__kernels){graph->space.distance, graph->space.distance_many};
    rhumb__visited_clear(&scratch->visited);
    (void)rhumb__visited_add(&scratch->visited, slot);
    start.distance = rhumb__measure_slot(graph, scratch, start.slot);
    rhumb__walk_level(graph, scratch, start, 0, j->breadth);
    rhumb__query_use_link_distance(scratch);
    rhumb__candidate *found = scratch->pool.entries;
    const uint32_t count = scratch->pool.count;
    if (count == 0) return;
    j->outward[slot] = rhumb__candidate_slot(found[0]);
    for (uint32_t i = 0; i < count; i++) {
        found[i].slot_mark = rhumb__candidate_slot(found[i]);
        found[i].distance = rhumb__measure_slot(graph, scratch, found[i].slot_mark);
    }
    rhumb__sort_candidates(found, count);
    give(j, slot, found, count);
}

static rhumb_status seek_one(join *j, rhumb__scratch *scratch, uint32_t slot) {
    rhumb_status status;
    rhumb__graph *graph = j->graph;
    const uint32_t seed = j->seeds[j->parents[slot]];
    rhumb__nearest start = {.slot = seed == RHUMB__SLOT_NONE ? j->start : seed};
    RHUMB_TRY(rhumb__query_set_row(scratch, rhumb__graph_vector(graph, slot)));
    rhumb__query_use_link_distance(scratch);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, j->breadth));
    (void)rhumb__query_use_codes(scratch);
    (void)rhumb__visited_add(&scratch->visited, slot);
    start.distance = rhumb__measure_slot(graph, scratch, start.slot);
    rhumb__walk_level(graph, scratch, start, j->level, j->breadth);
    rhumb__candidate *found = scratch->pool.entries;
    const uint32_t count = scratch->pool.count;
    if (count == 0) goto done;
    for (uint32_t i = 0; i < count; i++) found[i].slot_mark = rhumb__candidate_slot(found[i]);
    rhumb__sort_candidates(found, count);
    j->seeds[slot] = found[0].slot_mark;
    give(j, slot, found, count);
    if (j->outward != NULL && j->level == 0) seek_outward(j, scratch, slot);
done:
    return status;
}

static rhumb_status seek_some(void *context, uint32_t worker_index) {
    join *j = context;
    rhumb__scratch *scratch = NULL;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = rhumb__scratch_take(j->spec->pool, &scratch);
    while (status == RHUMB_OK && take(j, &begin, &end)) {
        for (uint64_t i = begin; i < end && status == RHUMB_OK; i++) status = seek_one(j, scratch, j->queue[i]);
        if (status == RHUMB_OK && worker_index == 0) status = report(j, end);
    }
    if (status != RHUMB_OK) atomic_store(&j->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

/* ---- queue ---- */

static void enqueue(join *j, uint32_t slot, uint32_t parent) {
    j->parents[slot] = parent;
    j->queue[j->queued_count++] = slot;
}

/* Lets the neighbours of a node follow it that are of its part and not in the queue. */
static void enqueue_neighbours(join *j, rhumb__merge_part own, uint32_t slot) {
    uint32_t slots[RHUMB__M0_MAX];
    const rhumb__list list = rhumb__graph_list(j->graph, slot, j->level);
    const uint32_t count = rhumb__list_read(&list, slots);
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] < own.begin || slots[i] >= own.end || j->parents[slots[i]] != RHUMB__SLOT_NONE) continue;
        enqueue(j, slots[i], slot);
    }
}

/* Enqueues the nodes of a part that are not in the queue, without a parent: all, those with a seed, or the first. */
typedef enum rest { REST_SEEDED, REST_FIRST, REST_ALL } rest;

static void enqueue_rest(join *j, rhumb__merge_part own, rest which) {
    for (uint32_t slot = own.begin; slot < own.end; slot++) {
        if (j->parents[slot] != RHUMB__SLOT_NONE || !is_on_level(j, slot, own.begin)) continue;
        if (which == REST_SEEDED && j->seeds[slot] == RHUMB__SLOT_NONE) continue;
        enqueue(j, slot, slot);
        if (which == REST_FIRST) break;
    }
}

/* Seeks for all nodes of a part. What no list leads to is the last wave. */
static rhumb_status seek_part(join *j, rhumb__merge_part own, double progress_steps) {
    rhumb_status status = RHUMB_OK;
    uint64_t begin = 0;
    bool all = false;
    j->queued_count = 0;
    memset(j->parents + own.begin, 0xFF, (own.end - own.begin) * sizeof *j->parents);
    enqueue_rest(j, own, REST_SEEDED);
    if (j->queued_count == 0) enqueue_rest(j, own, REST_FIRST);
    while (begin < j->queued_count) {
        const uint64_t end = j->queued_count;
        const double share = (double)(end - begin) / (double)(own.end - own.begin);
        RHUMB_TRY(run(j, begin, end, share * progress_steps, seek_some));
        for (; begin < end && !all; begin++) enqueue_neighbours(j, own, j->queue[begin]);
        begin = end;
        if (begin < j->queued_count || all) continue;
        enqueue_rest(j, own, REST_ALL);
        all = true;
    }
done:
    return status;
}

/* ---- choose ---- */

static void choose_one(join *j, rhumb__scratch *scratch, uint32_t number) {
    const rhumb__reservoirs *reservoirs = &j->reservoirs;
    const uint32_t slot = j->nodes[number];
    const rhumb__candidate *given = reservoirs->entries + number * (size_t)reservoirs->capacity;
    uint32_t count = reservoirs->counts[number];
    for (uint32_t i = 0; i < count; i++) scratch->candidates[i].slot_mark = j->nodes[given[i].slot_mark];
    if (j->outward != NULL && j->level == 0 && j->outward[slot] != RHUMB__SLOT_NONE)
        scratch->candidates[count++].slot_mark = j->outward[slot];
    if (count > 0) rhumb__join_choose(j->graph, scratch, slot, j->level, count);
}

static rhumb_status prepare_to_choose(const join *j, rhumb__scratch **scratch_out) {
    rhumb_status status;
    *scratch_out = NULL;
    RHUMB_TRY(rhumb__scratch_take(j->spec->pool, scratch_out));
    RHUMB_TRY(rhumb__scratch_prepare_search(*scratch_out, 1));
    status = rhumb__scratch_prepare_insert(*scratch_out, RHUMB__M0_MAX + rhumb__max_u64(j->breadth + 1, RHUMB__M0_MAX));
done:
    return status;
}

static rhumb_status choose_some(void *context, uint32_t worker_index) {
    join *j = context;
    rhumb__scratch *scratch = NULL;
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = prepare_to_choose(j, &scratch);
    while (status == RHUMB_OK && take(j, &begin, &end)) {
        for (uint64_t i = begin; i < end; i++) choose_one(j, scratch, (uint32_t)i);
        if (worker_index == 0) status = report(j, end);
    }
    if (status != RHUMB_OK) atomic_store(&j->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

/* ---- levels and rounds ---- */

static void gather_nodes(join *j) {
    j->node_count = 0;
    for (uint32_t part = 0; part < j->part_count; part++) {
        for (uint32_t slot = j->begins[part]; slot < j->begins[part + 1]; slot++) {
            if (!is_on_level(j, slot, j->begins[part])) continue;
            j->numbers[slot] = (uint32_t)j->node_count;
            j->nodes[j->node_count++] = slot;
        }
    }
}

/* How many nodes of the level a part has, and the first of them. */
static uint64_t count_nodes(const join *j, rhumb__merge_part counted, uint32_t *first_out) {
    uint64_t count = 0;
    for (uint32_t slot = counted.begin; slot < counted.end; slot++) {
        if (!is_on_level(j, slot, counted.begin)) continue;
        if (count++ == 0) *first_out = slot;
    }
    return count;
}

/* Makes candidates for two parts. */
static rhumb_status seek_pair(join *j, rhumb__merge_part a, rhumb__merge_part b, double progress_steps) {
    uint32_t first_a = RHUMB__SLOT_NONE;
    uint32_t first_b = RHUMB__SLOT_NONE;
    const uint64_t count_a = count_nodes(j, a, &first_a);
    const uint64_t count_b = count_nodes(j, b, &first_b);
    if (count_a == 0 || count_b == 0) return RHUMB_OK;
    const bool a_seeks = count_a < count_b;
    const bool both_seek = j->outward != NULL; /* each node has a link outward to the other part */
    const double steps = both_seek ? progress_steps / 2 : progress_steps;
    j->start = a_seeks ? first_b : first_a;
    const rhumb_status status = seek_part(j, a_seeks ? a : b, steps);
    if (status != RHUMB_OK || !both_seek) return status;
    j->start = a_seeks ? first_a : first_b;
    return seek_part(j, a_seeks ? b : a, steps);
}

/* Joins each part with the next on one level, for a number of steps of the progress. */
static rhumb_status join_level(join *j, uint32_t level, double progress_steps) {
    rhumb_status status;
    j->level = level;
    gather_nodes(j);
    if (j->node_count == 0) return RHUMB_OK;
    const double end = j->progress_begin + progress_steps;
    const double slot_count = (double)(j->begins[j->part_count] - j->begins[0]);
    RHUMB_TRY(rhumb__reservoirs_make(j->node_count, j->breadth, &j->reservoirs));
    for (uint32_t i = 0; i + 1 < j->part_count; i += 2) {
        const uint32_t *at = j->begins + i;
        const double share = (double)(at[2] - at[0]) / slot_count;
        RHUMB_TRY(seek_pair(j, (rhumb__merge_part){at[0], at[1]}, (rhumb__merge_part){at[1], at[2]},
                            SEEK_SHARE * share * progress_steps));
    }
    status = run(j, 0, j->node_count, end - j->progress_begin, choose_some);
done:
    rhumb__reservoirs_free(&j->reservoirs);
    return status;
}

/* Makes one node of equal heads of two parts that have been joined. */
static rhumb_status unite_equals(const join *j) {
    rhumb__scratch *scratch = NULL;
    const rhumb_status status = prepare_to_choose(j, &scratch);
    for (uint32_t i = 0; i + 1 < j->part_count && status == RHUMB_OK; i += 2) {
        const uint32_t *at = j->begins + i;
        const rhumb__equals equals = {
            .graph = j->graph, .lower = j->spec->lower, .part = {at[0], at[2]}, .middle = at[1]};
        rhumb__equals_unite(&equals, scratch);
    }
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

static rhumb_status join_round(join *j, double progress_steps) {
    rhumb_status status = RHUMB_OK;
    const uint64_t seeds_bytes = (j->begins[j->part_count] - j->begins[0]) * sizeof *j->seeds;
    memset(j->seeds + j->begins[0], 0xFF, seeds_bytes);
    if (j->outward != NULL) memset(j->outward + j->begins[0], 0xFF, seeds_bytes);
    /* Level 0 takes nearly all of the time. */
    for (uint32_t i = RHUMB__LEVEL_COUNT; i > 0; i--) RHUMB_TRY(join_level(j, i - 1, i == 1 ? progress_steps : 0));
    RHUMB_TRY(unite_equals(j));
    uint32_t left_count = 0;
    for (uint32_t i = 0; i < j->part_count; i += 2) j->begins[left_count++] = j->begins[i];
    j->begins[left_count] = j->begins[j->part_count];
    j->part_count = left_count;
done:
    return status;
}

static uint32_t round_count_of(uint32_t part_count) {
    uint32_t count = 0;
    for (; part_count > 1; part_count = (part_count + 1) / 2) count++;
    return count;
}

static rhumb_status allocate(join *j) {
    const uint64_t slot_count = rhumb__max_u64(j->begins[j->part_count], 1);
    j->nodes = rhumb__alloc_zeroed(slot_count, sizeof *j->nodes);
    j->numbers = rhumb__alloc_zeroed(slot_count, sizeof *j->numbers);
    j->seeds = rhumb__alloc_zeroed(slot_count, sizeof *j->seeds);
    j->queue = rhumb__alloc_zeroed(slot_count, sizeof *j->queue);
    j->parents = rhumb__alloc_zeroed(slot_count, sizeof *j->parents);
    const bool goes_outward = j->graph->space.link.distance_many != j->graph->space.distance_many;
    if (goes_outward) j->outward = rhumb__alloc_zeroed(slot_count, sizeof *j->outward);
    const bool has_outward = !goes_outward || j->outward != NULL;
    const bool has_nodes = j->nodes != NULL && j->numbers != NULL && j->queue != NULL;
    if (has_nodes && has_outward && j->seeds != NULL && j->parents != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for joining %llu nodes", (unsigned long long)slot_count);
}

rhumb_status rhumb__join(const rhumb__join_spec *spec) {
    rhumb_status status;
    join j = {.spec = spec, .graph = spec->graph, .begins = spec->begins, .part_count = spec->part_count};
    const uint64_t done_count = spec->progress->done_count;
    const double round_count = (double)round_count_of(spec->part_count);
    j.breadth = rhumb__join_breadth(&spec->graph->params, spec->begins[spec->part_count]);
    j.progress_begin = (double)done_count;
    if (spec->part_count > 1) RHUMB_TRY(allocate(&j));
    while (j.part_count > 1) RHUMB_TRY(join_round(&j, (double)(spec->progress_end - done_count) / round_count));
    status = rhumb__progress_report(spec->progress, spec->progress_end);
done:
    rhumb__free(j.nodes);
    rhumb__free(j.numbers);
    rhumb__free(j.seeds);
    rhumb__free(j.outward);
    rhumb__free(j.queue);
    rhumb__free(j.parents);
    return status;
}
