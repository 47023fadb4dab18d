/* choose.c - see choose.h.
 *
 *   1. choose    Every node selects among its candidates, measured by their vectors, as an insert does.
 *   2. turn      The links are turned round: who has chosen whom.
 *   3. join      A node's list is what it has chosen and who has chosen it; if that is too much, the heuristic selects.
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
#include "engine/graph/params.h"

#define NODES_PER_STEP 128u

/* Of the time, what joining takes. */
#define JOIN_SHARE 0.35

typedef struct choosing {
    rhumb__bulk_loop loop;
    const rhumb__choose_spec *spec;
    rhumb__bulk_lists *lists;
    uint32_t *chosen;   /* of each node spec->chosen_count, the rest RHUMB__SLOT_NONE */
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
                                     .items = nodes->items,
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

static void choose_node(choosing *c, chooser *w, uint32_t node) {
    const rhumb__reservoirs *reservoirs = c->spec->reservoirs;
    const uint32_t count = reservoirs->counts[node];
    memcpy(w->candidates, reservoirs->entries + node * (size_t)reservoirs->capacity, count * sizeof *w->candidates);
    const uint32_t selected_count = select_nearest(c, w, node, count, c->spec->chosen_count);
    fill(c->chosen + node * (size_t)c->spec->chosen_count, c->spec->chosen_count, w->selected, selected_count);
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
    const uint64_t entry_count = count * c->spec->chosen_count;
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
        c->choosers[c->begins[c->chosen[i] + 1]++] = (uint32_t)(i / c->spec->chosen_count);
    }
    return RHUMB_OK;
}

/* ---- join ---- */

static bool has_chosen(const choosing *c, uint32_t node, uint32_t other) {
    const uint32_t *chosen = c->chosen + node * (size_t)c->spec->chosen_count;
    for (uint32_t i = 0; i < c->spec->chosen_count && chosen[i] != RHUMB__SLOT_NONE; i++) {
        if (chosen[i] == other) return true;
    }
    return false;
}

static rhumb_status join_node(choosing *c, chooser *w, uint32_t node) {
    const uint32_t capacity = c->lists->capacity;
    uint32_t *slots = c->lists->slots + node * (size_t)capacity;
    const uint32_t *chosen = c->chosen + node * (size_t)c->spec->chosen_count;
    const uint64_t begin = c->begins[node];
    const uint64_t end = c->begins[node + 1];
    uint32_t count = 0;
    const rhumb_status status = reserve(w, c->spec->chosen_count + (end - begin));
    if (status != RHUMB_OK) return status;
    for (uint32_t i = 0; i < c->spec->chosen_count && chosen[i] != RHUMB__SLOT_NONE; i++) {
        w->candidates[count++].slot_mark = chosen[i];
    }
    for (uint64_t i = begin; i < end; i++) {
        if (!has_chosen(c, node, c->choosers[i])) w->candidates[count++].slot_mark = c->choosers[i];
    }
    if (count > capacity) {
        fill(slots, capacity, w->selected, select_nearest(c, w, node, count, capacity));
        return RHUMB_OK;
    }
    for (uint32_t i = 0; i < capacity; i++) slots[i] = i < count ? w->candidates[i].slot_mark : RHUMB__SLOT_NONE;
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
    choosing c = {.loop = first, .spec = spec, .lists = lists};
    c.chosen = rhumb__alloc_zeroed(count * spec->chosen_count, sizeof *c.chosen);
    lists->slots = rhumb__alloc_zeroed(count * lists->capacity, sizeof *lists->slots);
    if (c.chosen == NULL || lists->slots == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for the lists of %llu vectors", (unsigned long long)count);
        goto done;
    }
    rhumb__bulk_begin(run, (1 - JOIN_SHARE) * spec->share);
    RHUMB_TRY(rhumb__parallel_run(run->thread_count, choose_some, &c));
    RHUMB_TRY(turn(&c));
    c.loop = second;
    rhumb__bulk_begin(run, JOIN_SHARE * spec->share);
    status = rhumb__parallel_run(run->thread_count, join_some, &c);
done:
    rhumb__free(c.chosen);
    rhumb__free(c.begins);
    rhumb__free(c.choosers);
    return status;
}
