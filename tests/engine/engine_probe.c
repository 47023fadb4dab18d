/* engine_probe.c - see engine_probe.h. Holds no state of its own; locking and failures are those of the functions
 * called.
 */
#include "tests/engine/engine_probe.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/build/bulk/points.h"
#include "engine/build/insert.h"
#include "engine/build/link.h"
#include "engine/build/place.h"
#include "engine/build/removal.h"
#include "engine/build/remove.h"
#include "engine/graph/active.h"
#include "engine/graph/key_table.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "engine/graph/tombstones.h"
#include "engine/open.h"
#include "engine/search/search.h"
#include "engine/search/walk/group.h"
#include "engine/search/walk/query.h"
#include "engine/search/walk/read_ahead.h"
#include "engine/search/walk/walk.h"
#include "engine/upkeep/compact/order.h"
#include "storage/page_map.h"

rhumb_status probe_ensure_room(rhumb__graph *graph, uint64_t slot_count) {
    rhumb__mutex_lock(&graph->append_lock);
    const rhumb_status status = rhumb__graph_ensure_room(graph, slot_count, 0);
    rhumb__mutex_unlock(&graph->append_lock);
    return status;
}

rhumb_status probe_ensure_room_unlocked(rhumb__graph *graph, uint64_t slot_count) {
    return rhumb__graph_ensure_room(graph, slot_count, 0);
}

uint64_t probe_node(const rhumb__graph *graph, uint32_t slot) { return rhumb__graph_node(graph, slot); }

uint32_t probe_active_claim(rhumb__graph *graph) { return rhumb__active_claim(graph); }

void probe_active_leave(rhumb__graph *graph, uint32_t entry) { rhumb__active_leave(graph, entry); }

void probe_set_next_rows_to_none(rhumb__graph *graph) {
    const rhumb__counts none = {0};
    rhumb__graph_set_next_rows(graph, &none);
}

rhumb_status probe_graph_create(const char *path, const rhumb__params *params, uint64_t slot_count,
                                rhumb__graph **graph_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    RHUMB_TRY(rhumb__engine_create(path, params, &options, 1, &graph));
    RHUMB_TRY(probe_ensure_room(graph, slot_count));
    atomic_store(&graph->slot_limit, slot_count);
    *graph_out = graph;
    graph = NULL;
done:
    rhumb__engine_close(graph);
    return status;
}

void probe_graph_close(rhumb__graph *graph) { rhumb__engine_close(graph); }

rhumb_status probe_key_add(rhumb__graph *graph, uint64_t key, uint32_t slot, uint64_t key_count) {
    rhumb_status status;
    rhumb__key_table *table = &graph->key_table;
    rhumb__key_place place;
    rhumb__key_table_lock(table, key, &place);
    if (rhumb__key_table_find_locked(table, &place, key) != RHUMB__SLOT_NONE) {
        status = rhumb__fail(RHUMB_E_EXISTS, "key %llu", (unsigned long long)key);
        goto done;
    }
    RHUMB_TRY(rhumb__key_table_reserve(table, &place));
    *(uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], slot) = key;
    rhumb__key_table_add(table, &place, slot);
done:
    rhumb__key_table_unlock(table, &place);
    if (status == RHUMB_OK) rhumb__key_table_grow(table, key_count);
    return status;
}

uint32_t probe_key_find(rhumb__graph *graph, uint64_t key) { return rhumb__key_table_find(&graph->key_table, key); }

uint64_t probe_key_salt(const rhumb__graph *graph) { return graph->key_table.salt; }

uint64_t probe_key_bucket_count(rhumb__graph *graph) { return atomic_load(&graph->key_table.bucket_count); }

uint64_t probe_key_overflow_count(rhumb__graph *graph) { return graph->key_table.overflow_count; }

uint64_t probe_key_bucket(uint64_t hash, uint64_t bucket_count) { return rhumb__key_table_bucket(hash, bucket_count); }

uint64_t probe_key_row_count(rhumb__graph *graph, uint64_t hash) {
    const rhumb__key_table *table = &graph->key_table;
    const uint64_t bucket = rhumb__key_table_bucket(hash, atomic_load(&table->bucket_count));
    const rhumb__key_bucket *row = NULL;
    uint64_t hop = 0;
    while ((row = rhumb__key_table_row(table, bucket, row, hop)) != NULL) hop++;
    return hop;
}

