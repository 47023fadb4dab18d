/* bulk_insert.c - see bulk_insert.h.
 *
 *   1. reserve   room for all nodes, and the memory that linking takes: from here on it is not needed again
 *   2. place     the items in their order, some at a time: claim for each what an insert claims, a slot, a number in
 *                the log, the key's entry; then write vectors, codes and node records, on all threads. What is
 *                complete can be written ahead (durability/private_memory.h)
 *   3. hang      copies on their heads
 *   4. link      the lists of all levels, on all threads; then anchors along them (tie_walk.h), and the entry point. A
 *                node that no lists lead to is linked as an insert links it
 *
 * The gate is closed, so nothing else changes the graph; and removal_lock is held, so no checkpoint begins, and no
 * version has a part of the nodes. Therefore an anchor may have any slot. Searches run; they find nothing until the
 * entry point is there. The first slot of the items that are being placed counts as an insert under way, so that
 * rows are complete up to it.
 *
 * When claiming fails, the items before it are in the graph: they are linked one by one, as inserts are.
 *
 * Locks: the gate, exclusive; removal_lock, shared; within them those of an insert.
 */
#include "engine/build/bulk_insert.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/link.h"
#include "engine/build/open_batch.h"
#include "engine/build/place.h"
#include "engine/build/tie_walk.h"
#include "engine/graph/active.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/unlinked.h"
#include "engine/search/walk/query.h"

#define NODES_PER_STEP 256u

/* Vectors that are placed at a time. */
#define PLACED_BYTES (UINT64_C(4) << 20)

typedef struct filling {
    rhumb__graph *graph;
    const rhumb__bulk_insert_spec *spec;
    rhumb__scratch *scratch;
    uint32_t *upper_rows; /* by item: the first upper row of its node */
    uint32_t level;       /* whose lists are written */
    uint64_t begin;       /* of the items that are being placed */
    uint64_t lsn;
    rhumb__bulk_run run;
    rhumb__bulk_loop loop;
} filling;

/* ---- whether ---- */

static bool are_distinct(const uint64_t *sorted, uint64_t count) {
    for (uint64_t i = 1; i < count; i++) {
        if (sorted[i] <= sorted[i - 1]) return false;
    }
    return true;
}

/* Whether no key is there twice and none is RHUMB_KEY_NONE, the largest number. */
static bool are_sound(const uint64_t *keys, uint64_t count) {
    if (keys == NULL || count == 0) return true;
    if (are_distinct(keys, count)) return keys[count - 1] != RHUMB_KEY_NONE;
    uint64_t *sorted = rhumb__alloc_zeroed(count, sizeof *sorted);
    if (sorted == NULL) return false;
    memcpy(sorted, keys, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, rhumb__compare_u64);
    const bool sound = are_distinct(sorted, count) && sorted[count - 1] != RHUMB_KEY_NONE;
    rhumb__free(sorted);
    return sound;
}

static bool is_empty(rhumb__graph *graph) {
    return rhumb__graph_slot_count(graph) == 0 && rhumb__unlinked_count(graph) == 0;
}

bool rhumb__bulk_insert_pays(rhumb__writer *writer, const rhumb__batch_insert_spec *batch) {
    rhumb__writer_enter(writer);
    rhumb__graph *graph = atomic_load(&writer->graph);
    const bool pays = is_empty(graph) && rhumb__bulk_pays(&graph->params, &graph->space, batch->count);
    rhumb__writer_leave(writer);
    return pays && are_sound(batch->keys, batch->count);
}

/* ---- reserve ---- */

static rhumb_status reserve(filling *f) {
    rhumb_status status;
    rhumb__graph *graph = f->graph;
    const uint64_t count = f->spec->batch->count;
    uint64_t upper_count = 0;
    for (uint64_t i = 0; i < count; i++) upper_count += rhumb__params_level(&graph->params, (uint32_t)i);
    rhumb__mutex_lock(&graph->append_lock);
    status = rhumb__graph_ensure_room(graph, count, upper_count);
    rhumb__mutex_unlock(&graph->append_lock);
    RHUMB_TRY(status);
    f->upper_rows = rhumb__alloc_zeroed(count, sizeof *f->upper_rows);
    if (f->upper_rows == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu nodes", (unsigned long long)count);
        goto done;
    }
    RHUMB_TRY(rhumb__scratch_take(f->spec->pool, &f->scratch));
    RHUMB_TRY(rhumb__query_set_row(f->scratch, rhumb__bulk_row(&f->spec->plan->points, 0)));
    status = rhumb__link_prepare(graph, f->scratch);
done:
    return status;
}

/* ---- claim ---- */

