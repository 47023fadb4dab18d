/* query.c - see query.h. The query belongs to the scratch, and is kept for its next user. Takes no lock.
 */
#include "engine/search/walk/query.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"

#define QUERY_ALIGNMENT 64u

/* Bytes of a row that are prefetched as soon as its slot is known. Kernels themselves run ahead, of vectors within the
 * row, of codes to the next ones, so more than the beginning would only fill the queue of outstanding loads. Short rows
 * end before a kernel is up to speed. */
#define PREFETCH_BYTES_SHORT 256u
#define PREFETCH_BYTES_LONG 128u
#define SHORT_ROW_BYTES 1024u

static rhumb_status make_room(uint8_t **query, uint32_t *query_bytes, uint32_t bytes) {
    if (bytes <= *query_bytes) return RHUMB_OK;
    uint8_t *room = rhumb__alloc_aligned(bytes, 1, QUERY_ALIGNMENT);
    if (room == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a query of %u bytes", bytes);
    rhumb__free(*query);
    *query = room;
    *query_bytes = bytes;
    return RHUMB_OK;
}

/* Makes room for a query, if the graph has vectors to measure from it, and chooses the kernels of the metric. */
static rhumb_status query_prepare(rhumb__scratch *scratch, const rhumb__graph *graph) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(graph != NULL); /* the scratch is taken */
    RHUMB_TRY(rhumb__graph_check_vectors(graph));
    RHUMB_TRY(make_room(&scratch->query, &scratch->query_bytes, graph->space.row_bytes));
    if (graph->coded) RHUMB_TRY(make_room(&scratch->code_query, &scratch->code_query_bytes, graph->coder.query_bytes));
    if (graph->coded && graph->params.lane_bits != 0) {
        RHUMB_TRY(make_room(&scratch->row_query, &scratch->row_query_bytes, graph->fused.query_bytes));
    }
    scratch->kernels = (rhumb__kernels){graph->space.distance, graph->space.distance_many};
    rhumb__query_use_vectors(scratch);
done:
    return status;
}

rhumb_status rhumb__query_set_vector(rhumb__scratch *scratch, const void *vector) {
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const rhumb_status status = query_prepare(scratch, graph);
    return status == RHUMB_OK ? rhumb__space_prepare(&graph->space, vector, scratch->query) : status;
}

rhumb_status rhumb__query_set_row(rhumb__scratch *scratch, const void *row) {
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const rhumb_status status = query_prepare(scratch, graph);
    if (status == RHUMB_OK) memcpy(scratch->query, row, graph->space.row_bytes);
    return status;
}

void rhumb__query_use_link_distance(rhumb__scratch *scratch) {
    scratch->kernels = rhumb__scratch_graph(scratch)->space.link;
}

/* ---- what is measured ---- */

static void measure_section(rhumb__scratch *scratch, uint32_t section_id, uint32_t row_bytes) {
    const rhumb__section *section = &rhumb__scratch_graph(scratch)->sections[section_id];
    const uint32_t prefetch_bytes = row_bytes <= SHORT_ROW_BYTES ? PREFETCH_BYTES_SHORT : PREFETCH_BYTES_LONG;
    scratch->measured = (rhumb__measured){.rows = section->base,
                                          .section_id = section_id,
                                          .stride_bytes = section->row_stride_bytes,
                                          .row_bytes = row_bytes,
                                          .prefetch_bytes = (uint32_t)rhumb__min_u64(prefetch_bytes, row_bytes),
                                          .coded = section_id == RHUMB__SECTION_CODES};
}

void rhumb__query_use_vectors(rhumb__scratch *scratch) {
    measure_section(scratch, RHUMB__SECTION_VECTORS, rhumb__scratch_graph(scratch)->space.row_bytes);
}

bool rhumb__query_use_codes(rhumb__scratch *scratch) {
    const rhumb__graph *graph = rhumb__scratch_graph(scratch);
    const rhumb__coder *coder = &graph->coder;
    if (!graph->coded || scratch->kernels.distance_many != graph->space.distance_many) return false;
    coder->encoders.prepare(coder, scratch->query, scratch->code_query);
    measure_section(scratch, RHUMB__SECTION_CODES, coder->code_bytes);
    return true;
}

bool rhumb__query_use_rows(rhumb__scratch *scratch) {
    const bool coded = rhumb__query_use_codes(scratch);
    scratch->measured.fused = coded;
    return coded;
}
