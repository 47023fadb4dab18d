/* points.c - reading points one by one: levels, vectors in place, neighbours, and cursors over all of them.
 *
 * A cursor holds no memory of the index between calls: it knows the graph by number, so that a refresh need not wait
 * for it. Each call takes the handle's current graph, and fails if that is another one.
 */
#include "api/handle.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/adjacency.h"

static_assert(RHUMB_LEVELS_ALL == RHUMB__LEVELS_ALL, "the caller's level is passed on");

struct rhumb_point_cursor {
    rhumb_index *index;
    uint64_t graph_id;
    uint32_t level;
    uint64_t slot; /* the next to read */
    uint64_t end;  /* the number of slots when the cursor was opened */
};

/* Enters the handle and finds the slot of a key. On failure no scratch is taken. */
static rhumb_status enter_at(rhumb_index *index, uint64_t key, rhumb__scratch **scratch_out, rhumb__graph **graph_out,
                             uint32_t *slot_out) {
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    status = rhumb__handle_enter(index, scratch_out, graph_out);
    if (status != RHUMB_OK) return status;
    status = rhumb__handle_find(*graph_out, key, slot_out);
    return status == RHUMB_OK ? status : rhumb__handle_leave(*scratch_out, status);
}

rhumb_status rhumb_index_level(rhumb_index *index, uint64_t key, uint32_t *level) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    uint32_t slot = 0;
    if (level == NULL) return rhumb__fail(RHUMB_E_INVALID, "level is NULL");
    const rhumb_status status = enter_at(index, key, &scratch, &graph, &slot);
    if (status != RHUMB_OK) return status;
    const uint32_t found = rhumb__node_level(rhumb__graph_node(graph, slot));
    const rhumb_status verdict = rhumb__handle_leave(scratch, RHUMB_OK);
    if (verdict == RHUMB_OK) *level = found;
    return verdict;
}

rhumb_status rhumb_index_vector_view(rhumb_index *index, uint64_t key, const void **vector) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    uint32_t slot = 0;
    if (vector == NULL) return rhumb__fail(RHUMB_E_INVALID, "vector is NULL");
    rhumb_status status = enter_at(index, key, &scratch, &graph, &slot);
    if (status != RHUMB_OK) return status;
    status = rhumb__graph_check_vectors(graph);
    if (status == RHUMB_OK) *vector = rhumb__graph_vector(graph, slot);
    return rhumb__handle_leave(scratch, status);
}

static rhumb_status check_level(const rhumb__graph *graph, uint32_t slot, uint64_t key, uint32_t level) {
    const uint32_t highest = rhumb__node_level(rhumb__graph_node(graph, slot));
    if (level <= highest || level == RHUMB_LEVELS_ALL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "level: key %llu is on levels 0 to %u, found %u", (unsigned long long)key,
                       highest, level);
}

rhumb_status rhumb_index_neighbours(rhumb_index *index, uint64_t key, uint32_t level, uint64_t *keys, float *distances,
                                    size_t capacity, size_t *found_count) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    uint32_t slot = 0;
    if (found_count == NULL || (keys == NULL && capacity > 0)) {
        return rhumb__fail(RHUMB_E_INVALID, "%s is NULL", found_count == NULL ? "found_count" : "keys");
    }
    status = enter_at(index, key, &scratch, &graph, &slot);
    if (status != RHUMB_OK) return status;
    RHUMB_TRY(check_level(graph, slot, key, level));
    if (distances != NULL) RHUMB_TRY(rhumb__graph_check_vectors(graph));
    RHUMB_TRY(rhumb__adjacency_prepare(scratch));
    const uint32_t count = rhumb__adjacency_read(graph, scratch, slot, level, scratch->slot_limit);
    if (graph->graph_only) {
        rhumb__sort_candidates(scratch->candidates, count); /* by slot: no distance is known */
    } else {
        rhumb__adjacency_measure(graph, scratch, slot, count);
    }
    for (uint32_t i = 0; i < count && i < capacity; i++) {
        keys[i] = rhumb__graph_key(graph, scratch->candidates[i].slot_mark);
        if (distances != NULL) distances[i] = rhumb__space_finish(&graph->space, scratch->candidates[i].distance);
    }
    *found_count = count;
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_point_cursor_open(rhumb_index *index, uint32_t level, rhumb_point_cursor **cursor_out) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (cursor_out == NULL) return rhumb__fail(RHUMB_E_INVALID, "cursor_out is NULL");
    if (level > RHUMB_LEVEL_MAX) {
        return rhumb__fail(RHUMB_E_INVALID, "level: expected at most %u, found %u", RHUMB_LEVEL_MAX, level);
    }
    rhumb_point_cursor *cursor = rhumb__alloc_zeroed(1, sizeof *cursor);
    if (cursor == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a cursor");
    status = rhumb__handle_enter(index, &scratch, &graph);
    if (status != RHUMB_OK) {
        rhumb__free(cursor);
        return status;
    }
    cursor->index = index;
    cursor->graph_id = graph->id;
    cursor->level = level;
    /* A slot may be allocated before its rows are mapped. */
    cursor->end =
        rhumb__min_u64(rhumb__graph_slot_count(graph), atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    status = rhumb__handle_leave(scratch, RHUMB_OK);
    if (status == RHUMB_OK) {
        *cursor_out = cursor;
    } else {
        rhumb__free(cursor);
    }
    return status;
}

rhumb_status rhumb_point_cursor_next(rhumb_point_cursor *cursor, size_t capacity, uint64_t *keys, const void **vectors,
                                     uint32_t *levels, size_t *count) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    if (cursor == NULL || count == NULL || capacity == 0) {
        return rhumb__fail(RHUMB_E_INVALID, "the cursor or count is NULL, or capacity is 0");
    }
    rhumb_status status = rhumb__handle_check(cursor->index, false);
    if (status != RHUMB_OK) return status;
    status = rhumb__handle_enter(cursor->index, &scratch, &graph);
    if (status != RHUMB_OK) return status;
    if (graph->id != cursor->graph_id) {
        status = rhumb__fail(RHUMB_E_STALE, "the index was refreshed or compacted after this cursor had been opened");
        goto done;
    }
    if (vectors != NULL) RHUMB_TRY(rhumb__graph_check_vectors(graph));
    size_t found = 0;
    for (; cursor->slot < cursor->end && found < capacity; cursor->slot++) {
        const uint32_t slot = (uint32_t)cursor->slot;
        const uint64_t node = rhumb__graph_node(graph, slot);
        if ((node & RHUMB__NODE_PRESENT) == 0 || rhumb__node_level(node) < cursor->level) continue;
        if (rhumb__graph_is_dead(graph, slot)) continue;
        if (keys != NULL) keys[found] = rhumb__graph_key(graph, slot);
        if (vectors != NULL) vectors[found] = rhumb__graph_vector(graph, slot);
        if (levels != NULL) levels[found] = rhumb__node_level(node);
        found++;
    }
    *count = found;
done:
    return rhumb__handle_leave(scratch, status);
}

void rhumb_point_cursor_close(rhumb_point_cursor *cursor) { rhumb__free(cursor); }
