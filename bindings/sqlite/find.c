/* find.c - finds the rows that a cursor lists: in the index, and among the changes that the index lacks.
 *
 * What the index has of a row that has changed is hidden; the changes are few, so each of them that may be found is
 * measured. A search for a given number, or within a radius, is answered at once. Otherwise an iterator lists the
 * index row by row. Its order is approximate, so AHEAD_COUNT rows are always listed before the nearest of them is
 * returned.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/sqlite/rhumb_sql.h"

#define AHEAD_COUNT 64
#define CHUNK_COUNT 32
#define RADIUS_COUNT_FIRST 1024

static sql_table *table_of(sql_cursor *cursor) { return (sql_table *)cursor->base.pVtab; }

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static bool is_among(const uint64_t *keys, size_t count, uint64_t key) {
    return count > 0 && bsearch(&key, keys, count, sizeof *keys, compare_keys) != NULL;
}

static bool is_requested(const sql_request *request, sql_id id) {
    if (id < request->first || id > request->last) return false;
    return !request->is_listed || is_among(request->keys, request->key_count, sql_key_of(id));
}

static bool is_hidden(const sql_request *request, sql_id id) {
    return is_among(request->hidden, request->hidden_count, sql_key_of(id));
}

/* ---- rows without a query ---------------------------------------------------------------------------------------- */

static int add_hit(sql_cursor *cursor, size_t *capacity, sql_id id, double distance) {
    if (cursor->hit_count == *capacity) {
        const size_t grown = *capacity < 64 ? 64 : 2 * *capacity;
        sql_hit *const hits = sqlite3_realloc64(cursor->hits, grown * sizeof *hits);
        if (hits == NULL) return SQLITE_NOMEM;
        cursor->hits = hits;
        *capacity = grown;
    }
    cursor->hits[cursor->hit_count++] = (sql_hit){.id = id, .distance = distance};
    return SQLITE_OK;
}

int sql_row_exists(sql_table *table, sql_id id, bool *exists) {
    const sql_change *const change = sql_changes_find(&table->changes, id);
    *exists = change != NULL && change->live;
    if (change != NULL || table->index == NULL || sql_key_of(id) == RHUMB_KEY_NONE) return SQLITE_OK;
    const rhumb_status status = rhumb_index_contains(table->index, sql_key_of(id), exists);
    return status == RHUMB_OK ? SQLITE_OK : sql_fail_status(table, status);
}

static int scan_list(sql_cursor *cursor, size_t *capacity) {
    int code = SQLITE_OK;
    for (size_t i = 0; i < cursor->request.key_count && code == SQLITE_OK; i++) {
        bool exists = false;
        const sql_id id = sql_id_of(cursor->request.keys[i]);
        code = sql_row_exists(table_of(cursor), id, &exists);
        if (code == SQLITE_OK && exists && is_requested(&cursor->request, id)) code = add_hit(cursor, capacity, id, 0);
    }
    return code;
}

static int scan_index(sql_cursor *cursor, size_t *capacity) {
    uint64_t keys[256];
    size_t count = 0;
    int code = SQLITE_OK;
    rhumb_point_cursor *points = NULL;
    rhumb_status status = rhumb_point_cursor_open(table_of(cursor)->index, 0, &points);
    while (status == RHUMB_OK && code == SQLITE_OK) {
        status = rhumb_point_cursor_next(points, sizeof keys / sizeof keys[0], keys, NULL, NULL, &count);
        if (status == RHUMB_OK && count == 0) break;
        for (size_t i = 0; status == RHUMB_OK && i < count && code == SQLITE_OK; i++) {
            const sql_id id = sql_id_of(keys[i]);
            if (!is_requested(&cursor->request, id) || sql_changes_find(&table_of(cursor)->changes, id) != NULL)
                continue;
            code = add_hit(cursor, capacity, id, 0);
        }
    }
    rhumb_point_cursor_close(points);
    return status == RHUMB_OK ? code : sql_fail_status(table_of(cursor), status);
}

