/* source_rows.c - see source_rows.h. Owns one row. Takes no lock. */
#include "engine/upkeep/source_rows.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"
#include "engine/search/walk/read_ahead.h"
#include "storage/residency.h"

rhumb_status rhumb__source_rows_begin(rhumb__graph *graph, rhumb__source_rows *rows) {
    *rows = (rhumb__source_rows){.graph = graph, .reads_file = rhumb__store_exceeds_memory(graph->store)};
    rows->row = rhumb__alloc_aligned(graph->space.row_stride_bytes, 1, 64);
    return rows->row != NULL ? RHUMB_OK : rhumb__fail(RHUMB_E_NOMEM, "no memory for a vector");
}

void rhumb__source_rows_end(rhumb__source_rows *rows) {
    rhumb__free(rows->row);
    *rows = (rhumb__source_rows){0};
}

void rhumb__source_rows_ask(const rhumb__source_rows *rows, const uint32_t *slots, uint32_t count) {
    const void *asked[RHUMB__SOURCE_ROWS_ASKED];
    RHUMB_ASSERT_DEBUG(count <= RHUMB__SOURCE_ROWS_ASKED);
    if (!rows->reads_file) return;
    for (uint32_t i = 0; i < count; i++) asked[i] = rhumb__graph_vector(rows->graph, slots[i]);
    rhumb__read_ahead_rows(asked, count, rows->graph->space.row_bytes);
}

/* A node can be taken over only if the file has it completely. */
static rhumb_status check_node(const rhumb__graph *graph, uint32_t slot) {
    if ((rhumb__graph_node(graph, slot) & RHUMB__NODE_PRESENT) != 0) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_CORRUPT, graph->store->path, RHUMB_OFFSET_NONE,
                          "slot %u has no node; 'rhumb repair' builds a new index from what is intact", slot);
}

rhumb_status rhumb__source_rows_read(rhumb__source_rows *rows, uint32_t slot, const void **row_out) {
    rhumb_status status;
    const rhumb__graph *graph = rows->graph;
    const rhumb__section *vectors = &graph->sections[RHUMB__SECTION_VECTORS];
    RHUMB_TRY(check_node(graph, slot));
    *row_out = rhumb__graph_vector(graph, slot);
    if (!rows->reads_file) goto done;
    const uint64_t offset = slot * vectors->row_stride_bytes;
    RHUMB_TRY(
        rhumb__extent_list_read(&vectors->extents, graph->store->io, offset, vectors->row_stride_bytes, rows->row));
    const rhumb__extent part = rhumb__extent_list_run(&vectors->extents, offset, vectors->row_stride_bytes);
    rhumb__io_forget(graph->store->io, part.file_offset, part.bytes);
    *row_out = rows->row;
done:
    return status;
}
