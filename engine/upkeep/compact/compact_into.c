/* compact_into.c - compacting into a new file, see compact.h.
 *
 * The new file has its name when it is complete, with its one checkpoint. Owns the old graph, a reader's, and the new
 * one until it is closed or abandoned. A failure removes the new file. Locks: none, because no other thread knows the
 * two graphs.
 */
#include "engine/durability/lifetime.h"
#include "engine/upkeep/compact/compact.h"

#include "base/status.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/recall_store.h"
#include "engine/graph/codes.h"

static rhumb_status begin_new(const char *new_path, uint32_t creator_version, rhumb__compact_work *work) {
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    const rhumb__io_access access = rhumb__io_access_get(work->old->store->io);
    const rhumb__graph_creation creation = {
        .path = new_path, .working_suffix = "-compacting", .access = &access, .creator_version = creator_version};
    rhumb__params params = work->old->params;
    rhumb__derived_change(&work->derived, &params);
    return rhumb__graph_begin(&creation, &params, &options, &work->graph);
}

rhumb_status rhumb__compact_into(const char *path, const char *new_path, uint32_t creator_version,
                                 rhumb__compact_work *work, rhumb__compact_result *result) {
    rhumb_status status;
    work->old = work->graph = NULL;
    RHUMB_TRY(rhumb__graph_open(path, NULL, &work->custom, &work->old));
    RHUMB_TRY(begin_new(new_path, creator_version, work));
    RHUMB_TRY(rhumb__compact_build(work, result));
    work->graph->metadata = work->old->metadata; /* no other thread knows the graph yet */
    rhumb__recall_carry(work->graph, work->old);
    status = rhumb__checkpoint_forced(work->graph->writer, false);
done:
    if (status == RHUMB_OK) {
        rhumb__graph_close(work->graph);
    } else {
        rhumb__graph_abandon(work->graph);
    }
    rhumb__graph_close(work->old);
    return status;
}
