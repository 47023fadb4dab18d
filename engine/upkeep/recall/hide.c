/* hide.c - see hide.h.
 *
 * Threads take the next slots from a shared counter. They read the lists as they were: each
 * notes what it has mended, and all is written when no thread reads any more; so the result is the same for any number
 * of threads. The caller's threads alone use the graph, so no list is locked. Owns what has been noted.
 */
#include "engine/upkeep/recall/hide.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/parallel.h"
#include "base/status.h"
#include "engine/build/link.h"
#include "engine/graph/neighbour_list.h"
#include "engine/search/walk/measure.h"
#include "engine/upkeep/mend_neighbours.h"

#define SLOTS_PER_TURN 256u

#define MENDED_COUNT_FIRST 64u

/* Lists that a worker has mended: for each the node's slot, then M0 slots. */
typedef struct mended {
    uint32_t *lists;
    uint64_t count;
    uint64_t capacity;
} mended;

typedef struct hide_job {
    rhumb__graph *graph;
    rhumb__scratch_pool *pool;
    const rhumb__hidden *hidden;
    rhumb__progress *progress; /* used by the calling thread alone */
    uint64_t slot_count;
    mended *mended; /* of each worker */
    _Atomic uint64_t next;
    _Atomic bool stopped;
} hide_job;

static uint64_t entry_words(const hide_job *job) { return 1 + (uint64_t)job->graph->params.M0; }

static bool is_hidden(const hide_job *job, uint32_t slot) { return rhumb__bit_get(job->hidden->bits, slot); }

/* The nodes in a list and in those of its nodes, hidden ones too, nearest first. Returns how many. */
static uint32_t find_candidates(const hide_job *job, rhumb__scratch *scratch, uint32_t own, const uint32_t *slots,
                                uint32_t count) {
    const rhumb__mend_source source = {.graph = job->graph, .slot_count = job->slot_count};
    const rhumb__mend_torn torn = {.slot = own, .slots = slots, .count = count};
    const uint32_t candidate_count = rhumb__mend_gather(&source, scratch, &torn);
    rhumb__measure_candidates(job->graph, scratch, own, scratch->candidates, candidate_count);
    rhumb__sort_candidates(scratch->candidates, candidate_count);
    return candidate_count;
}

/* Takes the hidden nodes out of candidates. Returns how many are left. */
static uint32_t drop_hidden(const hide_job *job, rhumb__candidate *candidates, uint32_t count) {
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_hidden(job, rhumb__candidate_slot(candidates[i]))) candidates[kept_count++] = candidates[i];
    }
    return kept_count;
}

/* Replaces the hidden nodes in the `count` slots of a list: by those nodes that would be chosen without the hidden ones
 * and are not chosen with them, nearest first. To add all that would be chosen would make the list better than others
 * are, and so the recall higher than it is. Returns how many there are then. */
static uint32_t mend(const hide_job *job, rhumb__scratch *scratch, uint32_t own, uint32_t *slots, uint32_t count) {
    uint32_t with[RHUMB__M0_MAX];
    uint32_t without[RHUMB__M0_MAX];
    const uint32_t capacity = job->graph->params.M0;
    rhumb__candidate *candidates = scratch->candidates;
    uint32_t candidate_count = find_candidates(job, scratch, own, slots, count);
    const uint32_t with_count =
        rhumb__select(job->graph, scratch, (rhumb__candidates){candidates, candidate_count}, capacity, with);
    candidate_count = drop_hidden(job, candidates, candidate_count);
    const uint32_t without_count =
        rhumb__select(job->graph, scratch, (rhumb__candidates){candidates, candidate_count}, capacity, without);
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_hidden(job, slots[i])) slots[kept_count++] = slots[i];
    }
    for (uint32_t i = 0; i < without_count && kept_count < capacity; i++) {
        if (rhumb__slots_contain(with, with_count, without[i])) continue;
        if (!rhumb__slots_contain(slots, kept_count, without[i])) slots[kept_count++] = without[i];
    }
    return kept_count;
}

/* Room for one more mended list; false without memory. */
static bool make_room(const hide_job *job, mended *m) {
    if (m->count < m->capacity) return true;
    const uint64_t capacity = 2 * m->capacity + MENDED_COUNT_FIRST;
    uint32_t *lists = rhumb__alloc_resize(m->lists, capacity, entry_words(job) * sizeof *lists);
    if (lists == NULL) return false;
    m->lists = lists;
    m->capacity = capacity;
    return true;
}

