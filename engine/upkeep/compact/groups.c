/* groups.c - see groups.h.
 *
 * Goes by what each copy says of its head, not by the chains: a damaged chain could be circular, or lack a copy.
 *
 * Owns its arrays for the length of one call. Locks: none.
 */
#include "engine/upkeep/compact/groups.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"

rhumb_status rhumb__groups_find(const rhumb__graph *graph, uint64_t slot_count, uint32_t **stand_ins_out) {
    uint32_t *stand_ins = rhumb__alloc_zeroed(rhumb__max_u64(slot_count, 1), sizeof *stand_ins);
    if (stand_ins == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the heads of %llu slots", (unsigned long long)slot_count);
    }
    memset(stand_ins, 0xFF, slot_count * sizeof *stand_ins);
    for (uint64_t i = 0; i < slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__graph_is_dead(graph, slot)) continue;
        const uint32_t head = rhumb__group_of(graph, slot);
        if (head == slot || stand_ins[head] == RHUMB__SLOT_NONE) stand_ins[head] = slot;
    }
    *stand_ins_out = stand_ins;
    return RHUMB_OK;
}

/* Whether a slot is to lie behind the heads. */
static bool is_behind(const rhumb__graph *graph, const uint32_t *stand_ins, uint32_t slot) {
    return !rhumb__graph_is_dead(graph, slot) && stand_ins[rhumb__group_of(graph, slot)] != slot;
}

/* Fills `order` from head_count on: a counting sort by the place of the head. `places` gets, by head, where the next
 * node of its group belongs. */
static uint64_t place_behind(const rhumb__graph *graph, uint64_t slot_count, const uint32_t *stand_ins, uint32_t *order,
                             uint64_t head_count, uint32_t *places) {
    uint64_t count = head_count;
    for (uint64_t i = 0; i < slot_count; i++) {
        if (is_behind(graph, stand_ins, (uint32_t)i)) places[rhumb__group_of(graph, (uint32_t)i)]++;
    }
    for (uint64_t i = 0; i < head_count; i++) {
        const uint32_t group_count = places[order[i]];
        places[order[i]] = (uint32_t)count;
        count += group_count;
    }
    for (uint64_t i = 0; i < slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (is_behind(graph, stand_ins, slot)) order[places[rhumb__group_of(graph, slot)]++] = slot;
    }
    return count;
}

rhumb_status rhumb__groups_place(const rhumb__graph *graph, uint64_t slot_count, const uint32_t *stand_ins,
                                 uint32_t *order, uint64_t head_count, uint64_t *count_out) {
    uint32_t *places = rhumb__alloc_zeroed(rhumb__max_u64(slot_count, 1), sizeof *places);
    if (places == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the copies of %llu slots", (unsigned long long)slot_count);
    }
    *count_out = place_behind(graph, slot_count, stand_ins, order, head_count, places);
    for (uint64_t i = 0; i < head_count; i++) order[i] = stand_ins[order[i]];
    rhumb__free(places);
    return RHUMB_OK;
}
