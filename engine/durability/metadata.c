/* metadata.c - see metadata.h.
 *
 * graph->metadata are those of the newest version. In a reader they never change; in a writer they change under both
 * checkpoint_lock and stats_lock, so a thread that holds either may read them. While rhumb__metadata_set makes its
 * checkpoint, graph->metadata_next points to what the checkpoint publishes instead; checkpoint_lock guards it.
 */
#include "engine/durability/metadata.h"
#include "engine/build/writer.h"

#include <string.h>

#include "base/status.h"
#include "engine/durability/checkpoint.h"

static_assert(RHUMB__METADATA_CLIENT_OFFSET + sizeof(rhumb__metadata) == RHUMB__CLIENT_BYTES, "metadata layout");
static_assert(offsetof(rhumb__metadata, bytes_count) == 0, "metadata layout");
static_assert(offsetof(rhumb__metadata, bytes) == 4, "metadata layout");

uint64_t rhumb__metadata_encode(const rhumb__metadata *metadata, uint8_t client[RHUMB__CLIENT_BYTES]) {
    memcpy(client + RHUMB__METADATA_CLIENT_OFFSET, metadata, sizeof *metadata);
    return metadata->bytes_count > 0 ? RHUMB__FEATURE_READ_METADATA : 0;
}

rhumb_status rhumb__metadata_decode(const rhumb__superblock *superblock, const char *path, rhumb__metadata *metadata) {
    memset(metadata, 0, sizeof *metadata);
    if ((superblock->features_read & RHUMB__FEATURE_READ_METADATA) == 0) return RHUMB_OK;
    rhumb__metadata stored;
    memcpy(&stored, superblock->client + RHUMB__METADATA_CLIENT_OFFSET, sizeof stored);
    if (stored.bytes_count > RHUMB__METADATA_BYTES_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, RHUMB_OFFSET_NONE, "metadata: at most %u bytes expected, %u found",
                              RHUMB__METADATA_BYTES_MAX, stored.bytes_count);
    }
    metadata->bytes_count = stored.bytes_count;
    memcpy(metadata->bytes, stored.bytes, stored.bytes_count);
    return RHUMB_OK;
}

rhumb_status rhumb__metadata_set(rhumb__writer *writer, const void *bytes, uint32_t bytes_count) {
    rhumb__metadata next = {.bytes_count = bytes_count};
    if (bytes_count > 0) memcpy(next.bytes, bytes, bytes_count);
    rhumb__mutex_lock(&writer->checkpoint_lock);
    rhumb__graph *graph = atomic_load(&writer->graph);
    graph->metadata_next = &next;
    const rhumb_status status = rhumb__checkpoint_locked(writer);
    graph->metadata_next = NULL;
    if (status == RHUMB_OK) {
        rhumb__mutex_lock(&writer->stats_lock);
        graph->metadata = next;
        rhumb__mutex_unlock(&writer->stats_lock);
    }
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}

void rhumb__metadata_get(rhumb__graph *graph, rhumb__metadata *metadata) {
    if (graph->writer != NULL) rhumb__mutex_lock(&graph->writer->stats_lock);
    *metadata = graph->metadata;
    if (graph->writer != NULL) rhumb__mutex_unlock(&graph->writer->stats_lock);
}
