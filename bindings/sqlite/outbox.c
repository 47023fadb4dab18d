/* outbox.c - the SQL of a table: NAME_info, one row of what the table is, and NAME_outbox, the changes that the index
 * may lack, in the order in which they were made.
 *
 * Both belong to the schema of the table, so that transactions cover them. Numbers of changes (seq) ascend and are
 * never used twice, except where a rollback has taken one back before any other connection could see it. Statements
 * are prepared once and kept until the table is disconnected or renamed. All of it runs within the transaction of the
 * caller.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/sqlite/rhumb_sql.h"

static const struct {
    const char *sql;   /* with %w for the schema */
    const char *table; /* and for this, or NULL */
} TEXTS[SQL_STATEMENT_COUNT] = {
    [SQL_READ_STATE] = {"SELECT purged, uuid, path, adopted FROM \"%w\".\"%w%s\"", "_info"},
    [SQL_READ_CHANGES] = {"SELECT seq, id, vector IS NOT NULL FROM \"%w\".\"%w%s\" WHERE seq > ?1 ORDER BY seq",
                          "_outbox"},
    [SQL_READ_VECTORS] = {"SELECT seq, id, vector FROM \"%w\".\"%w%s\" WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
                          "_outbox"},
    [SQL_READ_VECTOR] = {"SELECT vector FROM \"%w\".\"%w%s\" WHERE seq = ?1", "_outbox"},
    [SQL_READ_LAST] = {"SELECT seq FROM \"%w\".sqlite_sequence WHERE name = '%q%s'", "_outbox"},
    [SQL_APPEND] = {"INSERT INTO \"%w\".\"%w%s\" (id, vector) VALUES (?1, ?2)", "_outbox"},
    [SQL_PURGE] = {"DELETE FROM \"%w\".\"%w%s\" WHERE seq <= ?1", "_outbox"},
    [SQL_SET_PURGED] = {"UPDATE \"%w\".\"%w%s\" SET purged = ?1", "_info"},
};

static int execute(sqlite3 *db, char **message, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *const sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sql == NULL) return SQLITE_NOMEM;
    const int code = sqlite3_exec(db, sql, NULL, NULL, message);
    sqlite3_free(sql);
    return code;
}

int sql_outbox_create(sql_table *table, char **message) {
    return execute(table->db, message,
                   "CREATE TABLE \"%w\".\"%w_info\" (uuid TEXT NOT NULL, path TEXT NOT NULL, adopted INTEGER NOT NULL,"
                   " purged INTEGER NOT NULL);"
                   "CREATE TABLE \"%w\".\"%w_outbox\" (seq INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL,"
                   " vector BLOB);"
                   "INSERT INTO \"%w\".\"%w_info\" VALUES (%Q, %Q, %d, 0)",
                   table->schema, table->name, table->schema, table->name, table->schema, table->name, table->uuid,
                   table->path, table->spec.adopt);
}

int sql_outbox_drop(sql_table *table) {
    char *message = NULL;
    sql_statements_free(table);
    const int code = execute(table->db, &message,
                             "DROP TABLE IF EXISTS \"%w\".\"%w_info\"; DROP TABLE IF EXISTS \"%w\".\"%w_outbox\"",
                             table->schema, table->name, table->schema, table->name);
    if (code != SQLITE_OK) sql_fail(table, code, "%s", message == NULL ? "the tables cannot be dropped" : message);
    sqlite3_free(message);
    return code;
}

int sql_outbox_rename(sql_table *table, const char *new_name) {
    char *message = NULL;
    sql_statements_free(table);
    const int code = execute(table->db, &message,
                             "ALTER TABLE \"%w\".\"%w_info\" RENAME TO \"%w_info\";"
                             "ALTER TABLE \"%w\".\"%w_outbox\" RENAME TO \"%w_outbox\"",
                             table->schema, table->name, new_name, table->schema, table->name, new_name);
    if (code != SQLITE_OK) sql_fail(table, code, "%s", message == NULL ? "the tables cannot be renamed" : message);
    sqlite3_free(message);
    return code;
}

sqlite3_stmt *sql_statement(sql_table *table, enum sql_statement which) {
    sqlite3_stmt **const statement = &table->statements[which];
    if (*statement != NULL) return *statement;
    char *const sql = sqlite3_mprintf(TEXTS[which].sql, table->schema, table->name, TEXTS[which].table);
    if (sql == NULL) return NULL;
    const int code =
        sqlite3_prepare_v3(table->db, sql, -1, SQLITE_PREPARE_PERSISTENT | SQLITE_PREPARE_NO_VTAB, statement, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK) return *statement;
    sql_fail(table, code, "%s", sqlite3_errmsg(table->db));
    return NULL;
}

