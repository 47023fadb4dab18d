/* durability.c - what is on the disk, and which version of it a handle shows: sync, checkpoint, operation numbers,
 * refresh, waiting for a checkpoint, and the list of hot pages. Checks arguments; the work is done by the engine, by
 * storage/hot_pages and, for the waiting, by storage/epoch_watch, which looks at the file and not at the handle.
 *
 * Locking: refresh_lock of the handle, while a read-only handle exchanges its graph. On failure a handle keeps the
 * graph it had.
 */
#include "api/handle.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "engine/durability/background.h"
#include "engine/durability/checkpoint.h"
#include "engine/open.h"
#include "engine/upkeep/compact/compactor.h"
#include "storage/epoch_watch.h"
#include "storage/hot_pages.h"
#include "storage/store_stats.h"

rhumb_status rhumb_index_sync(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    rhumb__writer *writer = index->writer;
    return writer->options.durability == RHUMB_DURABILITY_NONE ? rhumb__checkpoint(writer)
                                                               : rhumb__log_sync(writer->log);
}

rhumb_status rhumb_index_checkpoint(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    return rhumb__checkpoint(index->writer);
}

rhumb_status rhumb_index_wait_idle(rhumb_index *index) {
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK || index->read_only) return status;
    rhumb__compactor_wait_idle(index->writer);
    return rhumb__background_wait_idle(index->writer);
}

rhumb_status rhumb_index_hot_pages_save(rhumb_index *index) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    status = rhumb__handle_leave(scratch, rhumb__hot_pages_save(graph->store));
done:
    return status;
}

/* The number that `of_log` returns, or that of the checkpoint which a read-only handle shows. */
static uint64_t read_lsn(const rhumb_index *index, uint64_t (*of_log)(rhumb__log *log)) {
    if (index == NULL || rhumb__handle_is_forked(index)) return 0;
    if (index->writer != NULL) return of_log(index->writer->log);
    rhumb__glance glance;
    const rhumb__graph *graph = rhumb__handle_glance(index, &glance);
    const uint64_t lsn = graph->counts.lsn;
    rhumb__handle_glance_end(&glance);
    return lsn;
}

uint64_t rhumb_index_lsn(const rhumb_index *index) { return read_lsn(index, rhumb__log_lsn); }

uint64_t rhumb_index_durable_lsn(const rhumb_index *index) { return read_lsn(index, rhumb__log_durable_lsn); }

/* With refresh_lock held. */
static rhumb_status refresh_reader(rhumb_index *index, bool *newer_out) {
    rhumb_status status;
    rhumb__graph *fresh = NULL;
    rhumb__mutex_assert_held(&index->refresh_lock);
    rhumb__graph *graph = atomic_load(&index->scratch_pool.graph);
    if (graph->store->io->unlocked) return RHUMB_OK; /* no process writes the file */
    RHUMB_TRY(rhumb__store_has_newer(graph->store, newer_out));
    if (*newer_out) {
        RHUMB_TRY(rhumb__handle_reopen(graph, &fresh));
        rhumb__handle_warm_up(index, fresh);
        rhumb__handle_close_replaced(index, rhumb__scratch_pool_switch(&index->scratch_pool, fresh));
    }
done:
    return status;
}

rhumb_status rhumb_index_refresh(rhumb_index *index, bool *changed) {
    bool newer = false;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (index->read_only) {
        rhumb__mutex_lock(&index->refresh_lock);
        status = refresh_reader(index, &newer);
        rhumb__mutex_unlock(&index->refresh_lock);
    }
    if (status == RHUMB_OK && changed != NULL) *changed = newer;
    return status;
}

static uint64_t deadline_after(uint64_t timeout_ms) {
    const uint64_t now_ns = rhumb__clock_now_ns();
    return timeout_ms >= (UINT64_MAX - now_ns) / 1000000u ? UINT64_MAX : now_ns + timeout_ms * 1000000u;
}

rhumb_status rhumb_index_wait_epoch(rhumb_index *index, uint64_t epoch, uint64_t timeout_ms, uint64_t *newest) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__epoch_watch watch = {.path = NULL};
    const uint64_t deadline_ns = deadline_after(timeout_ms);
    uint64_t found = 0;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    const rhumb__store_stats shown = rhumb__store_stats_get(graph->store);
    char *path = rhumb__alloc_text(graph->store->path);
    /* A refresh waits for calls that keep the graph. */
    status = rhumb__handle_leave(scratch, RHUMB_OK);
    if (path == NULL && status == RHUMB_OK) status = rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    if (status == RHUMB_OK) status = rhumb__epoch_watch_open(&watch, path, shown.uuid);
    const uint64_t wanted = epoch == 0 ? shown.epoch + 1 : epoch;
    if (status == RHUMB_OK) status = rhumb__epoch_watch_wait(&watch, wanted, deadline_ns, &found);
    rhumb__epoch_watch_close(&watch);
    rhumb__free(path);
    if (status == RHUMB_OK && newest != NULL) *newest = found;
done:
    return status;
}
