/* cursor.c - what SQLite asks a cursor: reads the arguments that the plan has chosen (plan.c), has the rows found
 * (find.c), and returns their columns.
 *
 * A cursor belongs to one statement. What it points into, the query and the lists of keys, is its own and stays until
 * the next xFilter; the iterator is closed before the table closes its index. The changes that are read are those at
 * the moment of xFilter.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/sqlite/rhumb_sql.h"

static void clear(sql_cursor *cursor) {
    rhumb_iterator_close(cursor->iterator);
    sqlite3_free(cursor->request.keys);
    sqlite3_free(cursor->request.hidden);
    sqlite3_free(cursor->hits);
    sqlite3_free(cursor->ahead);
    sqlite3_free(cursor->query);
    *cursor = (sql_cursor){.base = cursor->base, .request = {.k = -1, .first = INT64_MIN, .last = INT64_MAX}};
}

int sql_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor_out) {
    (void)vtab;
    sql_cursor *const cursor = sqlite3_malloc64(sizeof *cursor);
    if (cursor == NULL) return SQLITE_NOMEM;
    *cursor = (sql_cursor){.at_end = true};
    *cursor_out = &cursor->base;
    return SQLITE_OK;
}

int sql_cursor_close(sqlite3_vtab_cursor *base) {
    sql_cursor *const cursor = (sql_cursor *)base;
    clear(cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void request_nothing(sql_request *request) {
    request->first = INT64_MAX;
    request->last = INT64_MIN;
}

/* The whole number that a value is; false if it is none. */
static bool whole_number(sqlite3_value *value, sql_id *id) {
    const int type = sqlite3_value_numeric_type(value);
    const double number = sqlite3_value_double(value);
    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return false;
    if (type == SQLITE_FLOAT && (number != floor(number) || !(fabs(number) < 9e18))) return false;
    *id = type == SQLITE_INTEGER ? sqlite3_value_int64(value) : (sql_id)number;
    return true;
}

/* Narrows the rowids by "rowid > value" and its like. Texts and blobs are above all numbers. */
static void request_bound(sql_request *request, char letter, sqlite3_value *value) {
    const bool is_lower = letter == SQL_ARGUMENT_ABOVE || letter == SQL_ARGUMENT_FROM;
    const int type = sqlite3_value_numeric_type(value);
    sql_id bound;
    bool is_open = letter == SQL_ARGUMENT_ABOVE || letter == SQL_ARGUMENT_BELOW;
    if (type == SQLITE_NULL || ((type == SQLITE_TEXT || type == SQLITE_BLOB) && is_lower)) {
        request_nothing(request);
        return;
    }
    if (type == SQLITE_TEXT || type == SQLITE_BLOB) return;
    if (!whole_number(value, &bound)) {
        const double number = sqlite3_value_double(value);
        if (number >= 9e18 || number <= -9e18) {
            if (is_lower == (number > 0)) request_nothing(request);
            return;
        }
        bound = (sql_id)(is_lower ? ceil(number) : floor(number));
        is_open = false;
    }
    if (is_open && bound == (is_lower ? INT64_MAX : INT64_MIN)) {
        request_nothing(request);
    } else if (is_lower) {
        bound += is_open;
        if (bound > request->first) request->first = bound;
    } else {
        bound -= is_open;
        if (bound < request->last) request->last = bound;
    }
}

static int add_key(sql_request *request, size_t *capacity, sqlite3_value *value) {
    sql_id id;
    if (!whole_number(value, &id) || sql_key_of(id) == RHUMB_KEY_NONE) return SQLITE_OK; /* there is no such row */
    if (request->key_count == *capacity) {
        const size_t grown = *capacity < 16 ? 16 : 2 * *capacity;
        uint64_t *const keys = sqlite3_realloc64(request->keys, grown * sizeof *keys);
        if (keys == NULL) return SQLITE_NOMEM;
        request->keys = keys;
        *capacity = grown;
    }
    request->keys[request->key_count++] = sql_key_of(id);
    return SQLITE_OK;
}