static int compare_ids(const void *a, const void *b) {
    const sql_id left = ((const sql_hit *)a)->id, right = ((const sql_hit *)b)->id;
    return left < right ? -1 : left > right;
}

int sql_find_rows(sql_cursor *cursor) {
    size_t capacity = 0;
    int code = SQLITE_OK;
    const sql_changes *const changes = &table_of(cursor)->changes;
    if (cursor->request.is_listed) {
        code = scan_list(cursor, &capacity);
    } else {
        if (table_of(cursor)->index != NULL) code = scan_index(cursor, &capacity);
        for (size_t i = 0; i < changes->count && code == SQLITE_OK; i++) {
            const sql_change *const change = &changes->items[i];
            if (change->live && is_requested(&cursor->request, change->id)) {
                code = add_hit(cursor, &capacity, change->id, 0);
            }
        }
    }
    if (cursor->request.is_sorted && cursor->hit_count > 1) {
        qsort(cursor->hits, cursor->hit_count, sizeof *cursor->hits, compare_ids);
    }
    return code;
}

/* ---- the nearest among the changes ------------------------------------------------------------------------------- */

static int compare_hits(const void *a, const void *b) {
    const sql_hit *const left = a, *const right = b;
    if (left->distance != right->distance) return left->distance < right->distance ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

static bool can_be_measured(const sql_cursor *cursor, const sql_change *change) {
    return change->live && change->loaded && is_requested(&cursor->request, change->id);
}

/* Adds the changes that are requested to the hits, with their distances. */
static int measure_changes(sql_cursor *cursor, size_t *capacity) {
    sql_table *const table = table_of(cursor);
    const sql_changes *const changes = &table->changes;
    float distances[64];
    int code = sql_changes_load(table);
    for (size_t i = 0; i < changes->count && code == SQLITE_OK;) {
        size_t count = 0; /* of a run of changes whose vectors lie one after the other */
        while (count < 64 && i + count < changes->count && can_be_measured(cursor, &changes->items[i + count])) count++;
        if (count == 0) {
            i++;
            continue;
        }
        const rhumb_status status = rhumb_vectors_measure(
            &table->spec.options, cursor->query, changes->vectors + i * table->spec.vector_bytes, count, distances);
        if (status != RHUMB_OK) return sql_fail_status(table, status);
        for (size_t j = 0; j < count && code == SQLITE_OK; j++) {
            if (cursor->request.has_radius && distances[j] > cursor->request.radius) continue;
            code = add_hit(cursor, capacity, changes->items[i + j].id, distances[j]);
        }
        i += count;
    }
    return code;
}

/* ---- the nearest in the index ------------------------------------------------------------------------------------ */

static bool matches(void *context, uint64_t key) {
    const sql_request *const request = context;
    return is_requested(request, sql_id_of(key)) && !is_hidden(request, sql_id_of(key));
}

/* Sets `filter` to what may be found in the index, and returns it; NULL: everything. */
static const rhumb_filter *filter_of(sql_request *request, rhumb_filter *filter) {
    rhumb_filter_init(filter, sizeof *filter);
    if (request->is_listed) {
        filter->kind = RHUMB_FILTER_KEYS;
        filter->keys = request->keys;
        filter->key_count = request->key_count;
    } else if (request->first != INT64_MIN || request->last != INT64_MAX) {
        filter->kind = RHUMB_FILTER_CALLBACK;
        filter->matches = matches;
        filter->context = request;
    } else if (request->hidden_count > 0) {
        filter->kind = RHUMB_FILTER_KEYS;
        filter->keys = request->hidden;
        filter->key_count = request->hidden_count;
        filter->negate = true;
    } else {
        return NULL;
    }
    return filter;
}

/* Leaves of the listed keys those that may be found in the index. */
static void narrow_list(sql_request *request) {
    size_t kept = 0;
    for (size_t i = 0; i < request->key_count; i++) {
        const sql_id id = sql_id_of(request->keys[i]);
        if (id >= request->first && id <= request->last && !is_hidden(request, id)) {
            request->keys[kept++] = request->keys[i];
        }
    }
    request->key_count = kept;
}

/* The largest float that is not above the bound. */
static float radius_of(double bound) {
    const float radius = (float)bound;
    return radius > bound ? nextafterf(radius, -INFINITY) : radius;
}

/* One search, for `count` hits at most; it knows of room for that many. */
static int search_once(sql_cursor *cursor, const rhumb_search_options *options, size_t count, size_t *found) {
    sql_table *const table = table_of(cursor);
    uint64_t *const keys = sqlite3_malloc64(count * sizeof *keys);
    float *const distances = sqlite3_malloc64(count * sizeof *distances);
    size_t capacity = 0;
    int code = keys == NULL || distances == NULL ? SQLITE_NOMEM : SQLITE_OK;
    if (code == SQLITE_OK) {
        const rhumb_status status =
            cursor->request.has_radius
                ? rhumb_index_search_radius(table->index, cursor->query, radius_of(cursor->request.radius), count,
                                            options, keys, distances, found)
                : rhumb_index_search(table->index, cursor->query, count, options, keys, distances, found);
        if (status != RHUMB_OK) code = sql_fail_status(table, status);
    }
    cursor->hit_count = 0;
    sqlite3_free(cursor->hits);
    cursor->hits = NULL;
    for (size_t i = 0; code == SQLITE_OK && i < *found; i++) {
        code = add_hit(cursor, &capacity, sql_id_of(keys[i]), distances[i]);
    }
    sqlite3_free(keys);
    sqlite3_free(distances);
    return code;
}

static int search_index(sql_cursor *cursor, const rhumb_search_options *options) {
    const uint64_t available = rhumb_index_count(table_of(cursor)->index);
    const sql_request *const request = &cursor->request;
    size_t count = available, found = 0;
    if (request->is_listed && request->key_count < count) count = request->key_count;
    if (request->k >= 0 && (uint64_t)request->k < count) count = (size_t)request->k;
    size_t first = request->k < 0 && count > RADIUS_COUNT_FIRST ? RADIUS_COUNT_FIRST : count;
    while (first > 0) {
        const int code = search_once(cursor, options, first, &found);
        if (code != SQLITE_OK || found < first || first == count) return code;
        first = first < count / 4 ? 4 * first : count;
    }
    return SQLITE_OK;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static int copy_hidden(sql_cursor *cursor) {
    sql_changes *const changes = &table_of(cursor)->changes;
    const uint64_t *keys;
    if (changes->count == 0) return SQLITE_OK;
    const int code = sql_changes_keys(changes, &keys);
    if (code != SQLITE_OK) return code;
    cursor->request.hidden = sqlite3_malloc64(changes->count * sizeof *keys);
    if (cursor->request.hidden == NULL) return SQLITE_NOMEM;
    memcpy(cursor->request.hidden, keys, changes->count * sizeof *keys);
    cursor->request.hidden_count = changes->count;
    return SQLITE_OK;
}

static int merge_changes(sql_cursor *cursor) {
    size_t capacity = cursor->hit_count;
    const size_t found = cursor->hit_count;
    const int code = measure_changes(cursor, &capacity);
    if (code != SQLITE_OK) return code;
    if (cursor->hit_count > found) qsort(cursor->hits, cursor->hit_count, sizeof *cursor->hits, compare_hits);
    if (cursor->request.k >= 0 && cursor->hit_count > (uint64_t)cursor->request.k) {
        cursor->hit_count = (size_t)cursor->request.k;
    }
    return SQLITE_OK;
}

int sql_find(sql_cursor *cursor) {
    sql_table *const table = table_of(cursor);
    sql_request *const request = &cursor->request;
    rhumb_search_options options;
    rhumb_filter filter;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = (uint32_t)request->ef;
    int code = copy_hidden(cursor);
    if (code != SQLITE_OK) return code;
    const bool has_all = request->k >= 0 || request->has_radius;
    if (!has_all || table->index == NULL) code = merge_changes(cursor);
    if (code != SQLITE_OK || table->index == NULL) return code;
    uint64_t *const listed = request->keys; /* the changes are measured by the whole list */
    const size_t listed_count = request->key_count;
    if (has_all && request->is_listed) {
        request->keys = sqlite3_malloc64((listed_count + 1) * sizeof *listed);
        if (request->keys != NULL && listed_count > 0) memcpy(request->keys, listed, listed_count * sizeof *listed);
        code = request->keys == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    if (code == SQLITE_OK) {
        narrow_list(request);
        options.filter = filter_of(request, &filter);
        if (has_all) {
            code = search_index(cursor, &options);
        } else if (!request->is_listed || request->key_count > 0) {
            const rhumb_status status = rhumb_iterator_open(table->index, cursor->query, &options, &cursor->iterator);
            if (status != RHUMB_OK) code = sql_fail_status(table, status);
        }
    }
    if (request->keys != listed) {
        sqlite3_free(request->keys);
        request->keys = listed;
        request->key_count = listed_count;
    }
    return code == SQLITE_OK && has_all ? merge_changes(cursor) : code;
}

/* ---- row by row -------------------------------------------------------------------------------------------------- */

/* Adds a hit to the heap whose first is the nearest. */
static void push(sql_cursor *cursor, sql_hit hit) {
    size_t place = cursor->ahead_count++;
    while (place > 0 && compare_hits(&hit, &cursor->ahead[(place - 1) / 2]) < 0) {
        cursor->ahead[place] = cursor->ahead[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    cursor->ahead[place] = hit;
}

static sql_hit pop(sql_cursor *cursor) {
    const sql_hit nearest = cursor->ahead[0], last = cursor->ahead[--cursor->ahead_count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= cursor->ahead_count) break;
        if (child + 1 < cursor->ahead_count && compare_hits(&cursor->ahead[child + 1], &cursor->ahead[child]) < 0) {
            child++;
        }
        if (compare_hits(&last, &cursor->ahead[child]) <= 0) break;
        cursor->ahead[place] = cursor->ahead[child];
        place = child;
    }
    cursor->ahead[place] = last;
    return nearest;
}

static int look_ahead(sql_cursor *cursor) {
    sql_table *const table = table_of(cursor);
    uint64_t keys[CHUNK_COUNT];
    float distances[CHUNK_COUNT];
    if (cursor->ahead == NULL) {
        cursor->ahead = sqlite3_malloc64((AHEAD_COUNT + CHUNK_COUNT) * sizeof *cursor->ahead);
        if (cursor->ahead == NULL) return SQLITE_NOMEM;
    }
    while (!cursor->iterator_ended && cursor->ahead_count < AHEAD_COUNT) {
        size_t count = 0;
        const rhumb_status status = rhumb_iterator_next(cursor->iterator, CHUNK_COUNT, keys, distances, &count);
        if (status != RHUMB_OK) return sql_fail_status(table, status);
        cursor->iterator_ended = count < CHUNK_COUNT;
        table->pulled_count += count;
        for (size_t i = 0; i < count; i++) {
            const sql_id id = sql_id_of(keys[i]);
            if (!is_hidden(&cursor->request, id)) push(cursor, (sql_hit){.id = id, .distance = distances[i]});
        }
    }
    return SQLITE_OK;
}

int sql_iterate(sql_cursor *cursor) {
    const int code = look_ahead(cursor);
    if (code != SQLITE_OK) return code;
    const bool has_change = cursor->hit_index < cursor->hit_count;
    cursor->at_end = !has_change && cursor->ahead_count == 0;
    if (cursor->at_end) return SQLITE_OK;
    if (cursor->ahead_count == 0 || (has_change && compare_hits(&cursor->hits[cursor->hit_index], cursor->ahead) < 0)) {
        cursor->current = cursor->hits[cursor->hit_index++];
    } else {
        cursor->current = pop(cursor);
    }
    return SQLITE_OK;
}
