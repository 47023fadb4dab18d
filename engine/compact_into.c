/* compact_into.c - see compact_into.h.
 *
 * The new file is an empty index until its one checkpoint, so it has another name until then. Owns the old graph, a
 * reader, and the new one until it is closed or abandoned. No locks: nobody else knows either of them.
 */
#include "engine/compact_into.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/checkpoint.h"

/* A name that is taken should be told before the work, not after. */
static rhumb_status check_name_is_free(const char *path) {
    rhumb__io *io = NULL;
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__io_open(NULL, path, RHUMB__IO_READ, &io);
    if (status == RHUMB_E_NOTFOUND) {
        rhumb__error_restore(&before);
        return RHUMB_OK;
    }
    rhumb__io_close(io);
    if (status != RHUMB_OK) return status;
    return rhumb__fail_at(RHUMB_E_EXISTS, path, RHUMB_OFFSET_NONE, "there is a file of that name already");
}

static rhumb_status make_working_path(const char *new_path, char **working_path_out) {
    const size_t length = strlen(new_path) + sizeof "-compacting";
    char *working_path = rhumb__alloc_zeroed(length, 1);
    if (working_path == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a path");
    snprintf(working_path, length, "%s-compacting", new_path);
    *working_path_out = working_path;
    return RHUMB_OK;
}

rhumb_status rhumb__compact_into(const char *path, const char *new_path, uint32_t creator_version,
                                 rhumb__compact_work *work, rhumb__compact_result *result) {
    rhumb_status status;
    char *working_path = NULL;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    work->old = work->graph = NULL;
    RHUMB_TRY(check_name_is_free(new_path));
    RHUMB_TRY(make_working_path(new_path, &working_path));
    RHUMB_TRY(rhumb__graph_open(path, NULL, &work->old));
    RHUMB_TRY(rhumb__graph_create(working_path, &work->old->params, &options, creator_version, &work->graph));
    RHUMB_TRY(rhumb__compact_build(work, result));
    RHUMB_TRY(rhumb__checkpoint_forced(work->graph->writer, false));
    RHUMB_TRY(check_name_is_free(new_path));
    RHUMB_TRY(rhumb__io_rename(NULL, working_path, new_path));
    status = rhumb__io_sync_directory(NULL, new_path);
done:
    if (status == RHUMB_OK) {
        rhumb__graph_close(work->graph);
    } else {
        rhumb__graph_abandon(work->graph);
    }
    rhumb__graph_close(work->old);
    rhumb__free(working_path);
    return status;
}
