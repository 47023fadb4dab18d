/* neighbour_list.c - see neighbour_list.h.
 *
 * Invariant: a list that is not being changed has its entries first and RHUMB__SLOT_NONE after them. While it is being
 * changed, every place holds an old entry, a new entry, or RHUMB__SLOT_NONE.
 *
 * Locking: every store happens under the lock of the row's chunk, as storage/section.h requires; within it a list of
 * level 0 is marked as changed, under the lock of the mark's chunk.
 */
#include "engine/graph/neighbour_list.h"

#include "engine/graph/changed.h"
#include "engine/graph/ties.h"

static void store(const rhumb__list *list, uint32_t place, uint32_t slot) {
    /* Release pairs with the fence in rhumb__list_fence. */
    atomic_store_explicit(&list->slots[place], slot, memory_order_release);
}

void rhumb__list_clear(const rhumb__list *list) {
    RHUMB_ASSERT_DEBUG(list->slots != NULL && list->row < atomic_load(&list->section->row_capacity));
    rhumb__section_lock(list->section, list->row);
    rhumb__section_mark_dirty(list->section, list->row);
    /* To the end of the row, also past the capacity: so the row can be read without knowing the capacity. */
    const uint32_t place_count = (uint32_t)(list->section->row_stride_bytes / sizeof(uint32_t));
    for (uint32_t i = 0; i < place_count; i++) store(list, i, RHUMB__SLOT_NONE);
    rhumb__section_unlock(list->section, list->row);
}

static bool holds_exactly(const rhumb__list *list, const uint32_t *slots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load_explicit(&list->slots[i], memory_order_relaxed) != slots[i]) return false;
    }
    return count == list->capacity ||
           atomic_load_explicit(&list->slots[count], memory_order_relaxed) == RHUMB__SLOT_NONE;
}

/* The stores of an exchange. First, every place that loses its entry gets a new one. If more places are left than new
 * entries, the last entries of the list move into them, so that no hole remains. */
static void apply_difference(const rhumb__list *list, const uint32_t *before, uint32_t before_count,
                             const uint32_t *slots, uint32_t slot_count) {
    uint32_t row[RHUMB__M0_MAX];
    for (uint32_t i = 0; i < before_count; i++) row[i] = before[i];
    uint32_t end = before_count;
    uint32_t place = 0;
    for (uint32_t i = 0; i < slot_count; i++) {
        if (rhumb__slots_contain(before, before_count, slots[i])) continue;
        while (place < before_count && rhumb__slots_contain(slots, slot_count, before[place])) place++;
        /* Places run out only in a list with duplicates, from a damaged file; the remaining slots are not linked. */
        if (place == before_count && end == list->capacity) break;
        const uint32_t target = place < before_count ? place++ : end++;
        row[target] = slots[i];
        store(list, target, slots[i]);
    }
    for (; place < end; place++) {
        if (rhumb__slots_contain(slots, slot_count, row[place])) continue;
        while (end > place + 1 && !rhumb__slots_contain(slots, slot_count, row[end - 1]))
            store(list, --end, RHUMB__SLOT_NONE);
        if (end > place + 1) {
            row[place] = row[end - 1];
            store(list, place, row[place]);
        }
        store(list, --end, RHUMB__SLOT_NONE);
    }
}

#ifndef NDEBUG
/* Whether what an exchange adds to a list is there once, is not the node itself, and can exist. Of the entries that
 * stay this need not be true: in a damaged file they may be anything. */
static bool additions_are_sound(const rhumb__list *list, const uint32_t *before, uint32_t before_count,
                                const uint32_t *slots, uint32_t slot_count) {
    const bool row_is_slot = list->section->spec.id == RHUMB__SECTION_LISTS0;
    for (uint32_t i = 0; i < slot_count; i++) {
        if (rhumb__slots_contain(before, before_count, slots[i])) continue;
        if (rhumb__slots_contain(slots, i, slots[i]) || slots[i] >= RHUMB__SLOT_LIMIT) return false;
        if (row_is_slot && (slots[i] == list->row || slots[i] >= atomic_load(&list->section->row_capacity)))
            return false;
    }
    return true;
}

