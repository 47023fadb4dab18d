/* recall_store.c - see recall_store.h.
 *
 * graph->recall is the curve of the newest version. It is written under checkpoint_lock, or before other threads know
 * the graph, and read by any thread without a lock. While rhumb__recall_set makes its checkpoint, graph->recall_next
 * points to what the checkpoint publishes instead; checkpoint_lock guards it.
 */
#include "engine/durability/recall_store.h"

#include "base/status.h"
#include "engine/build/writer.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/metadata.h"

static_assert(RHUMB__RECALL_CLIENT_OFFSET + RHUMB__RECALL_CLIENT_BYTES == RHUMB__METADATA_CLIENT_OFFSET,
              "the curve ends where the metadata begin");

void rhumb__recall_load(rhumb__graph *graph) {
    rhumb__recall_curve curve;
    rhumb__recall_curve_decode(graph->store->superblock.client, &curve);
    rhumb__recall_cell_write(&graph->recall, &curve);
}

void rhumb__recall_encode(rhumb__graph *graph, uint8_t client[RHUMB__CLIENT_BYTES]) {
    rhumb__recall_curve curve;
    rhumb__recall_cell_read(&graph->recall, &curve);
    rhumb__recall_curve_encode(graph->recall_next != NULL ? graph->recall_next : &curve, client);
}

uint64_t rhumb__recall_lsn(rhumb__graph *graph) {
    const rhumb__writer *writer = graph->writer;
    return writer != NULL && writer->log != NULL ? rhumb__log_lsn(writer->log) : graph->counts.lsn;
}

static bool is_walked_alike(const rhumb__params *a, const rhumb__params *b) {
    return a->code_bits == b->code_bits && a->lane_bits == b->lane_bits;
}

void rhumb__recall_carry(rhumb__graph *graph, rhumb__graph *old) {
    rhumb__recall_curve curve;
    rhumb__recall_cell_read(&old->recall, &curve);
    if (!is_walked_alike(&graph->params, &old->params)) return;
    const uint64_t old_count = rhumb__graph_live_count(old), count = rhumb__graph_live_count(graph);
    const uint64_t left_out_count = old_count > count ? old_count - count : 0; /* by a filter, as if deleted */
    rhumb__recall_curve_carry(&curve, rhumb__recall_lsn(old) + left_out_count, rhumb__recall_lsn(graph));
    rhumb__recall_cell_write(&graph->recall, &curve);
}

rhumb_status rhumb__recall_set(rhumb__writer *writer, const rhumb__params *params, const rhumb__recall_curve *curve) {
    rhumb_status status;
    rhumb__mutex_lock(&writer->checkpoint_lock);
    rhumb__graph *graph = atomic_load(&writer->graph);
    if (!is_walked_alike(&graph->params, params)) {
        status = rhumb__fail(RHUMB_E_STALE, "a compaction has changed the codes or the fused rows of the index while "
                                            "its recall was measured; measure it again");
        goto done;
    }
    graph->recall_next = curve;
    status = rhumb__checkpoint_locked(writer);
    graph->recall_next = NULL;
    if (status == RHUMB_OK) rhumb__recall_cell_write(&graph->recall, curve);
done:
    rhumb__mutex_unlock(&writer->checkpoint_lock);
    return status;
}
