/* inspect.c - statistics and verification: what the engine counts, in the structs of the interface.
 *
 * Locking: each group of statistics is read under the lock that guards it (store.stats_lock, append_lock, stats_lock),
 * one at a time, so groups may be of slightly different moments. None of these is held for long: statistics wait for no
 * checkpoint. Verifying a handle that writes is the writer's work.
 */
#include <stdio.h>
#include <string.h>

#include "api/handle.h"
#include "api/options.h"
#include "base/cpu.h"
#include "base/status.h"
#include "engine/build/writer.h"
#include "engine/graph/changed.h"
#include "engine/graph/fused.h"
#include "engine/graph/unlinked.h"
#include "engine/upkeep/repair/verify.h"
#include "storage/address_space.h"
#include "storage/residency.h"
#include "storage/store_log.h"
#include "storage/store_stats.h"
#include "storage/warm_up.h"

static void fill_store(rhumb__store *store, rhumb_index_stats *stats) {
    const rhumb__store_stats found = rhumb__store_stats_get(store);
    stats->format_version = found.format_version;
    stats->creator_version = found.creator_version;
    memcpy(stats->uuid, found.uuid, sizeof stats->uuid);
    stats->created_unix_ns = found.created_unix_ns;
    stats->epoch = found.epoch;
    stats->file_bytes = found.file_bytes;
    stats->file_free_bytes = found.file_free_bytes;
    stats->mapping_count = found.mapping_count;
    snprintf(stats->io_backend, sizeof stats->io_backend, "%s", store->io->backend->name);
    const rhumb__warm_up_progress warm_up = rhumb__warm_up_progress_of(store);
    stats->warm_up_total_bytes = warm_up.total_bytes;
    stats->warm_up_done_bytes = warm_up.done_bytes;
    stats->cold = rhumb__store_is_cold(store);
}

/* Asks the kernel alone: looking for the processes would take longer. */
static void fill_pins(const rhumb__graph *graph, rhumb_index_stats *stats) {
    rhumb_error before;
    rhumb__store_pin pins[RHUMB_INFO_PIN_COUNT_MAX];
    rhumb__store *store = graph->store;
    const uint64_t own_epoch = store->writable ? 0 : store->superblock.epoch; /* a reader's does not change */
    rhumb__error_save(&before);
    if (rhumb__file_pins(store->io, NULL, own_epoch, pins, RHUMB_INFO_PIN_COUNT_MAX, &stats->pin_count) != RHUMB_OK) {
        rhumb__error_restore(&before); /* a file system without such locks */
    }
    if (stats->pin_count > 0) stats->pin_epoch_oldest = pins[0].epoch;
}

static void fill_graph(rhumb__graph *graph, rhumb_index_stats *stats) {
    rhumb__mutex_lock(&graph->append_lock);
    stats->slot_count = graph->counts.slot_count;
    stats->key_next = graph->counts.key_next;
    memcpy(stats->level_counts, graph->counts.level_counts, sizeof stats->level_counts);
    const int32_t top = rhumb__graph_level_top(graph);
    /* Under the lock, so that it never exceeds slot_count. */
    stats->count = rhumb__graph_live_count(graph);
    rhumb__mutex_unlock(&graph->append_lock);
    stats->level_top = top < 0 ? 0 : (uint32_t)top;
    stats->unlinked_count = rhumb__unlinked_count(graph);
}

static void fill_rows(const rhumb__graph *graph, rhumb_index_stats *stats) {
    stats->fused_row_count = rhumb__fused_count(graph);
    stats->fused_stale_count = rhumb__changed_count(graph);
    stats->fused_renewed_count = atomic_load_explicit(&graph->renewed_count, memory_order_relaxed);
}

static void fill_work(rhumb__writer *writer, rhumb_index_stats *stats) {
    rhumb__mutex_lock(&writer->stats_lock);
    const rhumb__checkpoint_stats checkpoints = writer->checkpoint_stats;
    const rhumb__compaction_stats compactions = writer->compaction_stats;
    rhumb__mutex_unlock(&writer->stats_lock);
    stats->checkpoint_count = checkpoints.count;
    stats->checkpoint_bytes = checkpoints.bytes;
    stats->checkpoint_ns = checkpoints.ns;
    stats->checkpoint_pause_ns = checkpoints.pause_ns;
    stats->checkpoint_pause_max_ns = checkpoints.pause_max_ns;
    stats->checkpoint_failed_count = checkpoints.failed_count;
    memcpy(stats->checkpoint_failure, checkpoints.failure, sizeof stats->checkpoint_failure);
    stats->unreachable_count = checkpoints.unreachable_count;
    stats->unreachable_lsn = checkpoints.unreachable_lsn;
    stats->compacting = atomic_load(&writer->compacting);
    stats->compaction_count = compactions.count;
    stats->compaction_dropped_count = compactions.dropped_count;
    stats->compaction_carried_count = compactions.carried_count;
    stats->compaction_ns = compactions.ns;
    stats->compaction_pause_ns = compactions.pause_ns;
    stats->compaction_pause_max_ns = compactions.pause_max_ns;
    stats->compaction_delay_max_ns = compactions.delay_max_ns;
    stats->compaction_failed_count = compactions.failed_count;
    memcpy(stats->compaction_failure, compactions.failure, sizeof stats->compaction_failure);
}

