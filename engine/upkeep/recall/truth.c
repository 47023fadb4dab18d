/* truth.c - see truth.h.
 *
 * Threads take the next rows from a shared counter. Each has the nearest distances of every query among the rows that
 * it took; at the end they are merged by the calling thread. What is merged does not depend on who took what, so the
 * result is the same for any number of threads. Takes no lock.
 */
#include "engine/upkeep/recall/truth.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/walk/read_ahead.h"

/* Rows that a thread takes at a time, and those of them that stay in the cache while all queries are measured. */
#define ROWS_PER_TURN 512u
#define ROWS_PER_CALL 64u

typedef struct truth_job {
    const rhumb__truth *truth;
    uint64_t slot_limit;
    _Atomic uint64_t next;
    _Atomic bool stopped;
    uint32_t worker_count;
    float **nearest; /* of each worker that has begun: RHUMB__TRUTH_K of each query, ascending */
} truth_job;

/* Some rows, and their distances from a query. */
typedef struct rows {
    const void *rows[ROWS_PER_CALL];
    uint32_t slots[ROWS_PER_CALL];
    float distances[ROWS_PER_CALL];
    uint32_t count;
} rows;

/* Puts a distance that is below the last one in its place. */
static void insert(float *nearest, float distance) {
    uint32_t at = RHUMB__TRUTH_K - 1;
    for (; at > 0 && nearest[at - 1] > distance; at--) nearest[at] = nearest[at - 1];
    nearest[at] = distance;
}

/* Takes the live rows of [*next, end), as many as fit. */
static void gather(const rhumb__truth *truth, uint64_t *next, uint64_t end, rows *block) {
    const rhumb__graph *graph = truth->graph;
    block->count = 0;
    for (; *next < end && block->count < ROWS_PER_CALL; (*next)++) {
        const uint32_t slot = (uint32_t)*next;
        rhumb__read_ahead_scan(graph, RHUMB__SECTION_VECTORS, *next);
        if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) == 0 || rhumb__graph_is_dead(graph, slot)) continue;
        if (rhumb__bit_get(truth->hidden->bits, *next)) continue;
        block->slots[block->count] = slot;
        block->rows[block->count++] = rhumb__graph_vector(graph, slot);
    }
}

/* Measures the rows from every query. */
static void measure(const rhumb__truth *truth, rows *block, float *nearest) {
    const rhumb__space *space = &truth->graph->space;
    for (uint32_t q = 0; q < truth->query_count; q++, nearest += RHUMB__TRUTH_K) {
        const void *query = truth->rows + (size_t)q * space->row_stride_bytes;
        space->distance_many(space, query, block->rows, block->count, block->distances);
        for (uint32_t i = 0; i < block->count; i++) {
            if (block->distances[i] < nearest[RHUMB__TRUTH_K - 1] && block->slots[i] != truth->slots[q]) {
                insert(nearest, block->distances[i]);
            }
        }
    }
}

/* Only worker 0, on the calling thread, reports. */
static rhumb_status report(const truth_job *job, uint32_t worker_index) {
    const rhumb__truth *truth = job->truth;
    if (worker_index != 0) return RHUMB_OK;
    const uint64_t taken = rhumb__min_u64(atomic_load_explicit(&job->next, memory_order_relaxed), job->slot_limit);
    return rhumb__progress_report(truth->progress, taken * truth->step_count / job->slot_limit);
}

/* Room for what a worker finds: nothing yet. */
static rhumb_status make_room(truth_job *job, uint32_t worker_index) {
    const size_t count = (size_t)job->truth->query_count * RHUMB__TRUTH_K;
    float *nearest = rhumb__alloc_zeroed(count, sizeof *nearest);
    if (nearest == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the neighbours of %u queries", job->truth->query_count);
    }
    for (size_t i = 0; i < count; i++) nearest[i] = INFINITY;
    job->nearest[worker_index] = nearest;
    return RHUMB_OK;
}

static rhumb_status worker(void *context, uint32_t worker_index) {
    truth_job *job = context;
    rhumb_status status;
    rows block;
    RHUMB_TRY(make_room(job, worker_index));
    while (!atomic_load_explicit(&job->stopped, memory_order_relaxed)) {
        uint64_t next = atomic_fetch_add_explicit(&job->next, ROWS_PER_TURN, memory_order_relaxed);
        const uint64_t end = rhumb__min_u64(next + ROWS_PER_TURN, job->slot_limit);
        if (next >= end) break;
        while (next < end) {
            gather(job->truth, &next, end, &block);
            if (block.count > 0) measure(job->truth, &block, job->nearest[worker_index]);
        }
        RHUMB_TRY(report(job, worker_index));
    }
done:
    if (status != RHUMB_OK) atomic_store(&job->stopped, true);
    return status;
}

/* Merges what the workers have found. */
static void merge(const truth_job *job) {
    const rhumb__truth *truth = job->truth;
    for (uint32_t q = 0; q < truth->query_count; q++) {
        const size_t at = (size_t)q * RHUMB__TRUTH_K;
        float *merged = job->nearest[0] + at;
        for (uint32_t w = 1; w < job->worker_count; w++) {
            if (job->nearest[w] == NULL) continue; /* its thread was not started */
            const float *nearest = job->nearest[w] + at;
            for (uint32_t i = 0; i < RHUMB__TRUTH_K && nearest[i] < merged[RHUMB__TRUTH_K - 1]; i++) {
                insert(merged, nearest[i]);
            }
        }
        uint32_t count = 0;
        for (; count < RHUMB__TRUTH_K && merged[count] < INFINITY; count++) {
            truth->distances[at + count] = rhumb__space_finish(&truth->graph->space, merged[count]);
        }
        truth->found_counts[q] = count;
        for (; count < RHUMB__TRUTH_K; count++) truth->distances[at + count] = INFINITY;
    }
}

rhumb_status rhumb__truth_find(const rhumb__truth *truth) {
    rhumb_status status;
    truth_job job = {.truth = truth};
    job.slot_limit = rhumb__graph_slot_count(truth->graph);
    job.worker_count = truth->thread_count == 0 ? rhumb__parallel_default_count() : truth->thread_count;
    const uint64_t turn_count = rhumb__divide_up(job.slot_limit, ROWS_PER_TURN);
    job.worker_count = (uint32_t)rhumb__max_u64(1, rhumb__min_u64(job.worker_count, turn_count));
    job.nearest = rhumb__alloc_zeroed(job.worker_count, sizeof *job.nearest);
    if (job.nearest == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for %u threads", job.worker_count);
        goto done;
    }
    RHUMB_TRY(rhumb__parallel_run(job.worker_count, worker, &job));
    merge(&job);
done:
    for (uint32_t w = 0; job.nearest != NULL && w < job.worker_count; w++) rhumb__free(job.nearest[w]);
    rhumb__free(job.nearest);
    return status;
}
