/* walk.c - see walk.h.
 *
 * The hot path of the whole library. A step takes the nearest candidate that has not been expanded, reads its list,
 * keeps the neighbours not seen before, prefetches their vectors, measures all of them in one call, and offers them to
 * the pool. The cost is memory latency, so addresses are prefetched as soon as they are known: a neighbour's vector
 * when its slot has been read, the next candidate's list before the distances are computed.
 *
 * Lists come from a file, so every slot from a list is compared with scratch->slot_limit before it is used.
 */
#include "engine/search/walk/walk.h"

#include <math.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"

/* Candidates that a walk over a graph with deleted nodes keeps for each answer it is to find. With more than this many
 * deleted nodes around a query for each live one, the walk loses its farthest candidates. */
#define CANDIDATES_PER_ANSWER 4u

/* ---- steps ---- */

/* Not inlined: the loop needs all registers for itself. What it reads of graph, list and set is copied first, because
 * the compiler cannot know that the stores do not change it. */
__attribute__((noinline)) uint32_t rhumb__walk_gather(const rhumb__graph *graph, rhumb__scratch *scratch,
                                                      const rhumb__list *list, const rhumb__visited *visited,
                                                      uint64_t slot_limit) {
    const uint32_t prefetch_bytes = rhumb__measure_prefetch_bytes(graph);
    const rhumb__list entries = *list;
    const rhumb__visited set = *visited;
    uint32_t count = 0;
    for (uint32_t i = 0; i < entries.capacity; i++) {
        const uint32_t neighbour = rhumb__list_peek(&entries, i);
        if (neighbour == RHUMB__SLOT_NONE) break;
        if (neighbour >= slot_limit || rhumb__visited_add(&set, neighbour)) continue;
        scratch->batch[count] = neighbour;
        scratch->rows[count] = rhumb__measure_prefetch(graph, neighbour, prefetch_bytes);
        count++;
    }
    rhumb__list_fence();
    return count;
}

/* ---- one level ---- */

/* Adds a measured node to what the walk has found. */
RHUMB__INLINE void level_offer(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, float distance,
                               bool apart) {
    if (!apart) {
        rhumb__candidate_pool_add(&scratch->pool, slot, distance);
    } else if (rhumb__walk_offer(scratch, slot, distance) && !rhumb__graph_is_dead(graph, slot)) {
        rhumb__candidate_pool_add(&scratch->answers, slot, distance);
    }
}

/* Walks from `start` until no candidate is left that can lead to a nearer node. `apart`, a constant at each call, says
 * that the live nodes are kept apart in scratch->answers. */
RHUMB__INLINE void level_walk(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level,
                              bool apart) {
    RHUMB_ASSERT_DEBUG(start.slot < scratch->slot_limit && level < RHUMB__LEVEL_COUNT);
    if (!rhumb__visited_add(&scratch->visited, start.slot)) {
        level_offer(graph, scratch, start.slot, start.distance, apart);
    }
    uint32_t slot;
    while (rhumb__walk_next(scratch, apart, &slot)) {
        const rhumb__list list = rhumb__graph_list(graph, slot, level);
        const uint32_t count = rhumb__walk_gather(graph, scratch, &list, &scratch->visited, scratch->slot_limit);
        uint32_t next;
        if (!apart && level == 0 && rhumb__candidate_pool_peek(&scratch->pool, &next)) {
            rhumb__walk_prefetch_list(graph, next);
        }
        rhumb__measure_rows(graph, scratch, count);
        for (uint32_t i = 0; i < count; i++) {
            level_offer(graph, scratch, scratch->batch[i], scratch->distances[i], apart);
        }
    }
}

void rhumb__walk_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level,
                       uint32_t ef) {
    rhumb__candidate_pool_clear(&scratch->pool, ef);
    level_walk(graph, scratch, start, level, false);
}

/* Fills scratch->answers, which has been prepared, with the nearest live nodes of level 0. The walk passes through
 * deleted nodes too. */
static void walk_level_live(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start) {
    level_walk(graph, scratch, start, 0, true);
}

/* ---- the descent ---- */

