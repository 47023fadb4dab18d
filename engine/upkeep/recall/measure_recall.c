/* measure_recall.c - see measure_recall.h.
 *
 * Steps: choose the queries, prepare them as rows and hide their nodes; measure the truth; then, for each row of the
 * curve, search for all queries at one rung after the other, until nearly all is found.
 *
 * Owns the queries and a pool of scratches of its own, so that all searches are on the graph that the caller keeps.
 * Threads take queries from a shared counter. Takes no lock.
 */
#include "engine/upkeep/recall/measure_recall.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/row_failure.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/search.h"
#include "engine/search/walk/group.h"
#include "engine/search/walk/read_ahead.h"
#include "engine/upkeep/recall/hide.h"
#include "engine/upkeep/recall/truth.h"

#define SEARCHES_PER_TURN 4u

/* At most one in so many vectors is a query: the others are the index whose recall is measured. */
#define HIDDEN_SHARE 10u

/* A row ends where no more than this share is missing, in RHUMB__RECALL_WHOLE: further rungs would say nothing. */
#define MISSING_MIN (RHUMB__RECALL_WHOLE / 1000u)

/* Of the largest k, the share of the queries that are searched for: a query then has so many neighbours that few
 * queries show as much as all do of a small k, and searches take longest. */
#define LARGE_K_SHARE 4u

/* At large ef fewer queries are searched for: at most so many times ef. Nearly all is found there, so that the numbers
 * found differ little from query to query. */
#define RUNG_WORK_MAX (UINT32_C(1) << 18)

/* The share of the steps that the truth has. */
#define TRUTH_STEPS (RHUMB__RECALL_STEPS / 2)

typedef struct measurement {
    const rhumb__recall_request *request;
    rhumb__graph *graph;
    rhumb__scratch_pool pool;
    uint32_t query_count;
    uint32_t *slots; /* of sampled queries; RHUMB__SLOT_NONE of those that were given */
    uint8_t *rows;
    uint32_t *hidden_slots; /* the sampled nodes that are alone with their vectors */
    uint64_t *hidden_bits;
    rhumb__hidden hidden;
    float *distances; /* the truth, RHUMB__TRUTH_K of each query */
    uint32_t *found_counts;
    uint64_t steps_done;
} measurement;

/* ---- the queries ---- */

static rhumb_status make_room(measurement *m, uint32_t count) {
    m->slots = rhumb__alloc_zeroed(count, sizeof *m->slots);
    m->rows = rhumb__alloc_aligned(count, m->graph->space.row_stride_bytes, 64);
    m->distances = rhumb__alloc_zeroed((size_t)count * RHUMB__TRUTH_K, sizeof *m->distances);
    m->found_counts = rhumb__alloc_zeroed(count, sizeof *m->found_counts);
    m->hidden_slots = rhumb__alloc_zeroed(count, sizeof *m->hidden_slots);
    m->hidden_bits = rhumb__alloc_zeroed(rhumb__graph_slot_count(m->graph) / 64 + 1, sizeof *m->hidden_bits);
    m->hidden = (rhumb__hidden){.slots = m->hidden_slots, .bits = m->hidden_bits};
    const bool has_all = m->slots != NULL && m->rows != NULL && m->distances != NULL && m->found_counts != NULL &&
                         m->hidden_slots != NULL && m->hidden_bits != NULL;
    if (has_all) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u queries", count);
}

static uint8_t *row_of(const measurement *m, uint32_t query) {
    return m->rows + (size_t)query * m->graph->space.row_stride_bytes;
}

/* Whether a node is alone with its vector. */
static bool is_alone(const rhumb__graph *graph, uint32_t slot) {
    if (!rhumb__graph_has_copies(graph)) return true;
    return !rhumb__graph_is_copy(graph, slot) && rhumb__group_copies(graph, slot, 0).next == 0;
}

/* Whether a node may be a query: alive, and not needed by the descent of a walk that it is hidden from. */
static bool is_eligible(rhumb__graph *graph, uint32_t slot, uint64_t entry) {
    const uint64_t node = rhumb__graph_node(graph, slot);
    if ((node & RHUMB__NODE_PRESENT) == 0 || rhumb__graph_is_dead(graph, slot)) return false;
    return rhumb__node_level(node) == 0 && slot != rhumb__entry_slot(entry);
}

