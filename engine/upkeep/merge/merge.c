/* merge.c - see merge.h.
 *
 *   1. open      the sources, for reading; choose what is taken over
 *   2. place     their vectors, one source after another; each run is written ahead, which releases its memory
 *   3. groups    of equal vectors, also of different sources (regroup.h)
 *   4. lists     of all levels, with the new slots
 *   5. join      the graphs (join.h); then all copies hang on their heads
 *   6. tie       what these lists lead to, and link what they do not (relink.h)
 *   7. publish   all of it, as one version
 *
 * Owns the sources and the new graph until it is closed or abandoned. A failure removes the new file. Locks: none,
 * because no other thread knows these graphs.
 */
#include "engine/upkeep/merge/merge.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/lifetime.h"
#include "engine/upkeep/merge/equals.h"
#include "engine/upkeep/merge/join.h"
#include "engine/upkeep/merge/source.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/regroup.h"
#include "engine/upkeep/relink.h"
#include "engine/upkeep/spill.h"

/* Steps of the progress for each vector: placing it, taking over its lists, joining them, tying them together. */
#define STEPS_PER_VECTOR 6u
#define JOIN_STEPS 3u

typedef struct merge {
    const rhumb__merge_work *work;
    rhumb__merge_result *result;
    rhumb__merge_sources sources;
    rhumb__graph *graph;
    rhumb__spill spill;
    rhumb__scratch_pool pool;
    rhumb__progress progress;
    uint32_t *begins;     /* of each source its first slot, and the end of the last */
    uint32_t *lower;      /* by slot: see regroup.h */
    uint64_t *incomplete; /* one bit per slot: to be linked */
    uint64_t written_bytes;
} merge;

/* ---- the new file ---- */

static rhumb_status choose_params(const merge *m, rhumb__params *params) {
    const rhumb__merge_work *work = m->work;
    *params = m->sources.all[0].graph->params;
    if (work->M != 0) {
        params->M = work->M;
        params->M0 = 2 * work->M;
    }
    if (work->M0 != 0) params->M0 = work->M0;
    if (work->ef_construction != 0) params->ef_construction = work->ef_construction;
    rhumb__derived_change(&work->derived, params);
    return rhumb__params_check(params);
}

static rhumb_status begin(merge *m) {
    rhumb_status status;
    rhumb__params params;
    uint64_t count = 0;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    const rhumb__io_access access = rhumb__io_access_get(m->sources.all[0].graph->store->io);
    const rhumb__graph_creation creation = {.path = m->work->new_path,
                                            .working_suffix = "-merging",
                                            .access = &access,
                                            .creator_version = m->work->creator_version};
    RHUMB_TRY(choose_params(m, &params));
    RHUMB_TRY(rhumb__merge_sources_choose(&m->sources, m->work, &m->progress, m->result));
    for (uint32_t i = 0; i < m->sources.count; i++) count += m->sources.all[i].kept_count;
    m->result->count = count;
    m->progress.total_count = rhumb__max_u64(STEPS_PER_VECTOR * count, 1);
    m->begins = rhumb__alloc_zeroed((uint64_t)m->sources.count + 1, sizeof *m->begins);
    m->incomplete = rhumb__alloc_zeroed(count / 64 + 1, sizeof *m->incomplete);
    m->lower = rhumb__alloc_zeroed(rhumb__max_u64(count, 1), sizeof *m->lower);
    if (m->begins == NULL || m->incomplete == NULL || m->lower == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for merging %llu vectors", (unsigned long long)count);
        goto done;
    }
    RHUMB_TRY(rhumb__graph_begin(&creation, &params, &options, &m->graph));
    rhumb__scratch_pool_init(&m->pool, m->graph);
    rhumb__spill_begin(m->graph, count, &m->spill);
done:
    return status;
}

/* ---- steps ---- */