static int request_list(sql_request *request, char letter, sqlite3_value *value) {
    size_t capacity = 0, kept = 0;
    int code = SQLITE_OK;
    request->is_listed = true;
    if (letter == SQL_ARGUMENT_IS) {
        code = add_key(request, &capacity, value);
    } else {
        sqlite3_value *item = NULL;
        for (code = sqlite3_vtab_in_first(value, &item); code == SQLITE_OK && item != NULL;
             code = sqlite3_vtab_in_next(value, &item)) {
            if (add_key(request, &capacity, item) != SQLITE_OK) return SQLITE_NOMEM;
        }
        if (code == SQLITE_DONE) code = SQLITE_OK;
    }
    if (request->key_count > 1) qsort(request->keys, request->key_count, sizeof *request->keys, compare_keys);
    for (size_t i = 0; i < request->key_count; i++) {
        if (kept == 0 || request->keys[kept - 1] != request->keys[i]) request->keys[kept++] = request->keys[i];
    }
    request->key_count = kept;
    return code;
}

static int request_number(sql_table *table, const char *name, sqlite3_value *value, sqlite3_int64 *number) {
    if (!whole_number(value, number) || *number < 1) {
        return sql_fail(table, SQLITE_ERROR, "%s: expected a whole number from 1, found %s", name,
                        sqlite3_value_type(value) == SQLITE_NULL ? "NULL" : (const char *)sqlite3_value_text(value));
    }
    return SQLITE_OK;
}

static int request_query(sql_cursor *cursor, sqlite3_value *value) {
    sql_table *const table = (sql_table *)cursor->base.pVtab;
    char *message = NULL;
    cursor->query = sqlite3_malloc64(table->spec.vector_bytes);
    if (cursor->query == NULL) return SQLITE_NOMEM;
    int code = sql_vector_read(&table->spec.options, value, cursor->query, &message);
    if (code != SQLITE_OK && message != NULL) code = sql_fail(table, code, "the query: %s", message);
    sqlite3_free(message);
    return code;
}

static int read_argument(sql_cursor *cursor, char letter, sqlite3_value *value, sqlite3_int64 *limit) {
    sql_table *const table = (sql_table *)cursor->base.pVtab;
    sql_request *const request = &cursor->request;
    switch (letter) {
    case SQL_ARGUMENT_QUERY: return request_query(cursor, value);
    case SQL_ARGUMENT_K: return request_number(table, "k", value, &request->k);
    case SQL_ARGUMENT_EF:
        if (request_number(table, "ef", value, &request->ef) != SQLITE_OK) return SQLITE_ERROR;
        if (request->ef > 1000000) return sql_fail(table, SQLITE_ERROR, "ef: %lld is above 1000000", request->ef);
        return SQLITE_OK;
    case SQL_ARGUMENT_RADIUS:
        if (sqlite3_value_numeric_type(value) == SQLITE_TEXT || sqlite3_value_type(value) == SQLITE_BLOB) {
            return SQLITE_OK; /* above all numbers */
        }
        request->has_radius = true;
        request->radius = sqlite3_value_double(value);
        if (sqlite3_value_type(value) == SQLITE_NULL) request_nothing(request);
        return SQLITE_OK;
    case SQL_ARGUMENT_LIMIT: limit[0] = sqlite3_value_int64(value); return SQLITE_OK;
    case SQL_ARGUMENT_OFFSET: limit[1] = sqlite3_value_int64(value); return SQLITE_OK;
    case SQL_ARGUMENT_IN:
    case SQL_ARGUMENT_IS: return request_list(request, letter, value);
    default: request_bound(request, letter, value); return SQLITE_OK;
    }
}

/* Sets k to what LIMIT and OFFSET need, unless they need all. */
static void request_limit(sql_request *request, const sqlite3_int64 limit[2]) {
    const sqlite3_int64 offset = limit[1] > 0 ? limit[1] : 0;
    if (limit[0] < 0 || limit[0] > INT64_MAX - offset) return;
    request->k = limit[0] + offset;
}

