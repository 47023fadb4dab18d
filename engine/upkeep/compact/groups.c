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

rhumb_status rhumb__groups_find(rhumb__groups *groups) {
    const uint64_t slot_count = groups->slot_count;
    groups->stand_ins = rhumb__alloc_zeroed(rhumb__max_u64(slot_count, 1), sizeof *groups->stand_ins);
    if (groups->stand_ins == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the heads of %llu slots", (unsigned long long)slot_count);
    }
    memset(groups->stand_ins, 0xFF, slot_count * sizeof *groups->stand_ins);
    for (uint64_t i = 0; i < slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__groups_leave_out(groups, slot)) continue;
        uint32_t *stand_in = &groups->stand_ins[rhumb__group_of(groups->graph, slot)];
        if (stand_in == &groups->stand_ins[slot] || *stand_in == RHUMB__SLOT_NONE) *stand_in = slot;
    }
    return RHUMB_OK;
}

/* Whether a slot is to lie behind the heads. */
static bool is_behind(const rhumb__groups *groups, uint32_t slot) {
    return !rhumb__groups_leave_out(groups, slot) && groups->stand_ins[rhumb__group_of(groups->graph, slot)] != slot;
}

/* Fills `order` from head_count on: a counting sort by the place of the head. `places` gets, by head, where the next
 * node of its group belongs. */
static uint64_t place_behind(const rhumb__groups *groups, uint32_t *order, uint64_t head_count, uint32_t *places) {
    uint64_t count = head_count;
    for (uint64_t i = 0; i < groups->slot_count; i++) {
        if (is_behind(groups, (uint32_t)i)) places[rhumb__group_of(groups->graph, (uint32_t)i)]++;
    }
    for (uint64_t i = 0; i < head_count; i++) {
        const uint32_t group_count = places[order[i]];
        places[order[i]] = (uint32_t)count;
        count += group_count;
    }
    for (uint64_t i = 0; i < groups->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (is_behind(groups, slot)) order[places[rhumb__group_of(groups->graph, slot)]++] = slot;
    }
    return count;
}

rhumb_status rhumb__groups_place(const rhumb__groups *groups, uint32_t *order, uint64_t head_count,
                                 uint64_t *count_out) {
    uint32_t *places = rhumb__alloc_zeroed(rhumb__max_u64(groups->slot_count, 1), sizeof *places);
    if (places == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for the copies of %llu slots",
                           (unsigned long long)groups->slot_count);
    }
    *count_out = place_behind(groups, order, head_count, places);
    for (uint64_t i = 0; i < head_count; i++) order[i] = groups->stand_ins[order[i]];
    rhumb__free(places);
    return RHUMB_OK;
}
