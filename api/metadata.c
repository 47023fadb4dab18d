/* metadata.c - the caller's own bytes in an index: argument checks, and copies in and out. Owns nothing; locks are the
 * engine's (engine/durability/metadata.h). */
#include <string.h>

#include "api/handle.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/durability/metadata.h"

static_assert(RHUMB_METADATA_BYTES_MAX == RHUMB__METADATA_BYTES_MAX, "the manual states the limit");

rhumb_status rhumb_index_metadata_set(rhumb_index *index, const void *bytes, size_t bytes_count) {
    const rhumb_status status = rhumb__handle_check(index, true);
    if (status != RHUMB_OK) return status;
    if (bytes == NULL && bytes_count > 0) return rhumb__fail(RHUMB_E_INVALID, "bytes is NULL");
    if (bytes_count > RHUMB__METADATA_BYTES_MAX) {
        return rhumb__fail(RHUMB_E_INVALID, "metadata: at most %u bytes expected, %zu found", RHUMB__METADATA_BYTES_MAX,
                           bytes_count);
    }
    return rhumb__metadata_set(index->writer, bytes, (uint32_t)bytes_count);
}

rhumb_status rhumb_index_metadata_get(rhumb_index *index, void *bytes, size_t capacity, size_t *bytes_count) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__metadata metadata;
    RHUMB_TRY(rhumb__handle_check(index, false));
    if (bytes_count == NULL || (bytes == NULL && capacity > 0)) {
        return rhumb__fail(RHUMB_E_INVALID, "%s is NULL", bytes_count == NULL ? "bytes_count" : "bytes");
    }
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    rhumb__metadata_get(graph, &metadata);
    if (capacity > 0) memcpy(bytes, metadata.bytes, rhumb__min_u64(capacity, metadata.bytes_count));
    *bytes_count = metadata.bytes_count;
done:
    return rhumb__handle_leave(scratch, status);
}