/* ---- what SQLite calls ------------------------------------------------------------------------------------------- */

int sql_cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *letters, int count, sqlite3_value **values) {
    sql_cursor *const cursor = (sql_cursor *)base;
    sql_table *const table = (sql_table *)base->pVtab;
    sqlite3_int64 limit[2] = {-1, 0};
    clear(cursor);
    cursor->at_end = true;
    int code = SQLITE_OK;
    for (int i = 0; i < count && code == SQLITE_OK; i++) code = read_argument(cursor, letters[i], values[i], limit);
    if (code != SQLITE_OK) return code;
    cursor->request.is_sorted = letters[count] == SQL_ARGUMENT_SORTED;
    request_limit(&cursor->request, limit);
    if (cursor->request.first > cursor->request.last || cursor->request.k == 0) return SQLITE_OK;
    code = sql_table_sync(table);
    if (code == SQLITE_OK && plan == SQL_PLAN_NEAREST && table->spec.changes_max > 0) {
        code = sql_drain_if(table, SQL_SEARCH_FACTOR * table->spec.changes_max);
    }
    if (code != SQLITE_OK) return code;
    code = plan == SQL_PLAN_NEAREST ? sql_find(cursor) : sql_find_rows(cursor);
    return code == SQLITE_OK ? sql_cursor_next(base) : code;
}

int sql_cursor_next(sqlite3_vtab_cursor *base) {
    sql_cursor *const cursor = (sql_cursor *)base;
    if (cursor->iterator != NULL) return sql_iterate(cursor);
    cursor->at_end = cursor->hit_index == cursor->hit_count;
    if (!cursor->at_end) cursor->current = cursor->hits[cursor->hit_index++];
    return SQLITE_OK;
}

int sql_cursor_eof(sqlite3_vtab_cursor *base) { return ((sql_cursor *)base)->at_end; }

int sql_cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = ((sql_cursor *)base)->current.id;
    return SQLITE_OK;
}

static int return_changed(sql_table *table, sqlite3_context *context, const sql_change *change) {
    sqlite3_stmt *const statement = sql_statement(table, SQL_READ_VECTOR);
    if (statement == NULL) return SQLITE_ERROR;
    sqlite3_bind_int64(statement, 1, change->seq);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) sqlite3_result_value(context, sqlite3_column_value(statement, 0));
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int return_vector(sql_table *table, sqlite3_context *context, sql_id id) {
    const sql_change *const change = sql_changes_find(&table->changes, id);
    if (change != NULL) return return_changed(table, context, change);
    if (table->index == NULL) return SQLITE_OK;
    const rhumb_status status = rhumb_index_get_vector(table->index, sql_key_of(id), table->vector);
    if (status == RHUMB_E_NOTFOUND) return SQLITE_OK; /* deleted since it was found: NULL */
    if (status != RHUMB_OK) return sql_fail_status(table, status);
    sqlite3_result_blob64(context, table->vector, table->spec.vector_bytes, SQLITE_TRANSIENT);
    return SQLITE_OK;
}

int sql_cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const sql_cursor *const cursor = (sql_cursor *)base;
    switch (column) {
    case SQL_COLUMN_KEY: sqlite3_result_int64(context, cursor->current.id); break;
    case SQL_COLUMN_VECTOR: return return_vector((sql_table *)base->pVtab, context, cursor->current.id);
    case SQL_COLUMN_DISTANCE:
        if (cursor->query != NULL) sqlite3_result_double(context, cursor->current.distance);
        break;
    case SQL_COLUMN_K:
        if (cursor->request.k >= 0) sqlite3_result_int64(context, cursor->request.k);
        break;
    case SQL_COLUMN_EF:
        if (cursor->request.ef > 0) sqlite3_result_int64(context, cursor->request.ef);
        break;
    default: break;
    }
    return SQLITE_OK;
}