/* Moves to the nearest neighbour as long as that is nearer. It ends, because the distance falls with every step. */
static rhumb__nearest descend_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest nearest,
                                    uint32_t level) {
    for (;;) {
        const rhumb__list list = rhumb__graph_list(graph, nearest.slot, level);
        const uint32_t count = rhumb__list_read(&list, scratch->list);
        uint32_t kept_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (scratch->list[i] < scratch->slot_limit) scratch->batch[kept_count++] = scratch->list[i];
        }
        const uint32_t prefetch_bytes = rhumb__measure_prefetch_bytes(graph);
        for (uint32_t i = 0; i < kept_count; i++)
            (void)rhumb__measure_prefetch(graph, scratch->batch[i], prefetch_bytes);
        rhumb__measure_batch(graph, scratch, kept_count);
        bool moved = false;
        for (uint32_t i = 0; i < kept_count; i++) {
            if (scratch->distances[i] >= nearest.distance) continue;
            nearest = (rhumb__nearest){scratch->batch[i], scratch->distances[i]};
            moved = true;
        }
        if (!moved) return nearest;
    }
}

rhumb__nearest rhumb__walk_descend(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level, uint32_t *top_out) {
    /* Acquire pairs with the release in link_raise_entry: the entry point's data and lists can be read. */
    const uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    rhumb__nearest nearest = {RHUMB__SLOT_NONE, INFINITY};
    *top_out = 0;
    if (entry == RHUMB__ENTRY_NONE) return nearest;
    if (rhumb__entry_slot(entry) >= scratch->slot_limit) {
        /* The entry point was raised after the limit had been read. Without following it, an index full of vectors
         * would seem empty. */
        (void)rhumb__scratch_extend(scratch);
        if (rhumb__entry_slot(entry) >= scratch->slot_limit) return nearest;
    }
    *top_out = rhumb__entry_level(entry);
    nearest.slot = rhumb__entry_slot(entry);
    nearest.distance = rhumb__measure_slot(graph, scratch, nearest.slot);
    for (uint32_t at = *top_out; at > level; at--) nearest = descend_level(graph, scratch, nearest, at);
    return nearest;
}

/* ---- the nearest nodes ---- */

uint32_t rhumb__unlinked_scan_gather(rhumb__unlinked_scan *scan, rhumb__scratch *scratch, rhumb__visited *visited,
                                     uint64_t slot_limit) {
    uint32_t count = 0;
    const uint64_t end = rhumb__min_u64(scan->end, slot_limit);
    for (; scan->next < end && count < RHUMB__BATCH_MAX; scan->next++) {
        if (rhumb__visited_add(visited, (uint32_t)scan->next)) continue;
        scratch->batch[count++] = (uint32_t)scan->next;
    }
    return count;
}

/* Adds the live unlinked nodes that the walk has not met to `answers`. */
static void add_unlinked(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__unlinked_scan *scan,
                         rhumb__candidate_pool *answers) {
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &scratch->visited, scratch->slot_limit)) > 0) {
        uint32_t live_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (!rhumb__graph_is_dead(graph, scratch->batch[i])) scratch->batch[live_count++] = scratch->batch[i];
        }
        rhumb__measure_batch(graph, scratch, live_count);
        for (uint32_t i = 0; i < live_count; i++) {
            rhumb__candidate_pool_add(answers, scratch->batch[i], scratch->distances[i]);
        }
    }
}

rhumb_status rhumb__walk_nearest(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t ef,
                                 rhumb__candidate_pool **nearest_out) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(ef > 0);
    /* A delete increments dead_count before it returns, so completed deletes are always seen here. */
    const bool has_dead = atomic_load(&graph->dead_count) > 0;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(graph);
    const uint64_t live_capacity = rhumb__min_u64((uint64_t)ef * CANDIDATES_PER_ANSWER, RHUMB__SLOT_LIMIT);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, has_dead ? (uint32_t)live_capacity : ef));
    if (has_dead) RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, ef));
    uint32_t top;
    const rhumb__nearest start = rhumb__walk_descend(graph, scratch, 0, &top);
    /* In an empty graph both pools stay empty. */
    if (start.slot != RHUMB__SLOT_NONE && has_dead) {
        walk_level_live(graph, scratch, start);
    } else if (start.slot != RHUMB__SLOT_NONE) {
        rhumb__walk_level(graph, scratch, start, 0, ef);
    }
    *nearest_out = has_dead ? &scratch->answers : &scratch->pool;
    add_unlinked(graph, scratch, &scan, *nearest_out);
done:
    return status;
}
