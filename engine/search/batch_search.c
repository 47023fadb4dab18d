/* batch_search.c - see batch_search.h. The threads take the next few queries from a shared counter, so no thread waits
 * for a slower one. A thread keeps its scratch for the whole call.
 */
#include "engine/search/batch_search.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"

#define SEARCHES_PER_TURN 8u

typedef struct search_job {
    rhumb__scratch_pool *pool;
    const rhumb__batch_search *search;
    _Atomic uint64_t next;
    _Atomic bool stopped;
} search_job;

static rhumb_status search_one(const rhumb__batch_search *search, rhumb__scratch *scratch, uint64_t i) {
    RHUMB_ASSERT_DEBUG(i < search->query_count);
    rhumb__filter own;
    rhumb__request request = search->request;
    request.query = (const uint8_t *)search->queries + i * rhumb__scratch_graph(scratch)->space.caller_bytes;
    if (search->filter_of != NULL) request.filter = search->filter_of(search->filter_context, i, &own);
    rhumb__answer answer = {.keys = search->keys + i * search->k, .capacity = search->k};
    if (search->distances != NULL) answer.distances = search->distances + i * search->k;
    const rhumb_status status = rhumb__search_run(scratch, &request, &answer);
    if (status == RHUMB_OK && search->found_counts != NULL) search->found_counts[i] = (size_t)answer.found_count;
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
    RHUMB_ASSERT_DEBUG(search->k > 0 && search->queries != NULL && search->keys != NULL);
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
