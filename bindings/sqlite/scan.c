/* scan.c - rhumb_scan(path, query, k, ef): the nearest vectors of any index, as rows of key and distance.
 *
 * The index is opened read-only for each search, at its newest checkpoint. It may be the index of a table, of which
 * the changes that are in the outbox still are not seen then. It opens files, so it cannot be used in views and
 * triggers.
 */
#include <string.h>

#include "bindings/sqlite/rhumb_sql.h"

enum scan_column { COLUMN_KEY, COLUMN_DISTANCE, COLUMN_PATH, COLUMN_QUERY, COLUMN_K, COLUMN_EF, COLUMN_COUNT };

typedef struct scan {
    sqlite3_vtab_cursor base;
    uint64_t *keys;
    float *distances;
    size_t count, index;
} scan;

static int fail(sqlite3_vtab *vtab, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    return code;
}

static int connect_scan(sqlite3 *db, void *module, int argc, const char *const *argv, sqlite3_vtab **vtab,
                        char **message) {
    (void)module, (void)argc, (void)argv, (void)message;
    const int code = sqlite3_declare_vtab(
        db, "CREATE TABLE x(key INTEGER, distance REAL, path HIDDEN, query HIDDEN, k HIDDEN, ef HIDDEN)");
    if (code != SQLITE_OK) return code;
    sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    *vtab = sqlite3_malloc64(sizeof **vtab);
    if (*vtab == NULL) return SQLITE_NOMEM;
    **vtab = (sqlite3_vtab){0};
    return SQLITE_OK;
}

static int disconnect_scan(sqlite3_vtab *vtab) {
    sqlite3_free(vtab);
    return SQLITE_OK;
}

/* Takes the arguments in the order of their columns; idxNum has a bit for each. */
static int plan_scan(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    int count = 0;
    for (int column = COLUMN_PATH; column < COLUMN_COUNT; column++) {
        for (int i = 0; i < info->nConstraint; i++) {
            if (info->aConstraint[i].iColumn != column || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
                continue;
            if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
            if ((info->idxNum & 1 << column) != 0) continue;
            info->idxNum |= 1 << column;
            info->aConstraintUsage[i].argvIndex = ++count;
            info->aConstraintUsage[i].omit = 1;
        }
    }
    const int needed = 1 << COLUMN_PATH | 1 << COLUMN_QUERY | 1 << COLUMN_K;
    if ((info->idxNum & needed) != needed) {
        return fail(vtab, SQLITE_ERROR, "expected rhumb_scan(path, query, k), and perhaps ef after them");
    }
    info->orderByConsumed =
        info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_DISTANCE && !info->aOrderBy[0].desc;
    info->estimatedCost = 1000;
    info->estimatedRows = 10;
    return SQLITE_OK;
}

static int open_scan(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor) {
    (void)vtab;
    scan *const made = sqlite3_malloc64(sizeof *made);
    if (made == NULL) return SQLITE_NOMEM;
    *made = (scan){0};
    *cursor = &made->base;
    return SQLITE_OK;
}

static void clear(scan *scan) {
    sqlite3_free(scan->keys);
    sqlite3_free(scan->distances);
    scan->keys = NULL;
    scan->distances = NULL;
    scan->count = scan->index = 0;
}

static int close_scan(sqlite3_vtab_cursor *cursor) {
    clear((scan *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int search(scan *scan, rhumb_index *index, const void *query, size_t k, uint32_t ef) {
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = ef;
    const uint64_t available = rhumb_index_count(index);
    if (k > available) k = (size_t)available;
    if (k == 0) return SQLITE_OK;
    scan->keys = sqlite3_malloc64(k * sizeof *scan->keys);
    scan->distances = sqlite3_malloc64(k * sizeof *scan->distances);
    if (scan->keys == NULL || scan->distances == NULL) return SQLITE_NOMEM;
    const rhumb_status status =
        rhumb_index_search(index, query, k, &options, scan->keys, scan->distances, &scan->count);
    if (status == RHUMB_OK) return SQLITE_OK;
    return fail(scan->base.pVtab, sql_code_of(status), "rhumb_scan: %s", rhumb_error_last()->message);
}

static int search_value(scan *scan, rhumb_index *index, sqlite3_value **values, sqlite3_int64 k, sqlite3_int64 ef) {
    rhumb_index_options options;
    char *message = NULL;
    if (rhumb_index_options_get(index, &options, sizeof options) != RHUMB_OK) return SQLITE_ERROR;
    if (options.metric == RHUMB_METRIC_LEVENSHTEIN) {
        return fail(scan->base.pVtab, SQLITE_ERROR, "rhumb_scan: an index of sequences cannot be searched by SQL");
    }
    uint8_t *const query = sqlite3_malloc64(sql_vector_bytes(options.element, options.dim));
    if (query == NULL) return SQLITE_NOMEM;
    int code = sql_vector_read(&options, values[1], query, &message);
    if (code != SQLITE_OK && message != NULL) code = fail(scan->base.pVtab, code, "rhumb_scan: %s", message);
    if (code == SQLITE_OK) code = search(scan, index, query, (size_t)k, (uint32_t)ef);
    sqlite3_free(message);
    sqlite3_free(query);
    return code;
}

static int filter_scan(sqlite3_vtab_cursor *cursor, int plan, const char *letters, int count, sqlite3_value **values) {
    scan *const scan = (struct scan *)cursor;
    rhumb_index *index = NULL;
    rhumb_open_options options;
    (void)plan, (void)letters;
    clear(scan);
    const char *const path = (const char *)sqlite3_value_text(values[0]);
    const sqlite3_int64 k = sqlite3_value_int64(values[2]), ef = count > 3 ? sqlite3_value_int64(values[3]) : 0;
    if (path == NULL || k < 1 || ef < 0 || ef > 1000000) {
        return fail(cursor->pVtab, SQLITE_ERROR,
                    "rhumb_scan: expected a path, a query, k from 1, and ef up to 1000000");
    }
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    const rhumb_status status = rhumb_index_open(path, &options, &index);
    if (status != RHUMB_OK) {
        return fail(cursor->pVtab, sql_code_of(status), "rhumb_scan: %s: %s", path, rhumb_error_last()->message);
    }
    const int code = search_value(scan, index, values, k, ef);
    rhumb_index_close(index);
    return code;
}

static int next_hit(sqlite3_vtab_cursor *cursor) {
    ((scan *)cursor)->index++;
    return SQLITE_OK;
}

static int is_at_end(sqlite3_vtab_cursor *cursor) { return ((scan *)cursor)->index >= ((scan *)cursor)->count; }

static int return_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    const scan *const scan = (struct scan *)cursor;
    if (column == COLUMN_KEY) sqlite3_result_int64(context, sql_id_of(scan->keys[scan->index]));
    if (column == COLUMN_DISTANCE) sqlite3_result_double(context, scan->distances[scan->index]);
    return SQLITE_OK;
}

static int return_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = sql_id_of(((scan *)cursor)->keys[((scan *)cursor)->index]);
    return SQLITE_OK;
}

const sqlite3_module sql_scan_module = {
    .xConnect = connect_scan,
    .xBestIndex = plan_scan,
    .xDisconnect = disconnect_scan,
    .xOpen = open_scan,
    .xClose = close_scan,
    .xFilter = filter_scan,
    .xNext = next_hit,
    .xEof = is_at_end,
    .xColumn = return_column,
    .xRowid = return_rowid,
};
