/* search.c - see search.h.
 *
 * The hot path of the whole library. A step takes the nearest candidate that has not been expanded, reads its list,
 * keeps the neighbours not seen before, asks the processor for their vectors, measures all of them in one call, and
 * offers them to the pool. Memory latency is what it costs, so addresses are announced as early as they are known: a
 * neighbour's vector when its slot has been read, the next candidate's list while the distances are being computed.
 *
 * Every slot that comes from a list is compared with scratch->slot_limit before it is used, because lists come from a
 * file.
 */
#include "engine/search/search.h"

#include <math.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"
#include "engine/search/prefetch.h"

void rhumb__search_measure(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) scratch->rows[i] = rhumb__graph_vector(graph, scratch->batch[i]);
    graph->space.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
}

uint32_t rhumb__search_gather(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, rhumb__visited *visited,
                              uint64_t slot_limit) {
    const uint32_t list_count = rhumb__graph_neighbours(graph, slot, slot_limit, scratch->list);
    uint32_t count = 0;
    for (uint32_t i = 0; i < list_count; i++) {
        if (rhumb__visited_add(visited, scratch->list[i])) continue;
        rhumb__prefetch_vector(graph, rhumb__graph_vector(graph, scratch->list[i]));
        scratch->batch[count++] = scratch->list[i];
    }
    return count;
}

/* The neighbours of a node on a level that have not been visited, in scratch->batch and scratch->rows; marks them
 * visited. */
static uint32_t gather_unvisited(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, uint32_t level) {
    const rhumb__list list = rhumb__graph_list(graph, slot, level);
    const uint64_t slot_limit = scratch->slot_limit;
    uint32_t count = 0;
    for (uint32_t i = 0; i < list.capacity; i++) {
        const uint32_t neighbour = rhumb__list_peek(&list, i);
        if (neighbour == RHUMB__SLOT_NONE) break;
        if (neighbour >= slot_limit || rhumb__visited_add(&scratch->visited, neighbour)) continue;
        const uint8_t *row = rhumb__graph_vector(graph, neighbour);
        rhumb__prefetch_vector(graph, row);
        scratch->batch[count] = neighbour;
        scratch->rows[count] = row;
        count++;
    }
    rhumb__list_fence();
    return count;
}

void rhumb__search_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level,
                         uint32_t ef) {
    rhumb__candidate_pool *pool = &scratch->pool;
    rhumb__candidate_pool_clear(pool, ef);
    if (!rhumb__visited_add(&scratch->visited, start.slot)) {
        rhumb__candidate_pool_add(pool, start.slot, start.distance);
    }
    uint32_t slot;
    while (rhumb__candidate_pool_take(pool, &slot)) {
        const uint32_t count = gather_unvisited(graph, scratch, slot, level);
        uint32_t next;
        if (level == 0 && rhumb__candidate_pool_peek(pool, &next)) rhumb__prefetch_list(graph, next);
        graph->space.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
        for (uint32_t i = 0; i < count; i++) {
            rhumb__candidate_pool_add(pool, scratch->batch[i], scratch->distances[i]);
        }
    }
}

/* Candidates that a walk over a graph with deleted nodes remembers, for each answer it is to find. More than this many
 * deleted nodes around a query for each live one, and the walk loses its farthest candidates. */
#define CANDIDATES_PER_ANSWER 4u

/* Offers a measured node to the candidates, and to the answers if it is alive. A candidate that is farther than a full
 * set of answers leads nowhere. */
static void offer_live(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, float distance) {
    if (!rhumb__candidate_pool_accepts(&scratch->answers, distance)) return;
    rhumb__candidate_pool_add(&scratch->pool, slot, distance);
    if (!rhumb__graph_is_dead(graph, slot)) rhumb__candidate_pool_add(&scratch->answers, slot, distance);
}

void rhumb__search_level_live(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start) {
    rhumb__candidate_pool *pool = &scratch->pool;
    if (!rhumb__visited_add(&scratch->visited, start.slot)) offer_live(graph, scratch, start.slot, start.distance);
    uint32_t slot;
    while (rhumb__candidate_pool_take(pool, &slot)) {
        if (!rhumb__candidate_pool_accepts(&scratch->answers, pool->entries[pool->next - 1].distance)) break;
        const uint32_t count = gather_unvisited(graph, scratch, slot, 0);
        graph->space.distance_many(&graph->space, scratch->query, scratch->rows, count, scratch->distances);
        for (uint32_t i = 0; i < count; i++) offer_live(graph, scratch, scratch->batch[i], scratch->distances[i]);
    }
}

/* Moves to the nearest neighbour for as long as that is nearer. Ends, because the distance falls with every step. */
static rhumb__nearest walk_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest nearest, uint32_t level) {
    for (;;) {
        const rhumb__list list = rhumb__graph_list(graph, nearest.slot, level);
        uint32_t count = rhumb__list_read(&list, scratch->list);
        uint32_t kept_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (scratch->list[i] < scratch->slot_limit) scratch->batch[kept_count++] = scratch->list[i];
        }
        for (uint32_t i = 0; i < kept_count; i++) {
            rhumb__prefetch_vector(graph, rhumb__graph_vector(graph, scratch->batch[i]));
        }
        rhumb__search_measure(graph, scratch, kept_count);
        bool moved = false;
        for (uint32_t i = 0; i < kept_count; i++) {
            if (scratch->distances[i] >= nearest.distance) continue;
            nearest = (rhumb__nearest){scratch->batch[i], scratch->distances[i]};
            moved = true;
        }
        if (!moved) return nearest;
    }
}