/* Draws queries among the eligible slots, each with the same probability (Vitter, ACM TOMS 1985, algorithm R). */
static rhumb_status sample(measurement *m) {
    const uint64_t slot_count = rhumb__graph_slot_count(m->graph);
    const uint64_t entry = atomic_load_explicit(&m->graph->entry, memory_order_acquire);
    const uint64_t seed = rhumb__mix64(m->request->seed);
    uint64_t eligible_count = 0;
    const uint64_t query_count =
        rhumb__min_u64(m->request->query_count, rhumb__graph_live_count(m->graph) / HIDDEN_SHARE + 1);
    for (uint64_t slot = 0; slot < slot_count; slot++) {
        rhumb__read_ahead_scan(m->graph, RHUMB__SECTION_NODES, slot);
        if (!is_eligible(m->graph, (uint32_t)slot, entry)) continue;
        uint64_t at = eligible_count++;
        if (at >= query_count) at = rhumb__mix64(seed ^ at) % eligible_count;
        if (at < query_count) m->slots[at] = (uint32_t)slot;
    }
    m->query_count = (uint32_t)rhumb__min_u64(eligible_count, query_count);
    if (m->query_count == 0) {
        return rhumb__fail(RHUMB_E_NOTFOUND, "the index has too few vectors to measure its recall");
    }
    for (uint32_t q = 0; q < m->query_count; q++) {
        const uint32_t slot = m->slots[q];
        memcpy(row_of(m, q), rhumb__graph_vector(m->graph, slot), m->graph->space.row_bytes);
        if (!is_alone(m->graph, slot)) continue;
        m->hidden_slots[m->hidden.count++] = slot;
        rhumb__bit_set(m->hidden_bits, slot);
    }
    return rhumb__hide(m->graph, &m->pool, &m->hidden, m->request->thread_count, m->request->progress);
}

static const void *given(const measurement *m, uint32_t query) {
    return (const uint8_t *)m->request->queries + (size_t)query * m->graph->space.caller_bytes;
}

static rhumb_status prepare_given(measurement *m) {
    m->query_count = m->request->query_count;
    if (rhumb__graph_live_count(m->graph) == 0) {
        return rhumb__fail(RHUMB_E_NOTFOUND, "the index has no vectors, so it has no recall");
    }
    for (uint32_t q = 0; q < m->query_count; q++) {
        m->slots[q] = RHUMB__SLOT_NONE;
        const rhumb_status status = rhumb__space_prepare(&m->graph->space, given(m, q), row_of(m, q));
        if (status == RHUMB_OK) continue;
        if (rhumb__row_is_wrong(status)) rhumb__error_prefix("query %u: ", q);
        return status;
    }
    return RHUMB_OK;
}

/* ---- searching ---- */

typedef struct rung_job {
    measurement *m;
    uint32_t k;
    uint32_t ef;
    uint32_t query_count; /* the first so many queries are searched for */
    uint64_t steps;       /* of the progress, when the rung has been measured */
    _Atomic uint64_t next;
    _Atomic uint64_t hit_count;
    _Atomic uint64_t possible_count;
    _Atomic bool stopped;
} rung_job;

/* Searches for one query, and counts what was found among the k nearest: everything that is no farther than the k-th,
 * so that of equal distances it does not matter which are returned. */
static rhumb_status search_one(rung_job *job, rhumb__scratch *scratch, uint32_t q) {
    const measurement *m = job->m;
    uint64_t keys[RHUMB__TRUTH_K];
    float distances[RHUMB__TRUTH_K];
    uint64_t key = 0;
    const uint64_t possible_count = rhumb__min_u64(job->k, m->found_counts[q]);
    rhumb__request request = {.ef = job->ef, .hidden = &m->hidden};
    rhumb__answer answer = {.keys = keys, .distances = distances, .capacity = possible_count};
    if (possible_count == 0) return RHUMB_OK;
    if (m->slots[q] == RHUMB__SLOT_NONE) {
        request.query = given(m, q);
    } else {
        key = rhumb__graph_key(m->graph, m->slots[q]);
        request.like = m->slots[q];
        if (!rhumb__bit_get(m->hidden_bits, m->slots[q])) request.left_out = &key;
    }
    const rhumb_status status = rhumb__search_run(scratch, &request, &answer);
    if (status != RHUMB_OK) return status;
    const float farthest = m->distances[(size_t)q * RHUMB__TRUTH_K + possible_count - 1];
    uint64_t hit_count = 0;
    for (uint64_t i = 0; i < answer.found_count && i < possible_count; i++) hit_count += distances[i] <= farthest;
    atomic_fetch_add_explicit(&job->hit_count, hit_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&job->possible_count, possible_count, memory_order_relaxed);
    return RHUMB_OK;
}