void sql_statements_free(sql_table *table) {
    for (int i = 0; i < SQL_STATEMENT_COUNT; i++) {
        sqlite3_finalize(table->statements[i]);
        table->statements[i] = NULL;
    }
}

/* Ends a statement that has stepped with `code`. */
static int end(sql_table *table, sqlite3_stmt *statement, int code) {
    const bool done = code == SQLITE_DONE || code == SQLITE_ROW || code == SQLITE_OK;
    if (!done) sql_fail(table, code, "%s", sqlite3_errmsg(table->db));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return done ? SQLITE_OK : code;
}

/* The path of an index that is stored as `stored`: relative to the folder of the database. */
static char *resolve(sql_table *table, const char *stored) {
    const char *const database = sqlite3_db_filename(table->db, table->schema);
    if (stored[0] == '/') return sqlite3_mprintf("%s", stored);
    const char *const slash = database == NULL ? NULL : strrchr(database, '/');
    if (slash == NULL) return sqlite3_mprintf("%s", stored);
    return sqlite3_mprintf("%.*s/%s", (int)(slash - database), database, stored);
}

static int read_state(sql_table *table) {
    sqlite3_stmt *const statement = sql_statement(table, SQL_READ_STATE);
    if (statement == NULL) return SQLITE_ERROR;
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        if (code != SQLITE_DONE) return end(table, statement, code);
        sqlite3_reset(statement);
        return sql_fail(table, SQLITE_CORRUPT_VTAB, "%s_info has no row", table->name);
    }
    table->purged = sqlite3_column_int64(statement, 0);
    const char *const uuid = (const char *)sqlite3_column_text(statement, 1);
    const char *const path = (const char *)sqlite3_column_text(statement, 2);
    if (table->index == NULL && uuid != NULL && path != NULL) {
        sqlite3_snprintf(sizeof table->uuid, table->uuid, "%s", uuid);
        sqlite3_free(table->path);
        table->path = resolve(table, path);
        table->adopted = sqlite3_column_int(statement, 3) != 0;
    }
    if (table->path == NULL) code = sql_fail(table, SQLITE_CORRUPT_VTAB, "%s_info is damaged", table->name);
    return end(table, statement, code);
}

/* Whether an index is what the table was created as. */
static int check_kind(sql_table *table, rhumb_index *index) {
    rhumb_index_options found;
    const rhumb_index_options *const wanted = &table->spec.options;
    const rhumb_status status = rhumb_index_options_get(index, &found, sizeof found);
    if (status != RHUMB_OK) return sql_fail_status(table, status);
    if (found.dim == wanted->dim && found.metric == wanted->metric && found.element == wanted->element &&
        !found.normalise) {
        return SQLITE_OK;
    }
    return sql_fail(table, SQLITE_ERROR, "%s has vectors of %u x %s under %s%s, the table has %u x %s under %s",
                    table->path, found.dim, rhumb_element_name(found.element), rhumb_metric_name(found.metric),
                    found.normalise ? ", normalised" : "", wanted->dim, rhumb_element_name(wanted->element),
                    rhumb_metric_name(wanted->metric));
}

static int open_reader(sql_table *table) {
    rhumb_open_options options;
    rhumb_index *index = NULL;
    if (access(table->path, F_OK) != 0) return SQLITE_OK; /* there is none yet, or sync complains */
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    const rhumb_status status = rhumb_index_open(table->path, &options, &index);
    if (status == RHUMB_E_NOTFOUND) return SQLITE_OK;
    if (status != RHUMB_OK) return sql_fail_status(table, status);
    int code = check_kind(table, index);
    if (code == SQLITE_OK) code = sql_metadata_read(table, index, &table->applied);
    if (code == SQLITE_OK) {
        table->index = index;
        sql_changes_reset(&table->changes, table->applied);
    } else {
        rhumb_index_close(index);
    }
    return code;
}

int sql_index_refresh(sql_table *table) {
    bool changed = false;
    if (table->index == NULL) return open_reader(table);
    const rhumb_status status = rhumb_index_refresh(table->index, &changed);
    if (status != RHUMB_OK) return sql_fail_status(table, status);
    if (!changed) return SQLITE_OK;
    const int code = sql_metadata_read(table, table->index, &table->applied);
    if (code == SQLITE_OK) sql_changes_reset(&table->changes, table->applied);
    return code;
}

