/* place.c - see place.h.
 *
 * A slot, its upper rows and the counts are taken together under append_lock, so slots are allocated in order and never
 * twice. A failure leaves everything as it was. The node record is written last, with release order: a thread that sees
 * it can read all of the node.
 *
 * Locks: rhumb__graph_place takes the key's bucket, and within it append_lock.
 */
#include "engine/build/place.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "engine/build/link.h"
#include "engine/build/removal.h"
#include "engine/graph/active.h"
#include "engine/graph/codes.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/search/walk/query.h"

/* The level that follows from the slot. */
#define LEVEL_OF_SLOT UINT32_MAX

static rhumb_status allocate(rhumb__graph *graph, uint64_t key, uint32_t level_asked, rhumb__node_place *place_out) {
    rhumb__counts *counts = &graph->counts;
    const uint32_t slot = (uint32_t)counts->slot_count;
    const uint32_t level = level_asked == LEVEL_OF_SLOT ? rhumb__params_level(&graph->params, slot) : level_asked;
    RHUMB_ASSERT_DEBUG(level <= graph->params.level_max);
    rhumb__mutex_assert_held(&graph->append_lock);
    rhumb_status status = rhumb__graph_ensure_room(graph, counts->slot_count + 1, counts->upper_row_count + level);
    if (status != RHUMB_OK) return status;
    *place_out = (rhumb__node_place){slot, level, (uint32_t)counts->upper_row_count};
    counts->slot_count++;
    /* Release, as the lists that will name the slot are written: rhumb__graph_slot_count acquires. */
    atomic_store_explicit(&graph->slot_count, counts->slot_count, memory_order_release);
    counts->upper_row_count += level;
    counts->level_counts[level]++;
    if (key >= counts->key_next) counts->key_next = key == UINT64_MAX ? UINT64_MAX : key + 1;
    RHUMB_ASSERT_DEBUG(counts->slot_count <= atomic_load(&graph->slot_limit));
    return RHUMB_OK;
}

rhumb_status rhumb__place_allocate(rhumb__graph *graph, uint64_t key, rhumb__node_place *place_out) {
    return allocate(graph, key, LEVEL_OF_SLOT, place_out);
}

void rhumb__place_write(rhumb__graph *graph, const void *row, const rhumb__node_place *place) {
    RHUMB_ASSERT_DEBUG(place->slot < atomic_load(&graph->slot_limit));
    RHUMB_ASSERT_DEBUG((uint64_t)place->upper_row + place->level <= atomic_load(&graph->upper_row_limit));
    uint8_t *target = rhumb__section_row(&graph->sections[RHUMB__SECTION_VECTORS], place->slot);
    const uint32_t row_bytes = graph->space.row_bytes;
    memcpy(target, row, row_bytes);
    memset(target + row_bytes, 0, graph->space.row_stride_bytes - row_bytes);
    rhumb__codes_write(graph, place->slot, row);
    rhumb__node_record *record = rhumb__section_row(&graph->sections[RHUMB__SECTION_NODES], place->slot);
    const rhumb__list list0 = rhumb__graph_list(graph, place->slot, 0);
    rhumb__list_clear(&list0);
    rhumb__tie_clear(graph, place->slot);
    for (uint32_t i = 0; i < place->level; i++) {
        const uint64_t upper_row = (uint64_t)place->upper_row + i;
        const rhumb__list list = {graph, &graph->sections[RHUMB__SECTION_LISTS_UPPER], upper_row,
                                  rhumb__section_row(&graph->sections[RHUMB__SECTION_LISTS_UPPER], upper_row),
                                  graph->params.M};
        rhumb__list_clear(&list);
    }
    /* Release pairs with the acquire in rhumb__graph_node: a thread that sees the node present can read all of it. */
    atomic_store_explicit(record, rhumb__node_encode(place->upper_row, place->level), memory_order_release);
}

static rhumb_status place_node(rhumb__graph *graph, uint64_t key, const void *row, bool replace, uint32_t level_asked) {
    rhumb_status status;
    rhumb__key_place key_place;
    rhumb__node_place place;
    rhumb__key_table_lock(&graph->key_table, key, &key_place);
    const uint32_t replaced = rhumb__key_table_find_locked(&graph->key_table, &key_place, key);
    if (replaced != RHUMB__SLOT_NONE && !replace) {
        status = rhumb__fail(RHUMB_E_EXISTS, "key %llu is in the index already", (unsigned long long)key);
        goto done;
    }
    RHUMB_TRY(rhumb__key_table_reserve(&graph->key_table, &key_place));
    rhumb__mutex_lock(&graph->append_lock);
    status = allocate(graph, key, level_asked, &place);
    rhumb__mutex_unlock(&graph->append_lock);
    RHUMB_TRY(status);
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], place.slot) = key;
    rhumb__key_table_add(&graph->key_table, &key_place, place.slot);
    if (replaced != RHUMB__SLOT_NONE) rhumb__key_table_remove(&graph->key_table, &key_place, replaced);
    rhumb__place_write(graph, row, &place);
    atomic_fetch_add_explicit(&graph->finished_count, 1, memory_order_relaxed);
    if (replaced != RHUMB__SLOT_NONE) rhumb__removal_bury(graph, replaced);
done:
    rhumb__key_table_unlock(&graph->key_table, &key_place);
    if (status == RHUMB_OK) rhumb__key_table_grow(&graph->key_table, (uint64_t)place.slot + 1);
    return status;
}

rhumb_status rhumb__graph_place(rhumb__graph *graph, uint64_t key, const void *row, bool replace) {
    return place_node(graph, key, row, replace, LEVEL_OF_SLOT);
}

rhumb_status rhumb__graph_place_at(rhumb__graph *graph, uint64_t key, const void *row, uint32_t level) {
    return place_node(graph, key, row, false, level);
}

static rhumb_status link_written(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, bool as_head) {
    rhumb_status status;
    RHUMB_ASSERT_DEBUG(slot < atomic_load(&graph->slot_limit));
    RHUMB_TRY(rhumb__query_set_row(scratch, rhumb__graph_vector(graph, slot)));
    RHUMB_TRY(rhumb__link_prepare(graph, scratch));
    rhumb__link_node node = {.slot = slot,
                             .level = rhumb__node_level(rhumb__graph_node(graph, slot)),
                             .as_head = as_head,
                             .any_anchor = as_head};
    node.active = rhumb__active_claim(graph);
    rhumb__active_publish(graph, node.active, slot);
    rhumb__link(graph, scratch, &node);
    rhumb__active_leave(graph, node.active);
done:
    return status;
}

rhumb_status rhumb__graph_link_placed(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) {
    return link_written(graph, scratch, slot, false);
}

rhumb_status rhumb__graph_link_head(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot) {
    return link_written(graph, scratch, slot, true);
}
