/* rebuild.c - see rebuild.h. Stateless. Locks: those of storing lists and of publishing.
 */
#include "engine/upkeep/rebuild.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/build/weave.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "storage/publish/publish.h"

/* Fused rows of one run: made, then written. */
#define RUN_BYTES (UINT64_C(16) << 20)

rhumb_status rhumb__rebuild_write_ahead(rhumb__graph *graph, bool whole_pieces, uint64_t *written_bytes) {
    rhumb__publication *publication = rhumb__alloc_zeroed(1, sizeof *publication);
    if (publication == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for writing ahead");
    rhumb__graph_set_next_rows(graph, &graph->counts);
    publication->whole_pieces = whole_pieces;
    const rhumb_status status = rhumb__store_write_ahead(graph->store, publication);
    *written_bytes += publication->written_bytes;
    rhumb__free(publication);
    return status;
}

rhumb_status rhumb__rebuild_weave(rhumb__graph *graph, uint32_t thread_count, uint64_t *written_bytes) {
    rhumb_status status = RHUMB_OK;
    const uint64_t count = graph->counts.slot_count;
    if (graph->params.lane_bits == 0) return RHUMB_OK;
    const uint64_t run_count = rhumb__max_u64(RUN_BYTES / graph->fused.row_bytes, 1);
    for (uint64_t at = 0; at < count; at += run_count) {
        const uint64_t end = rhumb__min_u64(at + run_count, count);
        RHUMB_TRY(rhumb__weave(graph, end, thread_count));
        RHUMB_TRY(rhumb__rebuild_write_ahead(graph, end < count, written_bytes));
    }
done:
    return status;
}

/* The node of the new graph that has the list for an old slot, or RHUMB__SLOT_NONE. */
static uint32_t new_head(const rhumb__rebuild_lists *lists, uint32_t old_slot) {
    if (old_slot >= lists->old_count || lists->map[old_slot] == RHUMB__SLOT_NONE) return RHUMB__SLOT_NONE;
    return rhumb__graph_head(lists->graph, lists->map[old_slot]);
}

void rhumb__rebuild_list(const rhumb__rebuild_lists *lists, uint32_t old_slot, const uint32_t *old_neighbours,
                         uint32_t count) {
    uint32_t mapped[RHUMB__M0_MAX];
    uint32_t mapped_count = 0;
    const uint32_t head = new_head(lists, old_slot);
    if (head == RHUMB__SLOT_NONE) return;
    const rhumb__list list = rhumb__graph_list(lists->graph, head, 0);
    if (rhumb__list_peek(&list, 0) != RHUMB__SLOT_NONE) return;
    for (uint32_t i = 0; i < count && mapped_count < list.capacity; i++) {
        const uint32_t slot = new_head(lists, old_neighbours[i]);
        if (slot == RHUMB__SLOT_NONE || slot == head || rhumb__slots_contain(mapped, mapped_count, slot)) continue;
        mapped[mapped_count++] = slot;
    }
    (void)rhumb__list_exchange(&list, NULL, 0, mapped, mapped_count); /* the list is empty, so this succeeds */
    const bool complete = mapped_count == count && (count > 0 || lists->graph->counts.slot_count == 1);
    if (complete) {
        lists->incomplete[head / 64] &= ~(UINT64_C(1) << (head % 64));
    } else if (lists->before_counts != NULL) {
        lists->before_counts[head] = (uint16_t)rhumb__min_u64(count, UINT16_MAX);
    }
}
