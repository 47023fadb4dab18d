/* engine_probe.h - the engine's inner parts as plain functions, for tests: its headers use C11 atomics, which C++17
 * does not know. Opaque handles, nothing but one call each.
 */
#ifndef RHUMB_TESTS_ENGINE_ENGINE_PROBE_H
#define RHUMB_TESTS_ENGINE_ENGINE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/graph/params.h"

typedef struct rhumb__graph rhumb__graph;

/* A new graph in a new file, with room for `slot_count` slots. No node is in it. */
rhumb_status probe_graph_create(const char *path, const rhumb__params *params, uint64_t slot_count,
                                rhumb__graph **graph_out) RHUMB_NODISCARD;
void probe_graph_close(rhumb__graph *graph);

/* ---- for tests of the debug asserts ---- */

rhumb_status probe_ensure_room(rhumb__graph *graph, uint64_t slot_count) RHUMB_NODISCARD;
/* The same without append_lock. */
rhumb_status probe_ensure_room_unlocked(rhumb__graph *graph, uint64_t slot_count) RHUMB_NODISCARD;
uint64_t probe_node(const rhumb__graph *graph, uint32_t slot);
uint32_t probe_active_claim(rhumb__graph *graph);
void probe_active_leave(rhumb__graph *graph, uint32_t entry);
/* Asks for a version without any rows. */
void probe_set_next_rows_to_none(rhumb__graph *graph);

/* ---- the key table, by itself ---- */

/* Adds `key` for `slot` as an insert does: RHUMB_E_EXISTS when it is there. Grows the table for `key_count` keys. */
rhumb_status probe_key_add(rhumb__graph *graph, uint64_t key, uint32_t slot, uint64_t key_count) RHUMB_NODISCARD;
uint32_t probe_key_find(rhumb__graph *graph, uint64_t key);
uint64_t probe_key_salt(const rhumb__graph *graph);
uint64_t probe_key_bucket_count(rhumb__graph *graph);
uint64_t probe_key_overflow_count(rhumb__graph *graph);
uint64_t probe_key_bucket(uint64_t hash, uint64_t bucket_count);
/* How many rows the bucket of `hash` has, its overflow rows included. */
uint64_t probe_key_row_count(rhumb__graph *graph, uint64_t hash);
/* Makes the last row of the bucket lead back to the `hop`-th, from 1 on, as only a damaged file does. */
void probe_key_close_circle(rhumb__graph *graph, uint64_t hash, uint64_t hop);
/* The beginning and the end of a checkpoint's copying of the table: growth is held up, and slots below `slot_limit`
 * stay in the table. */
void probe_key_table_hold(rhumb__graph *graph, uint64_t slot_limit);
void probe_key_table_release(rhumb__graph *graph);

/* ---- which rows may be read, by itself ---- */

typedef struct rhumb__row_use rhumb__row_use;

rhumb__row_use *probe_row_use_new(void);
void probe_row_use_free(rhumb__row_use *use);
/* Returns what probe_row_use_end needs. */
void *probe_row_use_begin(rhumb__row_use *use, const void *reader);
void probe_row_use_end(void *count);
bool probe_row_is_withdrawn(const rhumb__row_use *use, uint32_t slot);
bool probe_rows_withdraw(rhumb__row_use *use, uint32_t first, uint32_t count, uint64_t wait_ns);
void probe_rows_admit(rhumb__row_use *use);

/* ---- lists of level 0, by themselves ---- */

void probe_list_clear(rhumb__graph *graph, uint32_t row);
bool probe_list_exchange(rhumb__graph *graph, uint32_t row, const uint32_t *before, uint32_t before_count,
                         const uint32_t *slots, uint32_t slot_count);
/* As a search reads it. `slots` has room for M0. */
uint32_t probe_list_read(rhumb__graph *graph, uint32_t row, uint32_t *slots);
/* The complete row, padding included. No other thread uses it. */
const uint32_t *probe_list_row(rhumb__graph *graph, uint32_t row, uint32_t *place_count_out);
bool probe_list_is_dirty(rhumb__graph *graph, uint32_t row);

/* ---- ties ---- */