static bool has_duplicates(const uint32_t *slots, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        if (rhumb__slots_contain(slots, i, slots[i])) return true;
    }
    return false;
}

/* Whether the list has no duplicates, and nothing after its end. */
static bool is_sound(const rhumb__list *list) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t count = rhumb__list_read(list, slots);
    for (uint32_t i = count; i < list->capacity; i++) {
        if (rhumb__list_peek(list, i) != RHUMB__SLOT_NONE) return false;
    }
    return !has_duplicates(slots, count);
}

/* Whether the list holds exactly these slots, in any order. */
static bool holds_set(const rhumb__list *list, const uint32_t *slots, uint32_t slot_count) {
    uint32_t found[RHUMB__M0_MAX];
    const uint32_t found_count = rhumb__list_read(list, found);
    for (uint32_t i = 0; i < found_count; i++) {
        if (!rhumb__slots_contain(slots, slot_count, found[i])) return false;
    }
    return found_count == slot_count;
}
#endif

/* Changes the list; the debug asserts hold it to invariant 3 of graph.h unless a damaged file has broken that
 * before. */
static void alter(const rhumb__list *list, const uint32_t *before, uint32_t before_count, const uint32_t *slots,
                  uint32_t slot_count) {
#ifndef NDEBUG
    const bool was_sound = is_sound(list);
    RHUMB_ASSERT_DEBUG(additions_are_sound(list, before, before_count, slots, slot_count));
#endif
    /* On level 0 a row is a slot. */
    if (list->section->spec.id == RHUMB__SECTION_LISTS0) rhumb__changed_set(list->graph, (uint32_t)list->row);
    rhumb__section_mark_dirty(list->section, list->row);
    apply_difference(list, before, before_count, slots, slot_count);
    RHUMB_ASSERT_DEBUG(!was_sound || (is_sound(list) && holds_set(list, slots, slot_count)));
}

bool rhumb__list_exchange(const rhumb__list *list, const uint32_t *before, uint32_t before_count, const uint32_t *slots,
                          uint32_t slot_count) {
    RHUMB_ASSERT_DEBUG(before_count <= list->capacity && slot_count <= list->capacity);
    rhumb__section_lock(list->section, list->row);
    const bool unchanged = holds_exactly(list, before, before_count);
    if (unchanged) alter(list, before, before_count, slots, slot_count);
    rhumb__section_unlock(list->section, list->row);
    return unchanged;
}

/* On level 0 a row is a slot. */
static bool drops_tied(const rhumb__graph *graph, uint32_t slot, const rhumb__list_change *change) {
    const uint64_t slot_limit = atomic_load_explicit(&graph->slot_limit, memory_order_acquire);
    for (uint32_t i = 0; i < change->dropped_count; i++) {
        const uint32_t neighbour = change->dropped[i];
        /* A damaged file may have anything in a list, also the node itself. */
        if (neighbour >= slot_limit || neighbour == slot) continue;
        if (rhumb__graph_are_tied(graph, slot, neighbour)) return true;
    }
    return false;
}

bool rhumb__list_prune(const rhumb__graph *graph, const rhumb__list *list, const rhumb__list_change *change) {
    RHUMB_ASSERT_DEBUG(list->section->spec.id == RHUMB__SECTION_LISTS0);
    RHUMB_ASSERT_DEBUG(change->before_count <= list->capacity && change->slot_count <= list->capacity);
    rhumb__section_lock(list->section, list->row);
    const bool unchanged =
        holds_exactly(list, change->before, change->before_count) && !drops_tied(graph, (uint32_t)list->row, change);
    if (unchanged) alter(list, change->before, change->before_count, change->slots, change->slot_count);
    rhumb__section_unlock(list->section, list->row);
    return unchanged;
}
