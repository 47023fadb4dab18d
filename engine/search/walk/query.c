/* query.c - see query.h. The row belongs to the scratch, and is kept for its next user. Takes no lock.
 */
#include "engine/search/walk/query.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

#define QUERY_ALIGNMENT 64u

/* Makes room for a row, if the graph has vectors to measure from it, and chooses the kernels of the metric. */
static rhumb_status query_prepare(rhumb__scratch *scratch, const rhumb__graph *graph) {
    RHUMB_ASSERT_DEBUG(graph != NULL); /* the scratch is taken */
    const uint32_t bytes = graph->space.row_bytes;
    rhumb_status status = rhumb__graph_check_vectors(graph);
    scratch->kernels = (rhumb__kernels){graph->space.distance, graph->space.distance_many};
    if (status != RHUMB_OK || bytes <= scratch->query_bytes) return status;
    uint8_t *query = rhumb__alloc_aligned(bytes, 1, QUERY_ALIGNMENT);
    if (query == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a query of %u bytes", bytes);
    rhumb__free(scratch->query);
    scratch->query = query;
    scratch->query_bytes = bytes;
    return RHUMB_OK;
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