/* Notes how the list of a node is to be, if a hidden one is in it. RHUMB_E_NOMEM. */
static rhumb_status note_list_of(const hide_job *job, rhumb__scratch *scratch, uint32_t own, mended *m) {
    uint32_t slots[RHUMB__M0_MAX];
    bool found = false;
    const uint32_t count = rhumb__graph_neighbours(job->graph, own, job->slot_count, slots);
    for (uint32_t i = 0; i < count && !found; i++) found = is_hidden(job, slots[i]);
    if (!found) return RHUMB_OK;
    if (!make_room(job, m)) return rhumb__fail(RHUMB_E_NOMEM, "no memory for mended lists");
    uint32_t *entry = m->lists + m->count++ * entry_words(job);
    const uint32_t kept_count = mend(job, scratch, own, slots, count);
    entry[0] = own;
    for (uint32_t i = 0; i < job->graph->params.M0; i++) entry[1 + i] = i < kept_count ? slots[i] : RHUMB__SLOT_NONE;
    return RHUMB_OK;
}

static rhumb_status worker(void *context, uint32_t worker_index) {
    hide_job *job = context;
    rhumb__scratch *scratch = NULL;
    rhumb_status status;
    RHUMB_TRY(rhumb__scratch_take(job->pool, &scratch));
    RHUMB_TRY(rhumb__mend_prepare(scratch));
    while (!atomic_load_explicit(&job->stopped, memory_order_relaxed)) {
        const uint64_t begin = atomic_fetch_add_explicit(&job->next, SLOTS_PER_TURN, memory_order_relaxed);
        const uint64_t end = rhumb__min_u64(begin + SLOTS_PER_TURN, job->slot_count);
        if (begin >= end) break;
        for (uint64_t slot = begin; slot < end; slot++) {
            rhumb__read_ahead_scan(job->graph, RHUMB__SECTION_LISTS0, slot);
            if (is_hidden(job, (uint32_t)slot)) continue;
            RHUMB_TRY(note_list_of(job, scratch, (uint32_t)slot, &job->mended[worker_index]));
        }
        if (worker_index == 0) RHUMB_TRY(rhumb__progress_report(job->progress, 0)); /* asks whether to stop */
    }
done:
    if (status != RHUMB_OK) atomic_store(&job->stopped, true);
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}

/* Writes what a worker has noted. The lists do not count as changed: where a node has a fused row, walks go by that,
 * and its lanes for near nodes that are not in the list stand in for the hidden one. */
static void write_mended(const hide_job *job, const mended *m) {
    for (uint64_t i = 0; i < m->count; i++) {
        const uint32_t *entry = m->lists + i * entry_words(job);
        const rhumb__list list = rhumb__graph_list(job->graph, entry[0], 0);
        for (uint32_t k = 0; k < list.capacity; k++) {
            atomic_store_explicit(&list.slots[k], entry[1 + k], memory_order_relaxed);
        }
    }
}

rhumb_status rhumb__hide(rhumb__graph *graph, rhumb__scratch_pool *pool, const rhumb__hidden *hidden,
                         uint32_t thread_count, rhumb__progress *progress) {
    rhumb_status status;
    hide_job job = {.graph = graph, .pool = pool, .hidden = hidden, .progress = progress};
    job.slot_count = rhumb__graph_slot_count(graph);
    if (thread_count == 0) thread_count = rhumb__parallel_default_count();
    const uint64_t turn_count = rhumb__divide_up(job.slot_count, SLOTS_PER_TURN);
    thread_count = (uint32_t)rhumb__max_u64(1, rhumb__min_u64(thread_count, turn_count));
    job.mended = rhumb__alloc_zeroed(thread_count, sizeof *job.mended);
    if (job.mended == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u threads", thread_count);
    RHUMB_TRY(rhumb__parallel_run(thread_count, worker, &job));
    RHUMB_TRY(rhumb__section_make_private(&graph->sections[RHUMB__SECTION_LISTS0], graph->store->io));
    for (uint32_t w = 0; w < thread_count; w++) write_mended(&job, &job.mended[w]);
done:
    for (uint32_t w = 0; w < thread_count; w++) rhumb__free(job.mended[w].lists);
    rhumb__free(job.mended);
    return status;
}