/* Takes slot and number in the log together. */
static rhumb_status claim_slot(filling *f, uint64_t key, const void *row, uint32_t item) {
    rhumb__graph *graph = f->graph;
    rhumb__open_batch *batch = f->spec->open_batch;
    rhumb__node_place place;
    rhumb__mutex_lock(&graph->append_lock);
    const rhumb_status status = rhumb__place_allocate(graph, key, &place);
    if (status == RHUMB_OK) {
        RHUMB_ASSERT(place.slot == item);
        const rhumb__log_operation operation = {.type = RHUMB__LOG_INSERT,
                                                .batch = batch->begin_lsn,
                                                .head = &key,
                                                .head_bytes = sizeof key,
                                                .body = row,
                                                .body_bytes = graph->space.vector_bytes};
        f->lsn = rhumb__log_append(graph->writer->log, &operation);
        f->upper_rows[item] = place.upper_row;
        rhumb__open_batch_add(batch, place.slot);
    }
    rhumb__mutex_unlock(&graph->append_lock);
    return status;
}

static rhumb_status claim_key(filling *f, uint64_t key, uint32_t item) {
    rhumb_status status;
    rhumb__key_place key_place;
    rhumb__graph *graph = f->graph;
    rhumb__key_table_lock(&graph->key_table, key, &key_place);
    RHUMB_TRY(rhumb__key_table_reserve(&graph->key_table, &key_place));
    RHUMB_TRY(claim_slot(f, key, rhumb__bulk_row(&f->spec->plan->points, item), item));
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], item) = key;
    rhumb__key_table_add(&graph->key_table, &key_place, item);
    const rhumb__carry_item carried = {
        .key = key, .lsn = f->lsn, .slot = item, .type = RHUMB__LOG_INSERT, .of_batch = true};
    rhumb__carry_note(&graph->writer->carry, &carried);
done:
    rhumb__key_table_unlock(&graph->key_table, &key_place);
    return status;
}

static rhumb_status claim(filling *f, uint32_t item) {
    rhumb_status status;
    rhumb__graph *graph = f->graph;
    const rhumb__batch_insert_spec *batch = f->spec->batch;
    const uint32_t source = f->spec->plan->points.sources[item];
    const uint64_t key = batch->keys == NULL ? batch->first_key + source : batch->keys[source];
    const uint32_t payload_bytes = (uint32_t)sizeof key + graph->space.vector_bytes;
    RHUMB_TRY(rhumb__log_reserve(graph->writer->log, payload_bytes));
    status = claim_key(f, key, item);
    if (status != RHUMB_OK) {
        rhumb__log_release(graph->writer->log, payload_bytes);
        goto done;
    }
    rhumb__key_table_grow(&graph->key_table, (uint64_t)item + 1);
    rhumb__writer_note_logged(graph->writer, payload_bytes);
done:
    return status;
}

/* ---- write ---- */

static rhumb_status write_some(void *context, uint32_t worker_index) {
    filling *f = context;
    rhumb_status status = RHUMB_OK;
    uint64_t begin = 0;
    uint64_t end = 0;
    while (rhumb__bulk_take(&f->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t i = begin; i < end; i++) {
            const uint32_t item = (uint32_t)(f->begin + i);
            const rhumb__node_place place = {
                .slot = item, .level = rhumb__params_level(&f->graph->params, item), .upper_row = f->upper_rows[item]};
            rhumb__place_write(f->graph, rhumb__bulk_row(&f->spec->plan->points, item), &place);
        }
    }
    return rhumb__bulk_end(&f->loop, status);
}

/* Runs a step that cannot fail. */
static void run(filling *f, uint64_t limit, rhumb__worker worker) {
    f->loop = (rhumb__bulk_loop){.run = &f->run, .limit = limit, .step = NODES_PER_STEP};
    const rhumb_status status = rhumb__parallel_run(f->spec->batch->thread_count, worker, f);
    RHUMB_ASSERT_DEBUG(status == RHUMB_OK);
    (void)status;
}

/* ---- place ---- */

/* Places the items from f->begin up to `limit`, or fewer if claiming fails. Returns how many are placed. */
static rhumb_status place_some(filling *f, uint64_t limit, uint64_t *count_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = f->graph;
    const uint32_t active = rhumb__active_claim(graph);
    rhumb__mutex_lock(&graph->append_lock);
    rhumb__active_take_slot(graph, active, (uint32_t)f->begin);
    rhumb__mutex_unlock(&graph->append_lock);
    uint64_t item = f->begin;
    for (; item < limit && status == RHUMB_OK; item++) status = claim(f, (uint32_t)item);
    *count_out = item - f->begin - (status == RHUMB_OK ? 0 : 1);
    run(f, *count_out, write_some);
    atomic_fetch_add(&graph->finished_count, *count_out);
    rhumb__active_leave(graph, active);
    return status;
}

/* Places all items. Returns how many are in the graph, which after a failure are the first ones. */
static rhumb_status place_all(filling *f, uint64_t *placed_count_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__graph *graph = f->graph;
    const uint64_t count = f->spec->batch->count;
    const uint64_t step = rhumb__max_u64(PLACED_BYTES / graph->space.row_stride_bytes, NODES_PER_STEP);
    f->begin = 0;
    while (status == RHUMB_OK && f->begin < count) {
        uint64_t placed_count = 0;
        status = place_some(f, rhumb__min_u64(f->begin + step, count), &placed_count);
        if (placed_count > 0) rhumb__writer_note_slots(graph->writer, f->begin, f->begin + placed_count);
        f->begin += placed_count;
    }
    *placed_count_out = f->begin;
    return status;
}