static rhumb_status fill_log(rhumb__graph *graph, rhumb_index_stats *stats) {
    if (graph->writer == NULL) {
        rhumb__log_report report;
        bool newer = false;
        stats->lsn = stats->durable_lsn = graph->counts.lsn;
        rhumb_status status = rhumb__store_examine_log(graph->store, graph->counts.lsn, &report, &newer);
        if (status == RHUMB_OK) stats->log_pending_count = report.pending_count;
        return status;
    }
    const rhumb__log_stats log = rhumb__log_stats_get(graph->writer->log);
    stats->durability = graph->writer->options.durability;
    stats->lsn = rhumb__log_lsn(graph->writer->log);
    stats->durable_lsn = rhumb__log_durable_lsn(graph->writer->log);
    stats->log_bytes = log.bytes;
    stats->log_sync_count = log.sync_count;
    stats->log_synced_count = log.synced_count;
    return RHUMB_OK;
}

/* Whether a caller's struct of `size` bytes has a field. What it has not is not worth looking up. */
#define HAS(size, field) ((size) > offsetof(rhumb_index_stats, field))

rhumb_status rhumb_index_stats_get(rhumb_index *index, rhumb_index_stats *stats, size_t size) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__struct_check(stats, size, "stats"));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    rhumb_index_stats filled = {.size = size, .read_only = index->read_only};
    memcpy(filled.custom_name, graph->params.custom.name, sizeof filled.custom_name);
    fill_store(graph->store, &filled);
    fill_graph(graph, &filled);
    if (HAS(size, fused_row_count)) fill_rows(graph, &filled);
    if (HAS(size, pin_count)) fill_pins(graph, &filled);
    if (HAS(size, process_mapping_count)) filled.process_mapping_count = rhumb__process_mapping_count();
    if (graph->writer != NULL) fill_work(graph->writer, &filled);
    if (HAS(size, durability)) RHUMB_TRY(fill_log(graph, &filled));
    snprintf(filled.simd, sizeof filled.simd, "%s", rhumb__simd_name(rhumb__cpu_simd()));
    rhumb__struct_give(stats, size, &filled, sizeof filled);
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_index_options_get(rhumb_index *index, rhumb_index_options *options, size_t size) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__struct_check(options, size, "options"));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    rhumb_index_options filled = rhumb__options_from_params(&graph->params);
    filled.size = size;
    rhumb__struct_give(options, size, &filled, sizeof filled);
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_index_verify(rhumb_index *index, rhumb_verify_report *report, size_t size) {
    return rhumb_index_verify_with(index, NULL, report, size);
}

rhumb_status rhumb_index_verify_with(rhumb_index *index, const rhumb_verify_options *options,
                                     rhumb_verify_report *report, size_t size) {
    rhumb_status status;
    rhumb__progress progress;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__verify_result result;
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__struct_check(report, size, "report"));
    RHUMB_TRY(rhumb__verify_options_take(options, &progress));
    if (index->writer != NULL) {
        /* Without scratch memory: the check waits for a compaction, which waits until no call uses the old graph. */
        RHUMB_TRY(rhumb__writer_verify(index->writer, &progress, &result));
    } else {
        RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
        RHUMB_TRY(rhumb__graph_check_vectors(graph));
        RHUMB_TRY(rhumb__graph_verify(graph, &progress, &result));
    }
    rhumb_verify_report filled = {
        .size = size,
        .chunk_count = result.chunk_count,
        .checksum_error_count = result.checksum_error_count,
        .node_count = result.node_count,
        .link_count = result.link_count,
        .structure_error_count = result.structure_error_count,
        .unreachable_count = result.unreachable_count,
        .log_record_count = result.log_record_count,
        .log_error_count = result.log_error_count,
    };
    filled.warning_count = result.warning_count;
    memcpy(filled.first_error, result.first_error, sizeof filled.first_error);
    memcpy(filled.first_warning, result.first_warning, sizeof filled.first_warning);
    rhumb__struct_give(report, size, &filled, sizeof filled);
    if (result.checksum_error_count + result.structure_error_count + result.log_error_count > 0) {
        const rhumb__store *store = index->writer != NULL ? index->writer->store : graph->store;
        status = rhumb__fail_at(RHUMB_E_CORRUPT, store->path, RHUMB_OFFSET_NONE, "%s", result.first_error);
    }
done:
    return rhumb__handle_leave(scratch, status);
}
