/* changes.c - the changes of the outbox, in memory: the last one of each row, found by a hash of the rowid.
 *
 * Belongs to one table of one connection. Grows as it must; a failure is SQLITE_NOMEM and leaves it as it was. Items
 * are never removed singly: after a rollback, or when the index has moved on, all are forgotten and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "bindings/sqlite/rhumb_sql.h"

#define CAPACITY_MIN 64

void sql_changes_reset(sql_changes *changes, sqlite3_int64 seq) {
    if (changes->place_count > 0) memset(changes->places, 0, changes->place_count * sizeof *changes->places);
    changes->count = 0;
    changes->live_count = 0;
    changes->keys_made = false;
    changes->last_seq = changes->loaded_seq = seq;
    changes->id_max = INT64_MIN;
}

void sql_changes_free(sql_changes *changes) {
    sqlite3_free(changes->items);
    sqlite3_free(changes->places);
    sqlite3_free(changes->vectors);
    sqlite3_free(changes->keys);
    *changes = (sql_changes){.id_max = INT64_MIN};
}

static size_t place_of(const sql_changes *changes, sql_id id) {
    const uint64_t hash = sql_key_of(id) * UINT64_C(0x9E3779B97F4A7C15);
    size_t place = (size_t)(hash >> 32) & (changes->place_count - 1);
    while (changes->places[place] != 0 && changes->items[changes->places[place] - 1].id != id) {
        place = (place + 1) & (changes->place_count - 1);
    }
    return place;
}

static int grow(sql_changes *changes) {
    const size_t capacity = changes->capacity == 0 ? CAPACITY_MIN : 2 * changes->capacity;
    if (capacity > UINT32_MAX / 2) return SQLITE_NOMEM;
    sql_change *const items = sqlite3_realloc64(changes->items, capacity * sizeof *items);
    if (items == NULL) return SQLITE_NOMEM;
    changes->items = items;
    uint32_t *const places = sqlite3_realloc64(changes->places, 2 * capacity * sizeof *places);
    if (places == NULL) return SQLITE_NOMEM;
    memset(places, 0, 2 * capacity * sizeof *places);
    changes->places = places;
    changes->place_count = 2 * capacity;
    changes->capacity = capacity;
    for (size_t i = 0; i < changes->count; i++) places[place_of(changes, items[i].id)] = (uint32_t)i + 1;
    return SQLITE_OK;
}

sql_change *sql_changes_find(const sql_changes *changes, sql_id id) {
    if (changes->count == 0) return NULL;
    const uint32_t number = changes->places[place_of(changes, id)];
    return number == 0 ? NULL : &changes->items[number - 1];
}

int sql_changes_put(sql_changes *changes, sql_id id, sqlite3_int64 seq, bool live) {
    sql_change *item = sql_changes_find(changes, id);
    if (item == NULL) {
        if (changes->count == changes->capacity && grow(changes) != SQLITE_OK) return SQLITE_NOMEM;
        changes->places[place_of(changes, id)] = (uint32_t)changes->count + 1;
        item = &changes->items[changes->count++];
        *item = (sql_change){.id = id};
        changes->keys_made = false;
        if (id > changes->id_max) changes->id_max = id;
    }
    changes->live_count += (int)live - (int)item->live;
    item->seq = seq;
    item->live = live;
    item->loaded = false;
    if (seq > changes->last_seq) changes->last_seq = seq;
    return SQLITE_OK;
}

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

int sql_changes_keys(sql_changes *changes, const uint64_t **keys) {
    if (!changes->keys_made) {
        uint64_t *const made = sqlite3_realloc64(changes->keys, (changes->count + 1) * sizeof *made);
        if (made == NULL) return SQLITE_NOMEM;
        changes->keys = made;
        for (size_t i = 0; i < changes->count; i++) made[i] = sql_key_of(changes->items[i].id);
        qsort(made, changes->count, sizeof *made, compare_keys);
        changes->keys_made = true;
    }
    *keys = changes->keys;
    return SQLITE_OK;
}
