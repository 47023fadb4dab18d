/* inspect.c - what an index says of itself: statistics and verification.
 */
#include <stdio.h>
#include <string.h>

#include "api/handle.h"
#include "base/cpu.h"
#include "base/status.h"
#include "engine/verify.h"

static void fill_options(const rhumb__params *params, rhumb_index_options *options) {
    *options = (rhumb_index_options){
        .size = sizeof *options,
        .dim = params->dim,
        .metric = params->metric,
        .element = params->element,
        .M = params->M,
        .M0 = params->M0,
        .ef_construction = params->ef_construction,
        .ef_search = params->ef_search,
        .level_max = params->level_max,
        .level_scale = params->level_scale,
        .seed = params->seed,
        .extend_candidates = params->extend_candidates,
        .keep_pruned = params->keep_pruned,
    };
}

static void fill_store(rhumb__store *store, rhumb_index_stats *stats) {
    pthread_mutex_lock(&store->publish_lock);
    stats->format_version = store->superblock.format_version;
    stats->creator_version = store->superblock.creator_version;
    memcpy(stats->uuid, store->superblock.uuid, sizeof stats->uuid);
    stats->created_unix_ns = store->superblock.created_unix_ns;
    stats->epoch = store->superblock.epoch;
    uint64_t used_bytes = RHUMB__BLOCK_BYTES + store->directory_bytes;
    for (uint32_t i = 0; i < store->section_count; i++) {
        used_bytes += store->sections[i]->extents.bytes;
        stats->mapping_count += store->sections[i]->extents.count;
    }
    if (rhumb__io_size(store->io, &stats->file_bytes) != RHUMB_OK) stats->file_bytes = store->superblock.file_bytes;
    stats->file_free_bytes = stats->file_bytes > used_bytes ? stats->file_bytes - used_bytes : 0;
    pthread_mutex_unlock(&store->publish_lock);
    snprintf(stats->io_backend, sizeof stats->io_backend, "%s", store->io->backend->name);
}

static void fill_graph(rhumb__graph *graph, rhumb_index_stats *stats) {
    pthread_mutex_lock(&graph->append_lock);
    stats->slot_count = graph->counts.slot_count;
    memcpy(stats->level_counts, graph->counts.level_counts, sizeof stats->level_counts);
    const int32_t top = rhumb__counts_level_top(&graph->counts);
    /* Under the lock, so that it is never more than the slots that were handed out. */
    stats->count = rhumb__graph_live_count(graph);
    pthread_mutex_unlock(&graph->append_lock);
    stats->level_top = top < 0 ? 0 : (uint32_t)top;
    /* Taken while no checkpoint runs; one that does is waited for. */
    pthread_mutex_lock(&graph->checkpoint_lock);
    stats->checkpoint_count = graph->checkpoint_count;
    stats->checkpoint_bytes = graph->checkpoint_bytes;
    stats->checkpoint_ns = graph->checkpoint_ns;
    pthread_mutex_unlock(&graph->checkpoint_lock);
}

rhumb_status rhumb_index_stats_get(rhumb_index *index, rhumb_index_stats *stats, size_t size) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (stats == NULL || size < sizeof size) return rhumb__fail(RHUMB_E_INVALID, "stats is NULL or of size %zu", size);
    status = rhumb__handle_enter(index, &scratch, &graph);
    if (status != RHUMB_OK) return status;
    rhumb_index_stats filled = {.size = size, .read_only = index->read_only};
    fill_options(&graph->params, &filled.options);
    fill_store(graph->store, &filled);
    fill_graph(graph, &filled);
    snprintf(filled.simd, sizeof filled.simd, "%s", rhumb__simd_name(rhumb__cpu_simd()));
    rhumb__scratch_give(scratch);
    memcpy(stats, &filled, size < sizeof filled ? size : sizeof filled);
    return RHUMB_OK;
}

rhumb_status rhumb_index_verify(rhumb_index *index, rhumb_verify_report *report, size_t size) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__verify_result result;
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (report == NULL || size < sizeof size) {
        return rhumb__fail(RHUMB_E_INVALID, "report is NULL or of size %zu", size);
    }
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__graph_verify(graph, &result));
    rhumb_verify_report filled = {
        .size = size,
        .chunk_count = result.chunk_count,
        .checksum_error_count = result.checksum_error_count,
        .node_count = result.node_count,
        .link_count = result.link_count,
        .structure_error_count = result.structure_error_count,
        .unreachable_count = result.unreachable_count,
    };
    memcpy(filled.first_error, result.first_error, sizeof filled.first_error);
    memcpy(report, &filled, size < sizeof filled ? size : sizeof filled);
    if (result.checksum_error_count + result.structure_error_count > 0) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, graph->store->path, RHUMB_OFFSET_NONE, "%s", result.first_error);
    }
done:
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}