static rhumb_status rung_worker(void *context, uint32_t worker_index) {
    rung_job *job = context;
    measurement *m = job->m;
    rhumb__scratch *scratch = NULL;
    rhumb_status status;
    RHUMB_TRY(rhumb__scratch_take(&m->pool, &scratch));
    while (!atomic_load_explicit(&job->stopped, memory_order_relaxed)) {
        const uint64_t begin = atomic_fetch_add_explicit(&job->next, SEARCHES_PER_TURN, memory_order_relaxed);
        const uint64_t end = rhumb__min_u64(begin + SEARCHES_PER_TURN, job->query_count);
        if (begin >= end) break;
        for (uint64_t q = begin; q < end; q++) RHUMB_TRY(search_one(job, scratch, (uint32_t)q));
        if (worker_index != 0) continue; /* the calling thread reports */
        const uint64_t steps = (job->steps - m->steps_done) * end / job->query_count;
        RHUMB_TRY(rhumb__progress_report(m->request->progress, m->steps_done + steps));
    }
done:
    if (status != RHUMB_OK) atomic_store(&job->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

/* The share that searches find at one rung. Rounded down: all is found only where nothing is missing. */
static rhumb_status measure_rung(measurement *m, uint32_t row, uint32_t rung, uint16_t *share_out) {
    rung_job job = {.m = m, .k = rhumb__recall_row_k(row), .ef = rhumb__recall_rung_ef(row, rung)};
    const bool is_large = job.k >= RHUMB__TRUTH_K && m->query_count > 2 * LARGE_K_SHARE;
    job.query_count = is_large ? m->query_count / LARGE_K_SHARE : m->query_count;
    job.query_count = (uint32_t)rhumb__min_u64(job.query_count, RUNG_WORK_MAX / job.ef);
    const uint64_t rung_number = (uint64_t)row * RHUMB__RECALL_RUNGS + rung + 1;
    job.steps = TRUTH_STEPS + (RHUMB__RECALL_STEPS - 1 - TRUTH_STEPS) * rung_number /
                                  ((uint64_t)RHUMB__RECALL_ROWS * RHUMB__RECALL_RUNGS);
    const rhumb_status status = rhumb__parallel_run(m->request->thread_count, rung_worker, &job);
    if (status != RHUMB_OK) return status;
    const uint64_t possible_count = atomic_load(&job.possible_count);
    const uint64_t hit_count = atomic_load(&job.hit_count);
    *share_out =
        (uint16_t)(possible_count == 0 ? RHUMB__RECALL_WHOLE : hit_count * RHUMB__RECALL_WHOLE / possible_count);
    m->steps_done = job.steps;
    return RHUMB_OK;
}

static rhumb_status measure_row(measurement *m, uint32_t row, uint16_t shares[RHUMB__RECALL_RUNGS]) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t rung = 0; rung < RHUMB__RECALL_RUNGS; rung++) shares[rung] = RHUMB__RECALL_UNKNOWN;
    for (uint32_t rung = 0; rung < RHUMB__RECALL_RUNGS; rung++) {
        RHUMB_TRY(measure_rung(m, row, rung, &shares[rung]));
        if (shares[rung] + MISSING_MIN >= RHUMB__RECALL_WHOLE) break;
        if (rhumb__recall_rung_ef(row, rung) >= rhumb__graph_live_count(m->graph)) break;
    }
done:
    return status;
}

/* ---- the whole ---- */

static rhumb_status find_truth(measurement *m) {
    const rhumb__truth truth = {.graph = m->graph,
                                .rows = m->rows,
                                .slots = m->slots,
                                .hidden = &m->hidden,
                                .query_count = m->query_count,
                                .thread_count = m->request->thread_count,
                                .distances = m->distances,
                                .found_counts = m->found_counts,
                                .progress = m->request->progress,
                                .step_count = TRUTH_STEPS};
    m->steps_done = TRUTH_STEPS;
    return rhumb__truth_find(&truth);
}

rhumb_status rhumb__recall_measure(rhumb__graph *graph, const rhumb__recall_request *request,
                                   rhumb__recall_curve *curve) {
    rhumb_status status;
    measurement m = {.request = request, .graph = graph};
    RHUMB_ASSERT_DEBUG(request->query_count > 0 && request->query_count <= RHUMB__RECALL_QUERY_COUNT_MAX);
    rhumb__scratch_pool_init(&m.pool, graph);
    memset(curve, 0, sizeof *curve);
    RHUMB_TRY(rhumb__graph_check_vectors(graph));
    RHUMB_TRY(make_room(&m, request->query_count));
    RHUMB_TRY(request->queries == NULL ? sample(&m) : prepare_given(&m));
    curve->live_count = rhumb__graph_live_count(graph);
    RHUMB_TRY(find_truth(&m));
    for (uint32_t row = 0; row < RHUMB__RECALL_ROWS; row++) RHUMB_TRY(measure_row(&m, row, curve->shares[row]));
    RHUMB_TRY(rhumb__progress_report(request->progress, RHUMB__RECALL_STEPS));
    curve->flags = request->queries == NULL ? 0 : RHUMB__RECALL_QUERIES_GIVEN;
    curve->query_count = (uint16_t)m.query_count;
done:
    rhumb__free(m.slots);
    rhumb__free(m.rows);
    rhumb__free(m.distances);
    rhumb__free(m.found_counts);
    rhumb__free(m.hidden_slots);
    rhumb__free(m.hidden_bits);
    rhumb__scratch_pool_destroy(&m.pool);
    return status;
}
