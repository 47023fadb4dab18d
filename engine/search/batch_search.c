/* batch_search.c - see batch_search.h.
 *
 * The threads take the next few queries from a shared counter, so no thread waits for a slower one. A thread keeps its
 * scratch for the whole call. All queries are checked before the first is searched for, so a query that is wrong leaves
 * the caller's arrays as they were; between the two steps the threads wait for each other, which takes no longer than
 * checking a few queries.
 */
#include "engine/search/batch_search.h"

#include <sched.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/row_failure.h"
#include "base/status.h"
#include "engine/search/walk/query.h"
#include "storage/residency.h"

#define SEARCHES_PER_TURN 8u

/* Threads per processor where searches wait for the disk: so many queries overlap. */
#define WAITING_THREADS 4u

typedef struct search_job {
    rhumb__scratch_pool *pool;
    const rhumb__batch_search *search;
    _Atomic uint64_t next_check;
    _Atomic uint64_t checked_count;
    _Atomic uint64_t next;
    _Atomic uint64_t done_count;
    _Atomic bool stopped;
    rhumb__row_failure failure;
    rhumb__progress progress; /* used by the calling thread alone */
} search_job;

/* Takes the next few queries of a counter; false if none are left, or if another thread has failed. */
static bool take_turn(search_job *job, _Atomic uint64_t *next, uint64_t *begin_out, uint64_t *end_out) {
    if (atomic_load_explicit(&job->stopped, memory_order_relaxed)) return false;
    *begin_out = atomic_fetch_add_explicit(next, SEARCHES_PER_TURN, memory_order_relaxed);
    *end_out = rhumb__min_u64(*begin_out + SEARCHES_PER_TURN, job->search->query_count);
    return *begin_out < job->search->query_count;
}

static const void *query_of(const rhumb__batch_search *search, rhumb__scratch *scratch, uint64_t i) {
    RHUMB_ASSERT_DEBUG(i < search->query_count);
    return (const uint8_t *)search->queries + i * rhumb__scratch_graph(scratch)->space.caller_bytes;
}

/* Checks queries until none are left, and waits until the other threads have checked theirs. */
static rhumb_status check_queries(search_job *job, rhumb__scratch *scratch) {
    uint64_t begin = 0;
    uint64_t end = 0;
    while (take_turn(job, &job->next_check, &begin, &end)) {
        for (uint64_t i = begin; i < end; i++) {
            const rhumb_status status = rhumb__query_set_vector(scratch, query_of(job->search, scratch, i));
            if (status == RHUMB_OK) continue;
            if (rhumb__row_is_wrong(status)) rhumb__error_prefix("query %llu: ", (unsigned long long)i);
            rhumb__row_failure_note(&job->failure, i);
            return status;
        }
        atomic_fetch_add(&job->checked_count, end - begin);
    }
    while (atomic_load(&job->checked_count) < job->search->query_count && !atomic_load(&job->stopped)) sched_yield();
    return RHUMB_OK;
}

static rhumb_status search_one(const rhumb__batch_search *search, rhumb__scratch *scratch, uint64_t i) {
    rhumb__filter own;
    rhumb__request request = search->request;
    request.query = query_of(search, scratch, i);
    if (search->filter_of != NULL) request.filter = search->filter_of(search->filter_context, i, &own);
    rhumb__answer answer = {.keys = search->keys + i * search->k, .capacity = search->k};
    if (search->distances != NULL) answer.distances = search->distances + i * search->k;
    const rhumb_status status = rhumb__search_run(scratch, &request, &answer);
    if (status == RHUMB_OK && search->found_counts != NULL) search->found_counts[i] = (size_t)answer.found_count;
    return status;
}

/* Answers the queries of a turn. They are counted together at its end, so that threads do not wait for each other's
 * counts. Only the calling thread reports, which is worker 0; the end of all is reported later. */
static rhumb_status search_turn(search_job *job, rhumb__scratch *scratch, uint32_t worker_index, uint64_t begin,
                                uint64_t end) {
    rhumb_status status = RHUMB_OK;
    const bool reports = worker_index == 0 && job->progress.report != NULL;
    for (uint64_t i = begin; i < end; i++) {
        RHUMB_TRY(search_one(job->search, scratch, i));
        if (!reports) continue;
        const uint64_t done_count = atomic_load_explicit(&job->done_count, memory_order_relaxed) + i + 1 - begin;
        if (done_count < job->search->query_count) RHUMB_TRY(rhumb__progress_report(&job->progress, done_count));
    }
    atomic_fetch_add_explicit(&job->done_count, end - begin, memory_order_relaxed);
done:
    return status;
}

static rhumb_status search_worker(void *context, uint32_t worker_index) {
    search_job *job = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(job->pool, &scratch);
    uint64_t begin = 0;
    uint64_t end = 0;
    if (status != RHUMB_OK) goto done;
    RHUMB_TRY(check_queries(job, scratch));
    while (take_turn(job, &job->next, &begin, &end)) {
        RHUMB_TRY(search_turn(job, scratch, worker_index, begin, end));
    }
done:
    if (status != RHUMB_OK) atomic_store(&job->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

/* How many threads a batch has by default. */
static uint32_t default_thread_count(rhumb__scratch_pool *pool, const rhumb__batch_search *search) {
    const uint32_t processor_count = rhumb__parallel_default_count();
    const rhumb__graph *graph = rhumb__scratch_pool_borrow(pool);
    const bool waits = !search->request.exact && rhumb__store_exceeds_memory(graph->store);
    rhumb__scratch_pool_return(pool);
    return waits ? processor_count * WAITING_THREADS : processor_count;
}

rhumb_status rhumb__batch_search_run(rhumb__scratch_pool *pool, const rhumb__batch_search *search) {
    RHUMB_ASSERT_DEBUG(search->k > 0 && search->queries != NULL && search->keys != NULL);
    search_job job = {.pool = pool, .search = search, .failure = RHUMB__ROW_FAILURE_NONE};
    job.progress = (rhumb__progress){.report = search->progress,
                                     .context = search->progress_context,
                                     .total_count = search->query_count,
                                     .reported_ns = rhumb__clock_now_ns()};
    uint32_t thread_count = search->thread_count;
    if (thread_count == 0) thread_count = default_thread_count(pool, search);
    const uint64_t turn_count = rhumb__divide_up(search->query_count, SEARCHES_PER_TURN);
    if (turn_count <= 1) {
        thread_count = 1;
    } else if (thread_count > turn_count) {
        thread_count = (uint32_t)turn_count;
    }
    const rhumb_status status = rhumb__parallel_run(thread_count, search_worker, &job);
    if (status == RHUMB_OK) return rhumb__progress_report(&job.progress, search->query_count);
    return rhumb__row_failure_take(&job.failure, status);
}