void probe_key_close_circle(rhumb__graph *graph, uint64_t hash, uint64_t hop) {
    const rhumb__key_table *table = &graph->key_table;
    const uint64_t bucket = rhumb__key_table_bucket(hash, atomic_load(&table->bucket_count));
    const rhumb__key_bucket *row = NULL;
    const rhumb__key_bucket *last = NULL;
    uint32_t next = 0;
    for (uint64_t i = 0; (row = rhumb__key_table_row(table, bucket, row, i)) != NULL; i++) {
        if (i + 1 == hop) next = row->next;
        last = row;
    }
    ((rhumb__key_bucket *)last)->next = next;
}

void probe_key_table_hold(rhumb__graph *graph, uint64_t slot_limit) {
    rhumb__mutex_lock(&graph->key_table.split_lock);
    rhumb__rwlock_wrlock(&graph->removal_lock);
    rhumb__removals_defer(graph, slot_limit);
    rhumb__rwlock_unlock(&graph->removal_lock);
}

void probe_key_table_release(rhumb__graph *graph) {
    rhumb__removals_catch_up(graph);
    rhumb__key_table_grow_fully(&graph->key_table, rhumb__graph_slot_count(graph));
    rhumb__mutex_unlock(&graph->key_table.split_lock);
}

void probe_list_clear(rhumb__graph *graph, uint32_t row) {
    const rhumb__list list = rhumb__graph_list(graph, row, 0);
    rhumb__list_clear(&list);
}

bool probe_list_exchange(rhumb__graph *graph, uint32_t row, const uint32_t *before, uint32_t before_count,
                         const uint32_t *slots, uint32_t slot_count) {
    const rhumb__list list = rhumb__graph_list(graph, row, 0);
    return rhumb__list_exchange(&list, before, before_count, slots, slot_count);
}

uint32_t probe_list_read(rhumb__graph *graph, uint32_t row, uint32_t *slots) {
    const rhumb__list list = rhumb__graph_list(graph, row, 0);
    return rhumb__list_read(&list, slots);
}

const uint32_t *probe_list_row(rhumb__graph *graph, uint32_t row, uint32_t *place_count_out) {
    const rhumb__section *lists0 = &graph->sections[RHUMB__SECTION_LISTS0];
    *place_count_out = (uint32_t)(lists0->row_stride_bytes / sizeof(uint32_t));
    return rhumb__section_row(lists0, row);
}

bool probe_list_is_dirty(rhumb__graph *graph, uint32_t row) {
    return !rhumb__unit_set_is_empty(&rhumb__section_chunk(&graph->sections[RHUMB__SECTION_LISTS0], row)->dirty);
}

uint64_t probe_key(const rhumb__graph *graph, uint32_t slot) { return rhumb__graph_key(graph, slot); }

uint32_t probe_anchor(const rhumb__graph *graph, uint32_t slot) { return rhumb__graph_anchor(graph, slot); }

bool probe_is_copy(const rhumb__graph *graph, uint32_t slot) { return rhumb__graph_is_copy(graph, slot); }

uint32_t probe_copies(const rhumb__graph *graph, uint32_t slot, uint32_t *copies, uint32_t capacity) {
    uint32_t count = 0;
    rhumb__copies chain = rhumb__copies_of(graph, slot);
    while (count < capacity && rhumb__copies_next(graph, &chain, UINT64_MAX, &copies[count])) count++;
    return count;
}

void probe_share_chain(rhumb__graph *graph, uint32_t slot, uint32_t with) {
    atomic_store(&rhumb__graph_tie(graph, slot)->next_copy, atomic_load(&rhumb__graph_tie(graph, with)->next_copy));
}

uint32_t probe_group(const rhumb__graph *graph, uint32_t slot, uint64_t *followed_count) {
    uint32_t count = 0;
    uint32_t copy;
    rhumb__copies chain = rhumb__group_copies(graph, slot, *followed_count);
    while (rhumb__group_next(graph, &chain, UINT64_MAX, followed_count, &copy)) count++;
    return count;
}

struct probe_user {
    rhumb__graph *graph;
    rhumb__scratch_pool pool;
    rhumb__scratch *scratch;
    rhumb__link_node node;
    rhumb__link_found found; /* of the insert that is done in steps */
};