/* ---- link ---- */

static void write_list(filling *f, const rhumb__bulk_level *nodes, uint64_t node) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t capacity = nodes->lists.capacity;
    const uint32_t *linked = nodes->lists.slots + node * capacity;
    uint32_t count = 0;
    for (; count < capacity && linked[count] != RHUMB__SLOT_NONE; count++) slots[count] = nodes->items[linked[count]];
    const rhumb__list list = rhumb__graph_list(f->graph, nodes->items[node], f->level);
    RHUMB_ASSERT_DEBUG(list.slots != NULL && count <= list.capacity);
    (void)rhumb__list_exchange(&list, NULL, 0, slots, count); /* the list is empty, so this succeeds */
}

static rhumb_status write_lists(void *context, uint32_t worker_index) {
    filling *f = context;
    rhumb_status status = RHUMB_OK;
    uint64_t begin = 0;
    uint64_t end = 0;
    const rhumb__bulk_level *nodes = &f->spec->plan->levels[f->level];
    while (rhumb__bulk_take(&f->loop, worker_index, &begin, &end, &status)) {
        for (uint64_t node = begin; node < end; node++) write_list(f, nodes, node);
    }
    return rhumb__bulk_end(&f->loop, status);
}

/* Notes the first head of each level. The entry point is that of the highest. */
static uint64_t note_firsts(filling *f) {
    const rhumb__bulk_plan *plan = f->spec->plan;
    uint32_t first[RHUMB__LEVEL_COUNT];
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) first[level] = RHUMB__SLOT_NONE;
    for (uint64_t i = plan->levels[0].count; i > 0; i--) {
        const uint32_t item = plan->levels[0].items[i - 1];
        first[rhumb__params_level(&f->graph->params, item)] = item;
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++)
        atomic_store(&f->graph->level_first[level], first[level]);
    const uint32_t top = plan->level_count - 1;
    return rhumb__entry_encode(first[top], top);
}

/* Links what is not tied, in the order of slots. The scratch has the memory for it, so it cannot fail. */
static void link_rest(filling *f, uint64_t count, bool as_heads) {
    for (uint32_t slot = 0; slot < count; slot++) {
        if (rhumb__tie_load(f->graph, slot) != 0) continue;
        const rhumb_status status = as_heads ? rhumb__graph_link_head(f->graph, f->scratch, slot)
                                             : rhumb__graph_link_placed(f->graph, f->scratch, slot);
        RHUMB_ASSERT_DEBUG(status == RHUMB_OK);
        (void)status;
    }
}

static void link_all(filling *f) {
    const rhumb__bulk_plan *plan = f->spec->plan;
    rhumb__graph *graph = f->graph;
    uint64_t tied_count = 0;
    for (f->level = 0; f->level < plan->level_count; f->level++) run(f, plan->levels[f->level].count, write_lists);
    const uint64_t entry = note_firsts(f);
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__tie_walk(graph, f->spec->pool, rhumb__entry_slot(entry), NULL, &tied_count);
    /* Without memory for the walk, nothing is tied, and the first of the rest becomes the entry point. */
    if (status == RHUMB_OK) atomic_store(&graph->entry, entry);
    if (status != RHUMB_OK) rhumb__error_restore(&before);
    if (tied_count < plan->levels[0].count) link_rest(f, plan->points.count, true);
}

/* ---- all ---- */

static rhumb_status fill(filling *f, rhumb__bulk_insert_result *result) {
    rhumb_status status;
    RHUMB_TRY(reserve(f));
    status = place_all(f, &result->inserted_count);
    result->lsn = f->lsn;
    if (status == RHUMB_OK) {
        rhumb__bulk_points_hang(&f->spec->plan->points, f->graph, 0);
        link_all(f);
    } else {
        rhumb_error cause;
        rhumb__error_save(&cause);
        link_rest(f, result->inserted_count, false);
        rhumb__error_restore(&cause);
    }
done:
    return status;
}

rhumb_status rhumb__bulk_insert(rhumb__writer *writer, const rhumb__bulk_insert_spec *spec,
                                rhumb__bulk_insert_result *result) {
    rhumb_status status = RHUMB_OK;
    *result = (rhumb__bulk_insert_result){0};
    rhumb__rwlock_wrlock(&writer->gate);
    rhumb__graph *graph = atomic_load(&writer->graph);
    rhumb__rwlock_rdlock(&graph->removal_lock);
    filling f = {.graph = graph, .spec = spec};
    if (is_empty(graph)) {
        result->applied = true;
        status = fill(&f, result);
    }
    rhumb__rwlock_unlock(&graph->removal_lock);
    rhumb__rwlock_unlock(&writer->gate);
    if (f.scratch != NULL) rhumb__scratch_give(f.scratch);
    rhumb__free(f.upper_rows);
    return status;
}
