/* recall.c - measuring how much searches find, and the choice of ef by it: argument checks, and the way to the engine.
 *
 * A measurement reads a version of the file through a graph of its own, so that it holds up neither a refresh nor a
 * compaction. Owns that graph for the time of the call. Locks are the engine's.
 */
#include "api/handle.h"
#include "api/options.h"
#include "api/search.h"
#include "base/clock.h"
#include "base/status.h"
#include "engine/durability/recall_store.h"
#include "engine/open.h"
#include "engine/upkeep/recall/measure_recall.h"

static_assert(RHUMB_RECALL_QUERY_COUNT_MAX == RHUMB__RECALL_QUERY_COUNT_MAX, "the manual states the limit");
static_assert((int)RHUMB_RECALL_POINT_MAX >= RHUMB__RECALL_ROWS * RHUMB__RECALL_RUNGS, "all points fit");

#define SAMPLE_COUNT 1000u

static void fill_curve(const rhumb__recall_curve *curve, uint64_t lsn, size_t size, rhumb_recall_curve *curve_out) {
    rhumb_recall_curve filled = {
        .size = size,
        .query_count = curve->query_count,
        .queries_given = (curve->flags & RHUMB__RECALL_QUERIES_GIVEN) != 0,
        .outdated = rhumb__recall_curve_is_outdated(curve, lsn),
        .count = curve->live_count,
        .change_count = rhumb__recall_curve_change_count(curve, lsn),
    };
    for (uint32_t row = 0; row < RHUMB__RECALL_ROWS; row++) {
        for (uint32_t rung = 0; rung < RHUMB__RECALL_RUNGS; rung++) {
            if (curve->shares[row][rung] == RHUMB__RECALL_UNKNOWN) break;
            filled.k[filled.point_count] = rhumb__recall_row_k(row);
            filled.ef[filled.point_count] = rhumb__recall_rung_ef(row, rung);
            filled.recall[filled.point_count++] = (double)curve->shares[row][rung] / RHUMB__RECALL_WHOLE;
        }
    }
    rhumb__struct_give(curve_out, size, &filled, sizeof filled);
}

static rhumb_status take_options(const rhumb_index *index, const rhumb_recall_options *options,
                                 rhumb_recall_options *resolved) {
    rhumb_status status;
    rhumb_recall_options_init(resolved, sizeof *resolved);
    RHUMB_TRY(rhumb__options_take(resolved, sizeof *resolved, options, "rhumb_recall_options"));
    RHUMB_TRY(rhumb__handle_check(index, !resolved->dry_run));
    if (resolved->query_count > RHUMB_RECALL_QUERY_COUNT_MAX ||
        (resolved->queries != NULL && resolved->query_count == 0)) {
        status = rhumb__fail(RHUMB_E_INVALID, "query_count: expected 1 to %u, found %zu", RHUMB_RECALL_QUERY_COUNT_MAX,
                             resolved->query_count);
        goto done;
    }
    if (resolved->query_count == 0) resolved->query_count = SAMPLE_COUNT;
done:
    return status;
}

/* Opens the newest version, with all operations that have returned if the handle writes. */
static rhumb_status open_snapshot(rhumb_index *index, rhumb__graph **snapshot_out) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    if (!index->read_only) RHUMB_TRY(rhumb_index_checkpoint(index));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    status = rhumb__handle_reopen(graph, snapshot_out);
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_index_recall_measure(rhumb_index *index, const rhumb_recall_options *options,
                                        rhumb_recall_curve *curve, size_t size) {
    rhumb_status status;
    rhumb__graph *snapshot = NULL;
    rhumb__recall_curve measured;
    rhumb_recall_options resolved;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(take_options(index, options, &resolved));
    if (curve != NULL) RHUMB_TRY(rhumb__struct_check(curve, size, "curve"));
    RHUMB_TRY(open_snapshot(index, &snapshot));
    rhumb__progress progress = {.report = resolved.progress,
                                .context = resolved.progress_context,
                                .total_count = RHUMB__RECALL_STEPS,
                                .reported_ns = rhumb__clock_now_ns()};
    const rhumb__recall_request request = {.queries = resolved.queries,
                                           .query_count = (uint32_t)resolved.query_count,
                                           .seed = resolved.seed,
                                           .thread_count = resolved.thread_count,
                                           .progress = &progress};
    RHUMB_TRY(rhumb__recall_measure(snapshot, &request, &measured));
    RHUMB_TRY(rhumb__io_check_mappings(snapshot->store->io));
    measured.lsn = snapshot->counts.lsn;
    if (!resolved.dry_run) RHUMB_TRY(rhumb__recall_set(index->writer, &snapshot->params, &measured));
    if (curve != NULL) fill_curve(&measured, measured.lsn, size, curve);
done:
    rhumb__engine_close(snapshot);
    return status;
}

rhumb_status rhumb_index_recall_get(rhumb_index *index, rhumb_recall_curve *curve, size_t size) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__recall_curve stored;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__struct_check(curve, size, "curve"));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    rhumb__recall_cell_read(&graph->recall, &stored);
    if (stored.query_count == 0) {
        status = rhumb__fail(RHUMB_E_NOTFOUND, "the recall of the index has not been measured");
    } else {
        fill_curve(&stored, rhumb__recall_lsn(graph), size, curve);
    }
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_index_recall_ef(rhumb_index *index, size_t k, double recall, uint32_t *ef, double *recall_out) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__recall_choice choice;
    RHUMB_TRY(rhumb__handle_check(index, false));
    if (ef == NULL) return rhumb__fail(RHUMB_E_INVALID, "ef is NULL");
    RHUMB_TRY(rhumb__k_check(k));
    RHUMB_TRY(rhumb__recall_check(recall));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__search_recall_choose(graph, k, recall, &choice));
    *ef = choice.ef;
    if (recall_out != NULL) *recall_out = choice.recall;
done:
    return rhumb__handle_leave(scratch, status);
}
