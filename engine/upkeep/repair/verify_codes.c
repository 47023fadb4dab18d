/* verify_codes.c - whether codes are those of their vectors; see verify.h. The same vector has the same code on every
 * processor, so they are compared byte by byte. Owns memory for one code. Locks: those of verify.c.
 */
#include "engine/upkeep/repair/verify_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/graph/codes.h"
#include "engine/graph/fused.h"

static rhumb_status check_codes(rhumb__verifier *v, uint8_t *expected) {
    rhumb_status status = RHUMB_OK;
    const rhumb__graph *graph = v->graph;
    const rhumb__coder *coder = &graph->coder;
    for (uint64_t i = 0; i < v->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        coder->encoders.encode(coder, rhumb__graph_vector(graph, slot), expected);
        if (memcmp(expected, rhumb__graph_code(graph, slot), coder->code_bytes) != 0) {
            rhumb__verify_note(v, "slot %u: its code is not that of its vector", slot);
        }
        const bool is_fused = i < rhumb__fused_count(graph);
        if (is_fused && memcmp(expected, rhumb__graph_fused(graph, slot), coder->code_bytes) != 0) {
            rhumb__verify_note(v, "slot %u: the code in its fused row is not that of its vector", slot);
        }
        RHUMB_TRY(rhumb__verify_advance(v, i + 1));
    }
done:
    return status;
}

rhumb_status rhumb__verify_codes(rhumb__verifier *v) {
    if (!v->graph->coded) return RHUMB_OK;
    uint8_t *expected = rhumb__alloc_zeroed(v->graph->coder.code_bytes, 1);
    if (expected == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a code");
    const rhumb_status status = check_codes(v, expected);
    rhumb__free(expected);
    return status;
}
