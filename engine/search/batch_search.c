/* batch_search.c - see batch_search.h. The threads take the next few queries from a shared counter, so none waits for a
 * slower one. A thread keeps its scratch for the whole call.
 */
#include "engine/search/batch_search.h"

#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/search/exact_search.h"
#include "engine/search/filter_search.h"
#include "engine/search/search.h"

#define SEARCHES_PER_TURN 8u

typedef struct search_job {
    rhumb__scratch_pool *pool;
    const rhumb__batch_search *search;
    _Atomic uint64_t next;
    _Atomic bool stopped;
} search_job;

/* An upsert that overlaps can put two nodes of its key among the nearest, of which one counts. Then the k nearest nodes
 * are not k keys, and more of them are asked for. */
static rhumb_status search_exactly(rhumb__graph *graph, rhumb__scratch *scratch, const rhumb__filter *filter,
                                   uint32_t k, uint64_t *keys, float *distances, uint32_t *found_count_out) {
    rhumb_status status;
    for (uint32_t limit = k;; limit *= 2) {
        const uint64_t replace_done = atomic_load(&graph->replace_done);
        RHUMB_TRY(rhumb__exact_search(graph, scratch, filter, limit));
        *found_count_out = rhumb__search_emit(graph, &scratch->pool, k, NULL, replace_done, keys, distances);
        if (*found_count_out == k || scratch->pool.count < limit || limit > UINT32_MAX / 4) break;
    }
done:
    return status;
}

static rhumb_status search_one(const rhumb__batch_search *search, rhumb__scratch *scratch, uint64_t i) {
    rhumb_status status;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    uint64_t *keys = search->keys + i * search->k;
    float *distances = search->distances == NULL ? NULL : search->distances + i * search->k;
    uint32_t found_count = 0;
    rhumb__filter own;
    const rhumb__filter *filter =
        search->filter_of == NULL ? search->filter : search->filter_of(search->filter_context, i, &own);
    const uint32_t ef = search->ef == 0 ? graph->params.ef_search : search->ef;
    RHUMB_TRY(rhumb__scratch_set_query(scratch, (const uint8_t *)search->queries + i * graph->space.caller_bytes));
    if (search->exact) {
        RHUMB_TRY(search_exactly(graph, scratch, filter, search->k, keys, distances, &found_count));
    } else if (filter != NULL) {
        RHUMB_TRY(
            rhumb__graph_search_filtered(graph, scratch, filter, search->k, ef, NULL, keys, distances, &found_count));
    } else {
        RHUMB_TRY(rhumb__graph_search(graph, scratch, search->k, ef, NULL, keys, distances, &found_count));
    }
    if (search->found_counts != NULL) search->found_counts[i] = found_count;
done:
    return status;
}

static rhumb_status search_worker(void *context, uint32_t worker_index) {
    (void)worker_index;
    search_job *job = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(job->pool, &scratch);
    if (status != RHUMB_OK) return status;
    while (!atomic_load_explicit(&job->stopped, memory_order_relaxed)) {
        const uint64_t begin = atomic_fetch_add_explicit(&job->next, SEARCHES_PER_TURN, memory_order_relaxed);
        if (begin >= job->search->query_count) break;
        const uint64_t end = rhumb__min_u64(begin + SEARCHES_PER_TURN, job->search->query_count);
        for (uint64_t i = begin; i < end; i++) RHUMB_TRY(search_one(job->search, scratch, i));
    }
done:
    if (status != RHUMB_OK) atomic_store(&job->stopped, true);
    rhumb__scratch_give(scratch);
    return status;
}

rhumb_status rhumb__batch_search_run(rhumb__scratch_pool *pool, const rhumb__batch_search *search) {
    search_job job = {.pool = pool, .search = search};
    uint32_t thread_count = search->thread_count;
    const uint64_t turn_count = rhumb__divide_up(search->query_count, SEARCHES_PER_TURN);
    if (turn_count <= 1) {
        thread_count = 1;
    } else if (thread_count > turn_count) {
        thread_count = (uint32_t)turn_count;
    }
    return rhumb__parallel_run(thread_count, search_worker, &job);
}
