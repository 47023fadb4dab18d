/* verify_codes.c - whether codes are those of their vectors, and fused rows have what they are relied on for; see
 * verify.h. The same vector has the same code on every
 * processor, so they are compared byte by byte. Owns memory for one code. Locks: those of verify.c.
 */
#include "engine/upkeep/repair/verify_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "engine/graph/changed.h"
#include "engine/graph/codes.h"
#include "engine/graph/fused.h"
#include "engine/graph/neighbour_list.h"

/* Whether a fused row has a lane for a slot. */
static bool has_lane(const rhumb__graph *graph, const void *row, uint32_t slot) {
    const uint32_t lane_count = rhumb__fused_counts_of(&graph->fused, row).lane_count;
    for (uint32_t i = 0; i < lane_count; i++) {
        const uint32_t *slots = rhumb__fused_slots(&graph->fused, row, i / RHUMB__LANES_PER_BLOCK);
        if (slots[i % RHUMB__LANES_PER_BLOCK] == slot) return true;
    }
    return false;
}

/* Checks that a list which is not marked as changed has no neighbours but those of the fused row. Its mark is read
 * after the list, since it is set before the list changes. */
static void check_mark(rhumb__verifier *v, uint32_t slot) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t count = rhumb__graph_neighbours(v->graph, slot, v->slot_count, slots);
    if (rhumb__changed_is_set(v->graph, slot)) return;
    const void *row = rhumb__graph_fused(v->graph, slot);
    for (uint32_t i = 0; i < count; i++) {
        if (has_lane(v->graph, row, slots[i])) continue;
        rhumb__verify_note(v, "slot %u: neighbour %u is not in its fused row, and the list is not marked as changed",
                           slot, slots[i]);
        return;
    }
}

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
        if (is_fused) check_mark(v, slot);
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