static int read_changes(sql_table *table) {
    sqlite3_stmt *const statement = sql_statement(table, SQL_READ_CHANGES);
    int code;
    if (statement == NULL) return SQLITE_ERROR;
    sqlite3_bind_int64(statement, 1, table->changes.last_seq);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const int put = sql_changes_put(&table->changes, sqlite3_column_int64(statement, 1),
                                        sqlite3_column_int64(statement, 0), sqlite3_column_int(statement, 2) != 0);
        if (put != SQLITE_OK) {
            end(table, statement, SQLITE_OK);
            return put;
        }
    }
    return end(table, statement, code);
}

int sql_table_sync(sql_table *table) {
    int code = read_state(table);
    if (code != SQLITE_OK) return code;
    if (table->index == NULL || table->applied < table->purged) code = sql_index_refresh(table);
    if (code != SQLITE_OK) return code;
    if (table->index == NULL && (table->purged > 0 || table->adopted)) {
        return sql_fail(table, SQLITE_CANTOPEN, "the index of %s is missing: there is no file %s", table->name,
                        table->path);
    }
    if (table->applied < table->purged) {
        return sql_fail(table, SQLITE_CORRUPT_VTAB,
                        "%s is older than the table %s: it has the changes up to %lld, and those up to %lld are not in "
                        "the database any more; restore the index that belongs to this database",
                        table->path, table->name, table->applied, table->purged);
    }
    return read_changes(table);
}

static int load_one(sql_table *table, sqlite3_stmt *statement) {
    sql_changes *const changes = &table->changes;
    const size_t bytes = table->spec.vector_bytes;
    sql_change *const change = sql_changes_find(changes, sqlite3_column_int64(statement, 1));
    if (change == NULL || change->seq != sqlite3_column_int64(statement, 0) || !change->live) return SQLITE_OK;
    const void *const vector = sqlite3_column_blob(statement, 2);
    if (vector == NULL || (size_t)sqlite3_column_bytes(statement, 2) != bytes) {
        return sql_fail(table, SQLITE_CORRUPT_VTAB, "change %lld of %s_outbox is damaged", change->seq, table->name);
    }
    memcpy(changes->vectors + (size_t)(change - changes->items) * bytes, vector, bytes);
    change->loaded = true;
    return SQLITE_OK;
}

int sql_changes_load(sql_table *table) {
    sql_changes *const changes = &table->changes;
    int code;
    if (changes->loaded_seq == changes->last_seq) return SQLITE_OK;
    if (changes->vector_capacity < changes->capacity) {
        uint8_t *const vectors =
            sqlite3_realloc64(changes->vectors, (sqlite3_uint64)changes->capacity * table->spec.vector_bytes);
        if (vectors == NULL) return SQLITE_NOMEM;
        changes->vectors = vectors;
        changes->vector_capacity = changes->capacity;
    }
    sqlite3_stmt *const statement = sql_statement(table, SQL_READ_VECTORS);
    if (statement == NULL) return SQLITE_ERROR;
    sqlite3_bind_int64(statement, 1, changes->loaded_seq);
    sqlite3_bind_int64(statement, 2, changes->last_seq);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const int loaded = load_one(table, statement);
        if (loaded != SQLITE_OK) {
            end(table, statement, SQLITE_OK);
            return loaded;
        }
    }
    code = end(table, statement, code);
    if (code == SQLITE_OK) changes->loaded_seq = changes->last_seq;
    return code;
}

int sql_outbox_append(sql_table *table, sql_id id, const void *vector) {
    sqlite3_stmt *const statement = sql_statement(table, SQL_APPEND);
    if (statement == NULL) return SQLITE_ERROR;
    const sqlite3_int64 kept = sqlite3_last_insert_rowid(table->db);
    sqlite3_bind_int64(statement, 1, id);
    if (vector != NULL) sqlite3_bind_blob64(statement, 2, vector, table->spec.vector_bytes, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    const sqlite3_int64 seq = sqlite3_last_insert_rowid(table->db);
    code = end(table, statement, code);
    sqlite3_set_last_insert_rowid(table->db, kept);
    if (code != SQLITE_OK) return code;
    table->has_own_changes = true;
    return sql_changes_put(&table->changes, id, seq, vector != NULL);
}

int sql_outbox_purge(sql_table *table) {
    static const enum sql_statement steps[] = {SQL_PURGE, SQL_SET_PURGED};
    int code = SQLITE_OK;
    if (table->applied <= table->purged) return SQLITE_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && code == SQLITE_OK; i++) {
        sqlite3_stmt *const statement = sql_statement(table, steps[i]);
        if (statement == NULL) return SQLITE_ERROR;
        sqlite3_bind_int64(statement, 1, table->applied);
        code = end(table, statement, sqlite3_step(statement));
    }
    if (code == SQLITE_OK) table->purged = table->applied;
    return code;
}
