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
#include "engine/search/walk/row_walk.h"
#include "engine/search/walk/wide_walk.h"

/* ---- steps ---- */

/* Not inlined: the loop needs all registers for itself. What it reads of graph, list and set is copied first, because
 * the compiler cannot know that the stores do not change it. */
__attribute__((noinline)) uint32_t rhumb__walk_gather(rhumb__scratch *scratch, const rhumb__list *list,
                                                      const rhumb__visited *visited, uint64_t slot_limit) {
    const rhumb__measured measured = scratch->measured;
    const rhumb__list entries = *list;
    const rhumb__visited set = *visited;
    uint32_t count = 0;
    for (uint32_t i = 0; i < entries.capacity; i++) {
        const uint32_t neighbour = rhumb__list_peek(&entries, i);
        if (neighbour == RHUMB__SLOT_NONE) break;
        if (neighbour >= slot_limit || rhumb__visited_add(&set, neighbour)) continue;
        scratch->batch[count] = neighbour;
        scratch->rows[count] = rhumb__measure_prefetch(&measured, neighbour);
        count++;
    }
    rhumb__list_fence();
    return count;
}

/* ---- one level ---- */

void rhumb__walk_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level,
                       uint32_t ef) {
    rhumb__candidate_pool *pool = &scratch->pool;
    RHUMB_ASSERT_DEBUG(start.slot < scratch->slot_limit && level < RHUMB__LEVEL_COUNT);
    rhumb__candidate_pool_clear(pool, ef);
    if (!rhumb__visited_add(&scratch->visited, start.slot)) rhumb__candidate_pool_add(pool, start.slot, start.distance);
    rhumb__wide_walk wide = rhumb__wide_walk_begin(scratch);
    if (level == 0) rhumb__wide_walk_reads_lists(&wide);
    uint32_t slot;
    while (rhumb__wide_walk_take(&wide, &slot)) {
        const rhumb__list list = rhumb__graph_list(graph, slot, level);
        const uint32_t count = rhumb__walk_gather(scratch, &list, &scratch->visited, scratch->slot_limit);
        uint32_t next;
        if (level == 0 && wide.read_count == 0 && rhumb__candidate_pool_peek(pool, &next)) {
            rhumb__walk_prefetch_list(graph, next);
        }
        rhumb__measure_rows(graph, scratch, count);
        rhumb__walk_add_gathered(scratch, count);
    }
    rhumb__candidate_pool_settle(pool);
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
        const rhumb__measured measured = scratch->measured;
        for (uint32_t i = 0; i < kept_count; i++) (void)rhumb__measure_prefetch(&measured, scratch->batch[i]);
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

/* Adds the unlinked nodes that the walk has not met, and that pass. */
static void add_unlinked(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__unlinked_scan *scan,
                         const rhumb__walk_goal *goal, rhumb__candidate_pool *nearest) {
    uint32_t count;
    while ((count = rhumb__unlinked_scan_gather(scan, scratch, &scratch->visited, scratch->slot_limit)) > 0) {
        uint32_t live_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t slot = scratch->batch[i];
            const bool passes =
                goal->passes == NULL ? !rhumb__graph_is_dead(graph, slot) : goal->passes(goal->context, slot);
            if (passes) scratch->batch[live_count++] = slot;
        }
        rhumb__measure_batch(graph, scratch, live_count);
        for (uint32_t i = 0; i < live_count; i++) {
            rhumb__candidate_pool_add(nearest, scratch->batch[i], scratch->distances[i]);
        }
    }
}

rhumb_status rhumb__walk_nearest(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__walk_goal *goal,
                                 rhumb__candidate_pool **nearest_out) {
    rhumb_status status;
    const uint32_t ef = goal->ef;
    const bool by_rows = goal->passes != NULL || rhumb__row_reader_pays(graph, scratch);
    const uint32_t breadth = by_rows ? rhumb__row_reader_breadth(graph, ef) : ef;
    RHUMB_ASSERT_DEBUG(ef > 0 && (goal->passes == NULL || breadth <= RHUMB__SMALL_POOL_MAX));
    *nearest_out = NULL;
    rhumb__unlinked_scan scan = rhumb__unlinked_scan_begin(graph);
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, breadth));
    uint32_t top;
    const rhumb__nearest start = rhumb__walk_descend(graph, scratch, by_rows ? 1 : 0, &top);
    /* In an empty graph the pool stays empty. */
    if (start.slot != RHUMB__SLOT_NONE && by_rows) {
        bool ended = true;
        RHUMB_TRY(rhumb__row_walk(graph, scratch, start, goal, &ended));
        if (!ended) goto done;
    } else if (start.slot != RHUMB__SLOT_NONE) {
        rhumb__walk_level(graph, scratch, start, 0, ef);
    }
    rhumb__candidate_pool *nearest = by_rows && start.slot != RHUMB__SLOT_NONE ? &scratch->answers : &scratch->pool;
    add_unlinked(graph, scratch, &scan, goal, nearest);
    rhumb__candidate_pool_settle(nearest);
    *nearest_out = nearest;
done:
    return status;
}
