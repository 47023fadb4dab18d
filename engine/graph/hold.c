/* hold.c - see hold.h.
 *
 * The number of holders is all the state there is. Release on the way down and acquire at zero: the thread that
 * destroys the graph sees the last reads of all others done (the usual argument for counted references). Locks: none.
 * Cannot fail.
 */
#include "engine/graph/hold.h"

#include "base/status.h"

void rhumb__graph_release(rhumb__graph *graph) {
    if (atomic_fetch_sub_explicit(&graph->holder_count, 1, memory_order_acq_rel) > 1) return;
    rhumb_error before;
    rhumb__error_save(&before);
    if (graph->rows_io != NULL) {
        rhumb__section_destroy(&graph->sections[RHUMB__SECTION_VECTORS]);
        rhumb__io_close(graph->rows_io);
    } else {
        rhumb__store_close(graph->store);
    }
    rhumb__graph_free(graph);
    rhumb__error_restore(&before);
}

void rhumb__graph_leave_rows(rhumb__graph *graph, rhumb__io *io) {
    graph->rows_io = io;
    rhumb__section_guard_by(&graph->sections[RHUMB__SECTION_VECTORS], io);
    graph->store = NULL; /* the writer's, or closed */
    graph->writer = NULL;
    rhumb__graph_release(graph);
}