probe_user *probe_user_new(rhumb__graph *graph) {
    probe_user *user = rhumb__alloc_zeroed(1, sizeof *user);
    if (user == NULL) return NULL;
    user->graph = graph;
    rhumb__scratch_pool_init(&user->pool, graph);
    if (rhumb__scratch_take(&user->pool, &user->scratch) == RHUMB_OK) return user;
    rhumb__free(user);
    return NULL;
}

void probe_user_free(probe_user *user) {
    rhumb__scratch_give(user->scratch);
    rhumb__scratch_pool_destroy(&user->pool);
    rhumb__free(user);
}

rhumb_status probe_user_insert(probe_user *user, uint64_t key, const void *vector) {
    rhumb_status status = rhumb__query_set_vector(user->scratch, vector);
    rhumb__insertion insertion = {.key = key};
    return status == RHUMB_OK ? rhumb__graph_insert(user->graph, user->scratch, &insertion) : status;
}

rhumb_status probe_user_upsert(probe_user *user, uint64_t key, const void *vector) {
    rhumb_status status = rhumb__query_set_vector(user->scratch, vector);
    rhumb__insertion insertion = {.key = key, .replace = true};
    return status == RHUMB_OK ? rhumb__graph_insert(user->graph, user->scratch, &insertion) : status;
}

rhumb_status probe_delete(rhumb__graph *graph, uint64_t key) {
    uint64_t lsn = 0;
    return rhumb__graph_delete(graph, key, &lsn);
}

rhumb_status probe_user_begin_search(probe_user *user, const void *query) {
    rhumb_status status = rhumb__query_set_vector(user->scratch, query);
    return status == RHUMB_OK ? rhumb__scratch_prepare_search(user->scratch, 10) : status;
}

uint32_t probe_user_descend(probe_user *user) {
    uint32_t top;
    return rhumb__walk_descend(user->graph, user->scratch, 0, &top).slot;
}

rhumb_status probe_user_search(probe_user *user, const void *query, uint32_t k, uint32_t ef, uint64_t *keys,
                               uint64_t *found_count) {
    const rhumb__request request = {.query = query, .ef = ef};
    rhumb__answer answer = {.keys = keys, .capacity = k};
    const rhumb_status status = rhumb__search_run(user->scratch, &request, &answer);
    *found_count = answer.found_count;
    return status;
}

rhumb_status probe_link_publish(probe_user *user, uint64_t key, const void *vector) {
    rhumb_status status;
    rhumb__graph *graph = user->graph;
    RHUMB_TRY(rhumb__query_set_vector(user->scratch, vector));
    RHUMB_TRY(rhumb__link_prepare(graph, user->scratch));
    user->node.active = rhumb__active_claim(graph);
    RHUMB_TRY(rhumb__graph_place(graph, key, user->scratch->query, false));
    user->node.slot = (uint32_t)rhumb__graph_slot_count(graph) - 1;
    user->node.level = rhumb__node_level(rhumb__graph_node(graph, user->node.slot));
    rhumb__active_publish(graph, user->node.active, user->node.slot);
done:
    return status;
}

bool probe_link_search(probe_user *user) {
    (void)rhumb__scratch_extend(user->scratch);
    user->found = rhumb__link_search(user->graph, user->scratch, &user->node);
    return user->found.has_start;
}

bool probe_link_finish(probe_user *user, bool had_start) {
    user->found.has_start = had_start;
    return rhumb__link_finish(user->graph, user->scratch, &user->node, &user->found);
}

void probe_link_leave(probe_user *user) { rhumb__active_leave(user->graph, user->node.active); }

static void damage_lists(rhumb__graph *graph, uint64_t seed) {
    const uint64_t slot_count = rhumb__graph_slot_count(graph);
    for (uint64_t slot = 0; slot < slot_count; slot++) {
        const rhumb__list list = rhumb__graph_list(graph, (uint32_t)slot, 0);
        for (uint32_t i = 0; i < list.capacity; i++) {
            const uint64_t random = rhumb__mix64(seed + slot * RHUMB__M0_MAX + i);
            if (random % 4 != 0) continue;
            const uint32_t values[] = {(uint32_t)((random >> 8) % slot_count), (uint32_t)slot_count, UINT32_MAX - 1,
                                       RHUMB__SLOT_NONE};
            atomic_store_explicit(&list.slots[i], values[(random >> 4) % 4], memory_order_relaxed);
        }
    }
}

