/* compact_into.c - compacting into a new file, see compact.h.
 *
 * The new file is an empty index until its one checkpoint, so it has another name until then. Owns the old graph, a
 * reader's, and the new one until it is closed or abandoned. A failure removes the new file. Locks: none, because no
 * other thread knows the two graphs.
 */
#include "engine/durability/lifetime.h"
#include "engine/upkeep/compact/compact.h"

#include "base/alloc.h"
#include "base/status.h"
#include "engine/durability/checkpoint.h"
#include "storage/new_file.h"

rhumb_status rhumb__compact_into(const char *path, const char *new_path, uint32_t creator_version,
                                 rhumb__compact_work *work, rhumb__compact_result *result) {
    rhumb_status status;
    char *working_path = NULL;
    bool named = false;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    work->old = work->graph = NULL;
    RHUMB_TRY(rhumb__new_name_begin(NULL, new_path, "-compacting", &working_path));
    RHUMB_TRY(rhumb__graph_open(path, NULL, &work->custom, &work->old));
    RHUMB_TRY(rhumb__graph_create(working_path, &work->old->params, &options, creator_version, &work->graph));
    RHUMB_TRY(rhumb__compact_build(work, result));
    work->graph->metadata = work->old->metadata; /* no other thread knows the graph yet */
    RHUMB_TRY(rhumb__checkpoint_forced(work->graph->writer, false));
    status = rhumb__new_name_take(NULL, working_path, new_path, &named);
done:
    if (status == RHUMB_OK) {
        rhumb__graph_close(work->graph);
    } else {
        rhumb_error cause;
        rhumb__error_save(&cause);
        if (named) (void)!rhumb__io_remove(NULL, new_path);
        rhumb__error_restore(&cause);
        rhumb__graph_abandon(work->graph);
    }
    rhumb__graph_close(work->old);
    rhumb__free(working_path);
    return status;
}
