/* order_visits.c - a sample of searches and the slots they visit, see order_internal.h.
 *
 * Each search runs twice, once to count its visits and once to record them, so that the visits are stored by slot only.
 * A search expands a fixed number of nodes, like a user's search near its answers, but cheaply. Many small searches
 * predict the pages of a large one as well as a few large ones do, at a quarter of the cost.
 *
 * Owns the scratch pool for the length of one call. Threads share the visits through atomic counters with relaxed
 * order; the end of the parallel run makes them visible.
 */
#include "engine/upkeep/compact/order_internal.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/walk.h"
#include "engine/upkeep/compact/groups.h"

/* One search begins in each run of so many slots. It visits at most its own slot and those of its sixteen lists, so
 * there are at most about two visits for each link. On the word vectors of bench/results/order.txt, ten lists instead
 * of sixteen leave 0.607 instead of 0.598 of the pages. */
#define SAMPLE_STEP 8u

typedef struct sampling {
    rhumb__graph *graph;
    uint64_t slot_count;
    rhumb__visits *visits;
    rhumb__scratch_pool pool;
    bool recording; /* the second run */
    _Atomic uint64_t next;
    const rhumb__order_work *work;
} sampling;

/* Where a search begins: at a random one of its SAMPLE_STEP slots, because vectors of as many kinds may be inserted in
 * rotation; for a copy at its head. */
static uint32_t start_of(const sampling *s, uint64_t search) {
    const uint64_t slot = search * SAMPLE_STEP + rhumb__mix64(search) % SAMPLE_STEP;
    return rhumb__group_of(s->graph, (uint32_t)rhumb__min_u64(slot, s->slot_count - 1));
}

/* Searches for the vector of `start`. Stores the slots that it visits in `visited`, and their number. */
static rhumb_status search_from(const sampling *s, rhumb__scratch *scratch, uint32_t start, uint32_t *visited,
                                uint32_t *count_out) {
    rhumb_status status;
    RHUMB_TRY(rhumb__query_set_row(scratch, rhumb__graph_vector(s->graph, start)));
    RHUMB_TRY(rhumb__scratch_prepare_search(scratch, RHUMB__VISITS_STEP_COUNT));
    rhumb__candidate_pool_clear(&scratch->pool, RHUMB__VISITS_STEP_COUNT);
    (void)rhumb__visited_add(&scratch->visited, start);
    rhumb__candidate_pool_add(&scratch->pool, start, -INFINITY);
    visited[0] = start;
    uint32_t count = 1;
    uint32_t slot;
    for (uint32_t step = 0; step < RHUMB__VISITS_STEP_COUNT && rhumb__candidate_pool_take(&scratch->pool, &slot);
         step++) {
        const rhumb__list list = rhumb__graph_list(s->graph, slot, 0);
        const uint32_t fresh_count = rhumb__walk_gather(scratch, &list, &scratch->visited, s->slot_count);
        rhumb__measure_rows(s->graph, scratch, fresh_count);
        for (uint32_t i = 0; i < fresh_count; i++) {
            rhumb__candidate_pool_add(&scratch->pool, scratch->batch[i], scratch->distances[i]);
        }
        memcpy(visited + count, scratch->batch, fresh_count * sizeof *visited);
        count += fresh_count;
    }
    *count_out = count;
done:
    return status;
}

static void note(const sampling *s, uint32_t search, const uint32_t *visited, uint32_t count) {
    rhumb__visits *visits = s->visits;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = atomic_fetch_add_explicit(&visits->count[visited[i]], 1, memory_order_relaxed);
        if (s->recording) visits->searches[visits->begin[visited[i]] + place] = search;
    }
}

static rhumb_status sampling_worker(void *context, uint32_t worker_index) {
    sampling *s = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(&s->pool, &scratch);
    if (status != RHUMB_OK) return status;
    uint32_t *visited = rhumb__alloc_zeroed(RHUMB__VISITS_OF_SEARCH_MAX, sizeof *visited);
    if (visited == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for the visits of a search");
        goto done;
    }
    for (;;) {
        uint32_t count;
        const uint64_t search = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
        if (search >= s->visits->search_count) break;
        RHUMB_TRY(search_from(s, scratch, start_of(s, search), visited, &count));
        note(s, (uint32_t)search, visited, count);
        RHUMB_TRY(rhumb__order_check(s->work, worker_index));
    }
done:
    if (status != RHUMB_OK) atomic_store(&s->next, s->visits->search_count);
    rhumb__free(visited);
    rhumb__scratch_give(scratch);
    return status;
}

static rhumb_status run_searches(sampling *s, bool recording) {
    s->recording = recording;
    atomic_store(&s->next, 0);
    return rhumb__parallel_run(s->work->thread_count, sampling_worker, s);
}

rhumb_status rhumb__visits_sample(rhumb__graph *graph, uint64_t slot_count, const rhumb__order_work *work,
                                  rhumb__visits *visits) {
    rhumb_status status;
    sampling s = {.graph = graph, .slot_count = slot_count, .work = work, .visits = visits};
    memset(visits, 0, sizeof *visits);
    visits->search_count = rhumb__divide_up(slot_count, SAMPLE_STEP);
    rhumb__scratch_pool_init(&s.pool, graph);
    visits->begin = rhumb__alloc_zeroed(slot_count + 1, sizeof *visits->begin);
    visits->count = rhumb__alloc_zeroed(slot_count + 1, sizeof *visits->count);
    if (visits->begin == NULL || visits->count == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for an order of %llu slots", (unsigned long long)slot_count);
        goto done;
    }
    RHUMB_TRY(run_searches(&s, false));
    uint64_t visit_count = 0;
    for (uint64_t slot = 0; slot < slot_count; slot++) {
        visits->begin[slot] = visit_count;
        visit_count += atomic_load_explicit(&visits->count[slot], memory_order_relaxed);
        atomic_store_explicit(&visits->count[slot], 0, memory_order_relaxed);
    }
    visits->begin[slot_count] = visit_count;
    visits->searches = rhumb__alloc_zeroed(rhumb__max_u64(visit_count, 1), sizeof *visits->searches);
    if (visits->searches == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu visits", (unsigned long long)visit_count);
        goto done;
    }
    status = run_searches(&s, true);
done:
    rhumb__scratch_pool_destroy(&s.pool);
    return status;
}

void rhumb__visits_clear(rhumb__visits *visits) {
    rhumb__free(visits->begin);
    rhumb__free(visits->count);
    rhumb__free(visits->searches);
    memset(visits, 0, sizeof *visits);
}