rhumb__nearest rhumb__search_descend(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level, uint32_t *top_out) {
    /* Acquire pairs with the release in raise_entry: the entry point's data and lists can be read. */
    const uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    rhumb__nearest nearest = {RHUMB__SLOT_NONE, INFINITY};
    *top_out = 0;
    if (entry == RHUMB__ENTRY_NONE) return nearest;
    if (rhumb__entry_slot(entry) >= scratch->slot_limit) {
        /* Raised since the limit was taken over. Without following, an index full of vectors would seem empty. */
        (void)rhumb__scratch_extend(scratch);
        if (rhumb__entry_slot(entry) >= scratch->slot_limit) return nearest;
    }
    *top_out = rhumb__entry_level(entry);
    nearest.slot = rhumb__entry_slot(entry);
    nearest.distance = graph->space.distance(&graph->space, scratch->query, rhumb__graph_vector(graph, nearest.slot));
    for (uint32_t at = *top_out; at > level; at--) nearest = walk_level(graph, scratch, nearest, at);
    return nearest;
}

/* Whether a key is among those found already: while an upsert is under way its old and its new node can both be found.
 */
static bool is_found(const uint64_t *keys, uint32_t found_count, uint64_t key) {
    for (uint32_t i = 0; i < found_count; i++) {
        if (keys[i] == key) return true;
    }
    return false;
}

uint32_t rhumb__search_emit(const rhumb__graph *graph, const rhumb__candidate_pool *answers, uint32_t k,
                            const uint64_t *left_out, uint64_t replace_done, uint64_t *keys, float *distances) {
    const bool replacing = atomic_load(&graph->replace_begun) != replace_done;
    uint32_t found_count = 0;
    for (uint32_t i = 0; i < answers->count && found_count < k; i++) {
        const rhumb__candidate candidate = answers->entries[i];
        const uint32_t slot = rhumb__candidate_slot(candidate);
        if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0) continue;
        const uint64_t key = rhumb__graph_key(graph, slot);
        if (left_out != NULL && key == *left_out) continue;
        if (replacing && is_found(keys, found_count, key)) continue;
        keys[found_count] = key;
        if (distances != NULL) distances[found_count] = rhumb__space_finish(&graph->space, candidate.distance);
        found_count++;
    }
    for (uint32_t i = found_count; i < k; i++) {
        keys[i] = UINT64_MAX;
        if (distances != NULL) distances[i] = INFINITY;
    }
    return found_count;
}

/* Measures the nodes that no link leads to yet, and offers those that the walk has not met to the answers. */
static void scan_unlinked(rhumb__graph *graph, rhumb__scratch *scratch, uint64_t begin, bool has_dead) {
    const uint64_t end = rhumb__min_u64(graph->unlinked_end, scratch->slot_limit);
    while (begin < end) {
        uint32_t count = 0;
        for (; begin < end && count < RHUMB__BATCH_MAX; begin++) {
            const uint32_t slot = (uint32_t)begin;
            if (rhumb__visited_add(&scratch->visited, slot)) continue;
            if (has_dead && rhumb__graph_is_dead(graph, slot)) continue;
            scratch->batch[count++] = slot;
        }
        rhumb__search_measure(graph, scratch, count);
        rhumb__candidate_pool *answers = has_dead ? &scratch->answers : &scratch->pool;
        for (uint32_t i = 0; i < count; i++) {
            rhumb__candidate_pool_add(answers, scratch->batch[i], scratch->distances[i]);
        }
    }
}

rhumb_status rhumb__search_nearest(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t ef,
                                   rhumb__candidate_pool **nearest_out) {
    rhumb_status status;
    /* A delete that has returned has raised the count. */
    const bool has_dead = atomic_load(&graph->dead_count) > 0;
    /* Read before the walk begins: what is linked later is looked at here. Acquire pairs with the release in
     * recover.c: what is linked already can be found. */
    const uint64_t unlinked_begin = atomic_load_explicit(&graph->unlinked_begin, memory_order_acquire);
    const uint64_t live_limit = rhumb__min_u64((uint64_t)ef * CANDIDATES_PER_ANSWER, RHUMB__SLOT_LIMIT);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, has_dead ? (uint32_t)live_limit : ef));
    /* In an empty graph the pools stay empty. */
    if (has_dead) RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, ef));
    uint32_t top;
    const rhumb__nearest start = rhumb__search_descend(graph, scratch, 0, &top);
    if (start.slot != RHUMB__SLOT_NONE && has_dead) {
        rhumb__search_level_live(graph, scratch, start);
    } else if (start.slot != RHUMB__SLOT_NONE) {
        rhumb__search_level(graph, scratch, start, 0, ef);
    }
    if (unlinked_begin < graph->unlinked_end) scan_unlinked(graph, scratch, unlinked_begin, has_dead);
    *nearest_out = has_dead ? &scratch->answers : &scratch->pool;
done:
    return status;
}

rhumb_status rhumb__graph_search(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t k, uint32_t ef,
                                 const uint64_t *left_out, uint64_t *keys, float *distances,
                                 uint32_t *found_count_out) {
    rhumb_status status;
    rhumb__candidate_pool *nearest;
    const uint32_t wanted_count = left_out == NULL ? k : k + 1;
    /* Upserts that overlap with this search are those that are not done now but have begun at its end. */
    const uint64_t replace_done = atomic_load(&graph->replace_done);
    RHUMB_TRY(rhumb__search_nearest(graph, scratch, ef < wanted_count ? wanted_count : ef, &nearest));
    *found_count_out = rhumb__search_emit(graph, nearest, k, left_out, replace_done, keys, distances);
done:
    return status;
}
