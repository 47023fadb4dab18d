/* choose.c - see choose.h.
 *
 *   1. choose    Every node selects among its candidates, measured by their vectors, as an insert does. A node that is
 *                on the level above also has its last links from there, which lead farthest.
 *   2. turn      The links are turned round: who has chosen whom.
 *   3. join      A node's list is what it has chosen and who has chosen it; if that is too much, the heuristic selects.
 *                The links from above stay.
 *
 * Candidates are near, so without those from above a group of vectors far from the others would have no way out, and
 * searches that enter the wrong one would end there. Inserts leave such links from the time when the index was small.
 *
 * All three give the same on any number of threads. Owns its arrays. Takes no lock: each thread writes the lists of its
 * own nodes.
 */
#include "engine/build/bulk/choose.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/bulk/select_rows.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/params.h"

#define NODES_PER_STEP 128u

/* Of the time, what joining takes. */
#define JOIN_SHARE 0.35

typedef struct choosing {
    rhumb__bulk_loop loop;
    const rhumb__choose_spec *spec;
    rhumb__bulk_lists *lists;
    uint32_t *rows;     /* of each node the number of its row */
    uint32_t stride;    /* in `chosen` */
    uint32_t *chosen;   /* of each node spec->chosen_count, then spec->far_count; the rest of both RHUMB__SLOT_NONE */
    uint64_t *begins;   /* of each node in `choosers`, and the end of the last */
    uint32_t *choosers; /* who has chosen a node */
} choosing;

/* What a thread works with. */
typedef struct chooser {
    rhumb__candidate *candidates;
    const void **rows;
    float *distances;
    uint32_t capacity;
    uint32_t selected[RHUMB__M0_MAX];
    const void *kept_rows[RHUMB__M0_MAX];
} chooser;

static void chooser_free(chooser *w) {
    rhumb__free(w->candidates);
    rhumb__free((void *)w->rows);
    rhumb__free(w->distances);
}

