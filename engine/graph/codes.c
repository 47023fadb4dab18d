/* codes.c - see codes.h. The codes belong to their section; `coded` is set before other threads know the graph. Takes
 * no lock.
 */
#include "engine/graph/codes.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "distances/code/code.h"

/* Codes pay where they are at most half as long as vectors: docs/performance.md has the measurements. */
#define SHARE_MAX 0.5

uint32_t rhumb__codes_default_bits(const rhumb__space *space) {
    rhumb__coder coder;
    rhumb_error before;
    rhumb__error_save(&before);
    const rhumb_status status = rhumb__coder_init(&coder, space, 8);
    rhumb__error_restore(&before);
    if (status != RHUMB_OK) return 0;
    return coder.code_stride_bytes <= SHARE_MAX * space->row_stride_bytes ? 8 : 0;
}

rhumb_status rhumb__codes_init(rhumb__graph *graph, const char *path) {
    if (graph->params.code_bits == 0) return RHUMB_OK;
    const rhumb_status status = rhumb__coder_init(&graph->coder, &graph->space, graph->params.code_bits);
    if (status == RHUMB_OK || path == NULL) return status;
    rhumb_error cause;
    rhumb__error_save(&cause);
    return rhumb__fail_at(RHUMB_E_VERSION, path, RHUMB_OFFSET_NONE, "codes that are not known here: %s", cause.message);
}

void rhumb__codes_start(rhumb__graph *graph) {
    _Atomic uint64_t *row_count = &graph->derived_row_counts[RHUMB__SECTION_CODES];
    graph->coded =
        graph->params.code_bits != 0 && !graph->graph_only && atomic_load(row_count) >= graph->counts.slot_count;
    if (graph->coded && graph->writable) atomic_store(row_count, UINT64_MAX);
}

void rhumb__codes_write(rhumb__graph *graph, uint32_t slot, const void *row) {
    if (!graph->coded) return;
    const rhumb__coder *coder = &graph->coder;
    uint8_t *code = rhumb__section_row(&graph->sections[RHUMB__SECTION_CODES], slot);
    coder->encoders.encode(coder, row, code);
    memset(code + coder->code_bytes, 0, coder->code_stride_bytes - coder->code_bytes);
}