rhumb_status probe_order(const char *path, int kind, uint64_t damage_seed, uint32_t *order, uint64_t *count_out) {
    rhumb_status status;
    rhumb__graph *graph = NULL;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    RHUMB_TRY(rhumb__engine_open(path, &options, NULL, &graph));
    if (damage_seed != 0) damage_lists(graph, damage_seed);
    const rhumb__order_work work = {0};
    rhumb__order_counts counts;
    RHUMB_TRY(rhumb__order(graph, (rhumb__order_kind)kind, &work, order, &counts));
    *count_out = counts.count;
done:
    rhumb__engine_close(graph);
    return status;
}

void probe_read_ahead(const void *const *rows, uint32_t count, uint64_t row_bytes) {
    rhumb__read_ahead_rows(rows, count, row_bytes);
}

struct probe_visited {
    rhumb__visited set;
};

probe_visited *probe_visited_new(void) { return rhumb__alloc_zeroed(1, sizeof(probe_visited)); }

void probe_visited_free(probe_visited *visited) {
    rhumb__free(visited->set.words);
    rhumb__free(visited);
}

bool probe_visited_reserve(probe_visited *visited, uint64_t slot_limit) {
    return rhumb__visited_reserve(&visited->set, slot_limit) == RHUMB_OK;
}

void probe_visited_clear(probe_visited *visited) { rhumb__visited_clear(&visited->set); }

bool probe_visited_add(probe_visited *visited, uint32_t slot) { return rhumb__visited_add(&visited->set, slot); }

rhumb_status probe_bulk_heads(uint32_t dim, const float *vectors, uint32_t count, uint32_t *heads,
                              bool *all_have_one_code_out) {
    rhumb_status status;
    rhumb__space space;
    rhumb__bulk_points points = {0};
    rhumb__bulk_run run = {.thread_count = 1};
    const rhumb__space_spec spec = {.metric = RHUMB_METRIC_L2, .element = RHUMB_ELEMENT_F32, .dim = dim};
    RHUMB_TRY(rhumb__space_init(&space, &spec));
    const rhumb__bulk_source source = {.space = &space, .vectors = vectors, .count = count};
    RHUMB_TRY(rhumb__bulk_points_make(&source, &run, &points));
    memcpy(heads, points.heads, count * sizeof *heads);
    *all_have_one_code_out = true;
    for (uint32_t i = 1; i < count; i++) {
        if (memcmp(rhumb__bulk_code(&points, i), rhumb__bulk_code(&points, 0), points.coder.code_bytes) != 0)
            *all_have_one_code_out = false;
    }
done:
    rhumb__bulk_points_free(&points);
    return status;
}

rhumb__page_map *probe_page_map_new(void *base, uint64_t bytes) { return rhumb__page_map_new(base, bytes); }

void probe_page_map_free(rhumb__page_map *map) { rhumb__free(map); }

void probe_page_map_ask(rhumb__page_map *map, const void *address) {
    rhumb__page_map_set(map, address, RHUMB__PAGE_ASKED);
}

bool probe_page_map_look(rhumb__page_map *map, const void *address) { return rhumb__page_map_look(map, address); }

bool probe_page_map_is_present(rhumb__page_map *map, const void *address) {
    return rhumb__page_map_get(map, address) == RHUMB__PAGE_PRESENT;
}

bool probe_page_map_is_known(rhumb__page_map *map, const void *address) {
    return rhumb__page_map_get(map, address) != RHUMB__PAGE_UNKNOWN;
}

void probe_page_map_searched(rhumb__page_map *map) { rhumb__page_map_searched(map); }

rhumb__row_use *probe_row_use_new(void) { return rhumb__alloc_zeroed(1, sizeof(rhumb__row_use)); }

void probe_row_use_free(rhumb__row_use *use) { rhumb__free(use); }

void *probe_row_use_begin(rhumb__row_use *use, const void *reader) { return (void *)rhumb__row_use_begin(use, reader); }

void probe_row_use_end(void *count) { rhumb__row_use_end(count); }

bool probe_row_is_withdrawn(const rhumb__row_use *use, uint32_t slot) { return rhumb__row_is_withdrawn(use, slot); }

bool probe_rows_withdraw(rhumb__row_use *use, uint32_t first, uint32_t count, uint64_t wait_ns) {
    return rhumb__rows_withdraw(use, first, count, wait_ns);
}

void probe_rows_admit(rhumb__row_use *use) { rhumb__rows_admit(use); }