static rhumb_status reserve(chooser *w, uint64_t count) {
    if (count <= w->capacity) return RHUMB_OK;
    chooser_free(w);
    w->capacity = (uint32_t)rhumb__max_u64(2 * count, RHUMB__RESERVOIR_CAPACITY_MAX);
    w->candidates = rhumb__alloc_zeroed(w->capacity, sizeof *w->candidates);
    w->rows = rhumb__alloc_zeroed(w->capacity, sizeof *w->rows);
    w->distances = rhumb__alloc_zeroed(w->capacity, sizeof *w->distances);
    if (w->candidates != NULL && w->rows != NULL && w->distances != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu candidates", (unsigned long long)count);
}

static const void *row_of(const choosing *c, uint32_t node) {
    const rhumb__bulk_nodes *nodes = c->spec->nodes;
    return rhumb__bulk_row(nodes->points, nodes->items[node]);
}

/* Measures the first `count` candidates by their vectors, sorts them, and selects. Returns how many are selected. */
static uint32_t select_nearest(const choosing *c, chooser *w, uint32_t node, uint32_t count, uint32_t capacity) {
    const rhumb__bulk_nodes *nodes = c->spec->nodes;
    const rhumb__space *space = nodes->points->space;
    for (uint32_t i = 0; i < count; i++) w->rows[i] = row_of(c, w->candidates[i].slot_mark);
    space->link.distance_many(space, row_of(c, node), w->rows, count, w->distances);
    for (uint32_t i = 0; i < count; i++) w->candidates[i].distance = w->distances[i];
    rhumb__sort_candidates(w->candidates, count);
    const rhumb__select_from from = {.space = space,
                                     .rows = nodes->points->rows,
                                     .row_stride_bytes = nodes->points->row_stride_bytes,
                                     .items = c->rows,
                                     .keep_pruned = c->spec->keep_pruned,
                                     .nearness = c->spec->nearness,
                                     .kept_rows = w->kept_rows};
    return rhumb__select_rows(&from, (rhumb__candidates){w->candidates, count}, capacity, w->selected);
}

static void fill(uint32_t *slots, uint32_t capacity, const uint32_t *selected, uint32_t count) {
    RHUMB_ASSERT_DEBUG(count <= capacity);
    memcpy(slots, selected, count * sizeof *slots);
    memset(slots + count, 0xFF, (capacity - count) * sizeof *slots);
}

/* ---- choose ---- */

static uint32_t *chosen_of(const choosing *c, uint32_t node) { return c->chosen + node * (size_t)c->stride; }

/* The place of an item among ascending ones; `count` if it is not there. */
static uint64_t find_item(const uint32_t *items, uint64_t count, uint32_t item) {
    uint64_t begin = 0;
    uint64_t end = count;
    while (begin < end) {
        const uint64_t middle = begin + (end - begin) / 2;
        if (items[middle] < item)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < count && items[begin] == item ? begin : count;
}

/* Adds the last links of the level above that a node has not chosen here. */
static void add_far(const choosing *c, uint32_t node) {
    const rhumb__bulk_level *above = c->spec->above;
    const rhumb__bulk_nodes *nodes = c->spec->nodes;
    if (above == NULL) return;
    const uint64_t node_above = find_item(above->items, above->count, nodes->items[node]);
    if (node_above == above->count) return;
    const uint32_t *linked = above->lists.slots + node_above * above->lists.capacity;
    uint32_t *chosen = chosen_of(c, node);
    uint32_t *far = chosen + c->spec->chosen_count;
    uint32_t far_count = 0;
    for (uint32_t i = above->lists.capacity; i > 0 && far_count < c->spec->far_count; i--) {
        if (linked[i - 1] == RHUMB__SLOT_NONE) continue;
        const uint32_t other = (uint32_t)find_item(nodes->items, nodes->count, above->items[linked[i - 1]]);
        if (!rhumb__slots_contain(chosen, c->spec->chosen_count, other)) far[far_count++] = other;
    }
}

static void choose_node(choosing *c, chooser *w, uint32_t node) {
    const rhumb__reservoirs *reservoirs = c->spec->reservoirs;
    const uint32_t count = reservoirs->counts[node];
    memcpy(w->candidates, reservoirs->entries + node * (size_t)reservoirs->capacity, count * sizeof *w->candidates);
    const uint32_t selected_count = select_nearest(c, w, node, count, c->spec->chosen_count);
    fill(chosen_of(c, node), c->stride, w->selected, selected_count);
    add_far(c, node);
}

static rhumb_status choose_some(void *context, uint32_t worker_index) {
    choosing *c = context;
    chooser w = {0};
    uint64_t begin = 0;
    uint64_t end = 0;
    rhumb_status status = reserve(&w, c->spec->reservoirs->capacity);
    while (rhumb__bulk_take(&c->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t node = begin; node < end; node++) choose_node(c, &w, (uint32_t)node);
    }
    chooser_free(&w);
    return rhumb__bulk_end(&c->loop, status);
}

/* ---- turn ---- */

static rhumb_status turn(choosing *c) {
    const uint64_t count = c->spec->nodes->count;
    const uint64_t entry_count = count * c->stride;
    uint64_t link_count = 0;
    c->begins = rhumb__alloc_zeroed(count + 2, sizeof *c->begins);
    if (c->begins == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for turning links");
    for (uint64_t i = 0; i < entry_count; i++) {
        if (c->chosen[i] == RHUMB__SLOT_NONE) continue;
        c->begins[c->chosen[i] + 2]++;
        link_count++;
    }
    c->choosers = rhumb__alloc_zeroed(rhumb__max_u64(link_count, 1), sizeof *c->choosers);
    if (c->choosers == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for turning links");
    for (uint64_t i = 2; i < count + 2; i++) c->begins[i] += c->begins[i - 1];
    for (uint64_t i = 0; i < entry_count; i++) {
        if (c->chosen[i] == RHUMB__SLOT_NONE) continue;
        c->choosers[c->begins[c->chosen[i] + 1]++] = (uint32_t)(i / c->stride);
    }
    return RHUMB_OK;
}

/* ---- join ---- */

static uint32_t count_of(const uint32_t *slots, uint32_t capacity) {
    uint32_t count = 0;
    while (count < capacity && slots[count] != RHUMB__SLOT_NONE) count++;
    return count;
}

static rhumb_status join_node(choosing *c, chooser *w, uint32_t node) {
    const uint32_t *chosen = chosen_of(c, node);
    const uint32_t *far = chosen + c->spec->chosen_count;
    const uint32_t far_count = count_of(far, c->spec->far_count);
    const uint32_t capacity = c->lists->capacity - far_count;
    const uint64_t begin = c->begins[node];
    const uint64_t end = c->begins[node + 1];
    uint32_t count = count_of(chosen, c->spec->chosen_count);
    const rhumb_status status = reserve(w, count + (end - begin));
    if (status != RHUMB_OK) return status;
    for (uint32_t i = 0; i < count; i++) w->candidates[i].slot_mark = chosen[i];
    for (uint64_t i = begin; i < end; i++) {
        if (!rhumb__slots_contain(chosen, c->stride, c->choosers[i])) w->candidates[count++].slot_mark = c->choosers[i];
    }
    if (count > capacity)
        count = select_nearest(c, w, node, count, capacity);
    else
        for (uint32_t i = 0; i < count; i++) w->selected[i] = w->candidates[i].slot_mark;
    memcpy(w->selected + count, far, far_count * sizeof *far);
    fill(c->lists->slots + node * (size_t)c->lists->capacity, c->lists->capacity, w->selected, count + far_count);
    return RHUMB_OK;
}

static rhumb_status join_some(void *context, uint32_t worker_index) {
    choosing *c = context;
    chooser w = {0};
    rhumb_status status = RHUMB_OK;
    uint64_t begin = 0;
    uint64_t end = 0;
    while (rhumb__bulk_take(&c->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t node = begin; node < end && status == RHUMB_OK; node++) status = join_node(c, &w, (uint32_t)node);
    }
    chooser_free(&w);
    return rhumb__bulk_end(&c->loop, status);
}

/* ---- all ---- */

rhumb_status rhumb__choose(const rhumb__choose_spec *spec, rhumb__bulk_run *run, rhumb__bulk_lists *lists) {
    rhumb_status status;
    const uint64_t count = spec->nodes->count;
    const rhumb__bulk_loop first = {.run = run, .limit = count, .step = NODES_PER_STEP};
    const rhumb__bulk_loop second = {.run = run, .limit = count, .step = NODES_PER_STEP};
    choosing c = {.loop = first, .spec = spec, .lists = lists, .stride = spec->chosen_count + spec->far_count};
    RHUMB_ASSERT(spec->far_count < lists->capacity && lists->capacity <= RHUMB__M0_MAX);
    c.chosen = rhumb__alloc_zeroed(count * c.stride, sizeof *c.chosen);
    c.rows = rhumb__alloc_zeroed(count, sizeof *c.rows);
    lists->slots = rhumb__alloc_zeroed(count * lists->capacity, sizeof *lists->slots);
    if (c.chosen == NULL || c.rows == NULL || lists->slots == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for the lists of %llu vectors", (unsigned long long)count);
        goto done;
    }
    for (uint64_t node = 0; node < count; node++) c.rows[node] = spec->nodes->points->sources[spec->nodes->items[node]];
    rhumb__bulk_begin(run, (1 - JOIN_SHARE) * spec->share);
    RHUMB_TRY(rhumb__parallel_run(run->thread_count, choose_some, &c));
    RHUMB_TRY(turn(&c));
    c.loop = second;
    rhumb__bulk_begin(run, JOIN_SHARE * spec->share);
    status = rhumb__parallel_run(run->thread_count, join_some, &c);
done:
    rhumb__free(c.rows);
    rhumb__free(c.chosen);
    rhumb__free(c.begins);
    rhumb__free(c.choosers);
    return status;
}
