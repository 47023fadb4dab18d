/* row_reader.c - see row_reader.h.
 *
 * A list that has not changed since its row was made is not read (graph/changed.h). A row's lane is right for the slot
 * that it names, whether that is still in the live list, was there, or has never been (fused_fill.h). Where the list is
 * read, neighbours that the row does not have at the place where the list has them are measured by their
 * codes: they are prefetched before the lanes are scanned, and measured after.
 *
 * Rows and lists come from a file: slots are compared with scratch->slot_limit, and what else rows say is only an
 * estimate. Takes no lock.
 */
#include "engine/search/walk/row_reader.h"

#include <math.h>

#include "base/assert.h"

static_assert(RHUMB__BATCH_MAX >= 2 * RHUMB__M0_MAX, "a batch holds a list and all lanes of a row");
static_assert(RHUMB__LIST_SPAN == RHUMB__LANES_PER_BLOCK, "a block is compared at once");

void rhumb__row_reader_begin(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__row_reader *reader) {
    RHUMB_ASSERT_DEBUG(rhumb__row_reader_pays(graph, scratch));
    *reader = (rhumb__row_reader){.graph = graph, .scratch = scratch, .row_count = rhumb__fused_count(graph)};
    rhumb__fused_prepare(&graph->fused, scratch->query, scratch->row_query, &reader->query);
    if (graph->writable) reader->use = rhumb__row_use_begin(&graph->row_use, scratch);
}

void rhumb__row_reader_end(rhumb__row_reader *reader) {
    if (reader->use != NULL) rhumb__row_use_end(reader->use);
    reader->use = NULL;
}

/* Takes a neighbour that is to be measured by its code, unless it has been visited. */
RHUMB__INLINE uint32_t take_unknown(rhumb__scratch *scratch, uint32_t slot, uint32_t count) {
    if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) return count;
    scratch->batch[count] = slot;
    scratch->rows[count] = rhumb__measure_prefetch(&scratch->measured, slot);
    return count + 1;
}

/* Takes the entries of the live list that the row does not have at their places. Returns how many. */
static uint32_t take_unknowns(const rhumb__row_reader *reader, uint32_t slot, const void *row, uint32_t block_count) {
    rhumb__scratch *scratch = reader->scratch;
    const rhumb__list list = rhumb__graph_list(reader->graph, slot, 0);
    uint32_t count = 0;
    uint32_t begin = 0;
    for (uint32_t block = 0; block < block_count; block++, begin += RHUMB__LANES_PER_BLOCK) {
        const uint32_t *slots = rhumb__fused_slots(&reader->graph->fused, row, block);
        uint32_t unknown = rhumb__list_differing(&list, begin, slots);
        for (; unknown != 0; unknown &= unknown - 1) {
            count = take_unknown(scratch, rhumb__list_peek(&list, begin + (uint32_t)__builtin_ctz(unknown)), count);
        }
    }
    for (; begin < list.capacity; begin++) {
        const uint32_t added = rhumb__list_peek(&list, begin);
        if (added == RHUMB__SLOT_NONE) break;
        count = take_unknown(scratch, added, count);
    }
    rhumb__list_fence();
    return count;
}

/* Appends the neighbours that the lanes of a block show to be within the bound to those taken before. */
RHUMB__INLINE uint32_t take_lanes(const rhumb__row_reader *reader, const rhumb__fused_node *node, uint32_t block,
                                  uint32_t count) {
    rhumb__scratch *scratch = reader->scratch;
    float estimates[RHUMB__LANES_PER_BLOCK];
    const uint32_t *slots = rhumb__fused_slots(&reader->graph->fused, node->row, block);
    uint32_t lanes = rhumb__fused_scan_block(&reader->query, node, block, estimates);
    for (; lanes != 0; lanes &= lanes - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(lanes);
        const uint32_t slot = slots[lane];
        if (slot >= scratch->slot_limit || rhumb__visited_add(&scratch->visited, slot)) continue;
        scratch->batch[count] = slot;
        scratch->distances[count++] = estimates[lane];
    }
    return count;
}

static uint32_t read_row(const rhumb__row_reader *reader, const rhumb__row_node *node) {
    rhumb__scratch *scratch = reader->scratch;
    const rhumb__fused_layout *layout = &reader->graph->fused;
    const void *row = rhumb__graph_fused(reader->graph, node->slot);
    const uint32_t block_count = rhumb__fused_block_count(rhumb__fused_counts_of(layout, row).lane_count);
    const rhumb__fused_node from = {row, node->distance, node->bound};
    if (block_count > 1) {
        rhumb__fused_prefetch((const char *)row + layout->first_bytes, (block_count - 1) * layout->block_stride_bytes);
    }
    /* A row without lanes may have been lost. */
    const bool needs_list = block_count == 0 || rhumb__row_reader_needs_list(reader, node->slot);
    const uint32_t unknown_count = needs_list ? take_unknowns(reader, node->slot, row, block_count) : 0;
    uint32_t count = unknown_count;
    for (uint32_t block = 0; block < block_count; block++) count = take_lanes(reader, &from, block, count);
    if (unknown_count > 0) rhumb__measure_rows(reader->graph, scratch, unknown_count);
    return count;
}

uint32_t rhumb__row_reader_neighbours(const rhumb__row_reader *reader, const rhumb__row_node *node) {
    rhumb__scratch *scratch = reader->scratch;
    if (rhumb__row_reader_has_row(reader, node->slot)) return read_row(reader, node);
    const rhumb__list list = rhumb__graph_list(reader->graph, node->slot, 0);
    const uint32_t count = rhumb__walk_gather(scratch, &list, &scratch->visited, scratch->slot_limit);
    rhumb__measure_rows(reader->graph, scratch, count);
    return count;
}
