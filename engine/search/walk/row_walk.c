/* row_walk.c - see row_walk.h.
 *
 * There are two pools: candidates wait by the estimates of lanes in scratch->pool; what has been expanded is kept by
 * the distance of its own code in scratch->answers.
 *
 * A slot is marked as visited when it enters the pool. One that does not enter stays unmarked, and may enter by the
 * lane of another row.
 *
 * Takes no lock.
 */
#include "engine/search/walk/row_walk.h"

#include <math.h>

#include "base/status.h"
#include "engine/search/walk/wide_walk.h"

/* The distance above which candidates are not kept. */
RHUMB__INLINE float bound_of(const rhumb__candidate_pool *pool) {
    if (pool->count < pool->capacity) return INFINITY;
    return rhumb__candidate_pool_farthest(pool).distance;
}

/* Adds the neighbours that have been read to the candidates. */
RHUMB__INLINE void add_neighbours(rhumb__scratch *scratch, uint32_t count) {
    rhumb__candidate_pool *pool = &scratch->pool;
    for (uint32_t i = 0; i < count; i++) {
        if (rhumb__candidate_pool_accepts(pool, scratch->distances[i])) {
            rhumb__candidate_pool_add(pool, scratch->batch[i], scratch->distances[i]);
        } else {
            (void)rhumb__visited_remove(&scratch->visited, scratch->batch[i]);
        }
    }
}

/* Expands a node. Returns whether it passes; if not, it leaves its place in the pool to another. */
static bool step(const rhumb__row_reader *reader, const rhumb__wide_walk *wide, const rhumb__walk_goal *goal,
                 uint32_t slot) {
    rhumb__scratch *scratch = reader->scratch;
    uint32_t next = RHUMB__SLOT_NONE;
    if (wide->read_count == 0) {
        (void)rhumb__candidate_pool_peek(&scratch->pool, &next);
        rhumb__row_reader_expect(reader, slot, next);
    }
    const bool passes = goal->passes == NULL || goal->passes(goal->context, slot);
    const float distance = rhumb__row_reader_distance(reader, slot);
    if (passes) {
        rhumb__candidate_pool_add(&scratch->answers, slot, distance);
    } else {
        rhumb__candidate_pool_drop(&scratch->pool, slot);
    }
    const rhumb__row_node node = {slot, distance, bound_of(&scratch->pool)};
    add_neighbours(scratch, rhumb__row_reader_neighbours(reader, &node));
    return passes;
}

rhumb_status rhumb__row_walk(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start,
                             const rhumb__walk_goal *goal, bool *ended_out) {
    rhumb_status status;
    rhumb__row_reader reader;
    uint32_t slot, failing_count = 0;
    RHUMB_ASSERT_DEBUG(start.slot < scratch->slot_limit);
    RHUMB_TRY(rhumb__scratch_prepare_answers(scratch, goal->ef));
    rhumb__row_reader_begin(graph, scratch, &reader);
    (void)rhumb__visited_add(&scratch->visited, start.slot);
    rhumb__candidate_pool_add(&scratch->pool, start.slot, start.distance);
    rhumb__wide_walk wide = rhumb__wide_walk_begin(scratch);
    rhumb__wide_walk_reads_rows(&wide, &reader);
    while (failing_count <= goal->failing_max && rhumb__wide_walk_take(&wide, &slot)) {
        if (!step(&reader, &wide, goal, slot)) failing_count++;
    }
    rhumb__row_reader_end(&reader);
    rhumb__candidate_pool_settle(&scratch->answers);
    *ended_out = failing_count <= goal->failing_max;
done:
    return status;
}
