/* fused.c - see fused.h. The rows belong to their section. Takes no lock.
 */
#include "engine/graph/fused.h"

#include "base/status.h"

rhumb_status rhumb__fused_init(rhumb__graph *graph, const char *path) {
    if (graph->params.lane_bits == 0) return RHUMB_OK;
    const rhumb__fused_spec spec = rhumb__fused_spec_of(&graph->params);
    const rhumb_status status = rhumb__fused_layout_init(&graph->fused, &graph->space, &spec);
    if (status == RHUMB_OK || path == NULL) return status;
    rhumb_error cause;
    rhumb__error_save(&cause);
    return rhumb__fail_at(RHUMB_E_VERSION, path, RHUMB_OFFSET_NONE, "fused rows that are not known here: %s",
                          cause.message);
}

void rhumb__fused_start(rhumb__graph *graph) {
    if (graph->coded && graph->params.lane_bits != 0) return;
    atomic_store(&graph->derived_row_counts[RHUMB__SECTION_FUSED], 0);
}