static rhumb_status take_over(merge *m) {
    rhumb_status status;
    const rhumb__regroup_parts parts = {.begins = m->begins, .count = m->sources.count, .lower = m->lower};
    const rhumb__merge_taking taking = {.graph = m->graph,
                                        .pool = &m->pool,
                                        .progress = &m->progress,
                                        .thread_count = m->work->thread_count,
                                        .lower = m->lower,
                                        .written_bytes = &m->written_bytes};
    for (uint32_t i = 0; i < m->sources.count; i++) {
        RHUMB_TRY(rhumb__merge_place(&taking, &m->sources.all[i]));
        m->begins[i] = m->sources.all[i].begin;
        m->begins[i + 1] = m->sources.all[i].end;
    }
    if (m->result->count > 0) RHUMB_TRY(rhumb__rebuild_write_ahead(m->graph, false, &m->written_bytes));
    RHUMB_TRY(rhumb__regroup_find(m->graph, &parts, &m->progress));
    for (uint32_t i = 0; i < m->sources.count; i++) RHUMB_TRY(rhumb__merge_take_lists(&taking, &m->sources.all[i]));
done:
    return status;
}

static rhumb_status join(merge *m) {
    const rhumb__join_spec spec = {.graph = m->graph,
                                   .pool = &m->pool,
                                   .thread_count = m->work->thread_count,
                                   .progress = &m->progress,
                                   .progress_end = m->progress.done_count + JOIN_STEPS * m->result->count,
                                   .begins = m->begins,
                                   .part_count = m->sources.count,
                                   .lower = m->lower};
    const rhumb_status status = rhumb__join(&spec);
    if (status == RHUMB_OK) rhumb__equals_hang(m->graph, m->lower);
    return status;
}

/* On one thread, so that the result does not depend on their number: few nodes are to be linked. */
static rhumb_status tie(merge *m) {
    const rhumb__relink_spec spec = {.pool = &m->pool,
                                     .incomplete = m->incomplete,
                                     .upper_linked = true,
                                     .thread_count = 1,
                                     .progress = &m->progress,
                                     .progress_begin = m->progress.done_count};
    rhumb__relink_result relinked;
    rhumb__relink_mark_empty(m->graph, m->incomplete);
    const rhumb_status status = rhumb__relink(m->graph, &spec, &relinked);
    m->result->reconnected_count = relinked.without_path_count;
    m->result->unreachable_count = relinked.unreachable_count;
    return status;
}

static rhumb_status publish(merge *m) {
    rhumb_status status;
    uint64_t key_next = 0;
    for (uint32_t i = 0; i < m->sources.count; i++)
        key_next = rhumb__max_u64(key_next, m->sources.all[i].graph->counts.key_next);
    rhumb__mutex_lock(&m->graph->append_lock);
    m->graph->counts.key_next = rhumb__max_u64(m->graph->counts.key_next, key_next);
    rhumb__mutex_unlock(&m->graph->append_lock);
    m->graph->metadata = m->sources.all[0].graph->metadata; /* no other thread knows the graph yet */
    RHUMB_TRY(rhumb__progress_report(&m->progress, m->progress.total_count));
    status = rhumb__checkpoint_forced(m->graph->writer, false);
done:
    return status;
}

static rhumb_status merge_run(merge *m) {
    rhumb_status status;
    RHUMB_TRY(rhumb__merge_sources_open(m->work, &m->sources));
    RHUMB_TRY(begin(m));
    RHUMB_TRY(take_over(m));
    RHUMB_TRY(join(m));
    RHUMB_TRY(tie(m));
    RHUMB_TRY(rhumb__rebuild_weave(m->graph, m->work->thread_count, &m->written_bytes));
    status = publish(m);
done:
    return status;
}

rhumb_status rhumb__merge(const rhumb__merge_work *work, rhumb__merge_result *result) {
    *result = (rhumb__merge_result){0};
    merge m = {.work = work, .result = result, .progress = {.report = work->report, .context = work->report_context}};
    const rhumb_status status = merge_run(&m);
    rhumb__spill_end(&m.spill);
    if (m.graph != NULL) rhumb__scratch_pool_destroy(&m.pool);
    if (status == RHUMB_OK) {
        rhumb__graph_close(m.graph);
    } else {
        rhumb__graph_abandon(m.graph);
    }
    rhumb__merge_sources_close(&m.sources);
    rhumb__free(m.begins);
    rhumb__free(m.lower);
    rhumb__free(m.incomplete);
    return status;
}