uint64_t probe_key(const rhumb__graph *graph, uint32_t slot);
/* RHUMB__SLOT_NONE for a copy, and for a node that is not tied. */
uint32_t probe_anchor(const rhumb__graph *graph, uint32_t slot);
bool probe_is_copy(const rhumb__graph *graph, uint32_t slot);
/* The copies of a node, at most `capacity`; returns how many. */
uint32_t probe_copies(const rhumb__graph *graph, uint32_t slot, uint32_t *copies, uint32_t capacity);
/* Makes the chain of one node continue in that of another, as only a damaged file does. */
void probe_share_chain(rhumb__graph *graph, uint32_t slot, uint32_t with);
/* How many copies of a node a search finds that has followed *followed_count already, and adds its own to these. */
uint32_t probe_group(const rhumb__graph *graph, uint32_t slot, uint64_t *followed_count);

/* ---- inserting and searching in steps ---- */

typedef struct probe_user probe_user;

/* A user of the graph with a scratch memory of its own. */
probe_user *probe_user_new(rhumb__graph *graph);
void probe_user_free(probe_user *user);
rhumb_status probe_user_insert(probe_user *user, uint64_t key, const void *vector) RHUMB_NODISCARD;
rhumb_status probe_user_upsert(probe_user *user, uint64_t key, const void *vector) RHUMB_NODISCARD;
rhumb_status probe_delete(rhumb__graph *graph, uint64_t key) RHUMB_NODISCARD;
/* The first half of a search: everything before the graph is read. */
rhumb_status probe_user_begin_search(probe_user *user, const void *query) RHUMB_NODISCARD;
/* The second half: the slot where the search of level 0 would begin. */
uint32_t probe_user_descend(probe_user *user);
/* A whole search. `keys` has room for k. */
rhumb_status probe_user_search(probe_user *user, const void *query, uint32_t k, uint32_t ef, uint64_t *keys,
                               uint64_t *found_count) RHUMB_NODISCARD;

/* An insert in steps, so that others can run between them: write and publish a node; search (returns whether there was
 * an entry point); link (returns whether it can stay so, see engine/build/link.h); leave. */
rhumb_status probe_link_publish(probe_user *user, uint64_t key, const void *vector) RHUMB_NODISCARD;
bool probe_link_search(probe_user *user);
bool probe_link_finish(probe_user *user, bool had_start);
void probe_link_leave(probe_user *user);

/* ---- orders ---- */

/* The order of a file's nodes as rhumb__order gives it, in `order`, which has room for all slots. With a damage_seed
 * other than 0, a quarter of all places in the lists of level 0 are overwritten before, in memory: with slots that
 * there are, with slots that there are not, with ends of lists. */
rhumb_status probe_order(const char *path, int kind, uint64_t damage_seed, uint32_t *order,
                         uint64_t *count_out) RHUMB_NODISCARD;

/* ---- building in bulk ---- */

/* The head of each of `count` vectors under l2 (engine/build/bulk/points.h), and whether all have the code of the
 * first. */
rhumb_status probe_bulk_heads(uint32_t dim, const float *vectors, uint32_t count, uint32_t *heads,
                              bool *all_have_one_code_out) RHUMB_NODISCARD;

/* ---- reading ahead ---- */

/* rhumb__read_ahead_rows. */
void probe_read_ahead(const void *const *rows, uint32_t count, uint64_t row_bytes);

/* ---- which pages are in memory, as far as is known ---- */

typedef struct rhumb__page_map rhumb__page_map;

rhumb__page_map *probe_page_map_new(void *base, uint64_t bytes);
void probe_page_map_free(rhumb__page_map *map);
/* As one that has been asked for. */
void probe_page_map_ask(rhumb__page_map *map, const void *address);
bool probe_page_map_look(rhumb__page_map *map, const void *address);
bool probe_page_map_is_present(rhumb__page_map *map, const void *address);
bool probe_page_map_is_known(rhumb__page_map *map, const void *address);
void probe_page_map_searched(rhumb__page_map *map);

/* ---- the visited set ---- */

typedef struct probe_visited probe_visited;

probe_visited *probe_visited_new(void);
void probe_visited_free(probe_visited *visited);
bool probe_visited_reserve(probe_visited *visited, uint64_t slot_limit);
void probe_visited_clear(probe_visited *visited);
bool probe_visited_add(probe_visited *visited, uint32_t slot);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TESTS_ENGINE_ENGINE_PROBE_H */
