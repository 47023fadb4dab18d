/* update.c - INSERT, UPDATE, DELETE, commands, and the transactions around them.
 *
 * A row that is written is checked, and then only a row of the outbox. So a rollback needs nothing but forgetting
 * what was read: SQLite takes back the outbox itself. At the first row of a transaction, while the outbox holds
 * nothing but what is committed, it is moved into the index if it has become long, and what the index has is deleted
 * from it.
 */
#include <stddef.h>

#include "bindings/sqlite/rhumb_sql.h"

static int fail_on_conflict(sql_table *table, sql_id id) {
    return sql_fail(table, SQLITE_CONSTRAINT_PRIMARYKEY, "UNIQUE constraint failed: %s.%s = %lld", table->name,
                    table->spec.key_column, id);
}

/* Fails if the index has changes that the database has never seen: then their numbers would be used again. */
static int check_not_ahead(sql_table *table) {
    sqlite3_int64 last = 0;
    sqlite3_stmt *const statement = sql_statement(table, SQL_READ_LAST);
    if (statement == NULL) return SQLITE_ERROR;
    if (sqlite3_step(statement) == SQLITE_ROW) last = sqlite3_column_int64(statement, 0);
    const int code = sqlite3_reset(statement);
    if (code != SQLITE_OK) return sql_fail(table, code, "%s", sqlite3_errmsg(table->db));
    if (table->applied <= last) return SQLITE_OK;
    return sql_fail(
        table, SQLITE_CORRUPT_VTAB,
        "%s is ahead of the table %s: it has the changes up to %lld, the database those up to %lld; restore "
        "the two together",
        table->path, table->name, table->applied, last);
}

static int begin_writing(sql_table *table) {
    int code = sql_table_sync(table);
    if (code != SQLITE_OK || !table->is_new_transaction) return code;
    if (table->index != NULL) code = sql_index_refresh(table);
    if (code == SQLITE_OK) code = check_not_ahead(table);
    if (code == SQLITE_OK) code = sql_table_sync(table);
    if (code == SQLITE_OK && table->spec.changes_max > 0) code = sql_drain_if(table, table->spec.changes_max);
    if (code == SQLITE_OK) code = sql_outbox_purge(table);
    if (code == SQLITE_OK) table->is_new_transaction = false;
    return code;
}

/* The rowid of a row without one: above all that there are and, in the index, ever were. */
static int choose_id(sql_table *table, sql_id *id) {
    struct rhumb_index_stats stats = {0};
    if (table->index != NULL) {
        const rhumb_status status =
            rhumb_index_stats_get(table->index, &stats, offsetof(rhumb_index_stats, durability));
        if (status != RHUMB_OK) return sql_fail_status(table, status);
    }
    const sql_id changed_max = table->changes.count > 0 ? table->changes.id_max : 0;
    if (stats.key_next > INT64_MAX || changed_max == INT64_MAX) {
        return sql_fail(table, SQLITE_FULL, "%s has the largest or a negative %s: give every row its own", table->name,
                        table->spec.key_column);
    }
    *id = (sql_id)stats.key_next > changed_max ? (sql_id)stats.key_next : changed_max + 1;
    if (*id < 1) *id = 1;
    return SQLITE_OK;
}

static int read_id(sql_table *table, sqlite3_value *value, sql_id *id) {
    if (sqlite3_value_numeric_type(value) != SQLITE_INTEGER) {
        return sql_fail(table, SQLITE_MISMATCH, "%s.%s must be an integer", table->name, table->spec.key_column);
    }
    *id = sqlite3_value_int64(value);
    if (sql_key_of(*id) != RHUMB_KEY_NONE) return SQLITE_OK;
    return sql_fail(table, SQLITE_CONSTRAINT, "%s.%s cannot be -1", table->name, table->spec.key_column);
}

static int read_vector(sql_table *table, sqlite3_value *value) {
    char *message = NULL;
    if (sqlite3_value_type(value) == SQLITE_NULL) {
        return sql_fail(table, SQLITE_CONSTRAINT_NOTNULL, "NOT NULL constraint failed: %s.%s", table->name,
                        table->spec.column);
    }
    int code = sql_vector_read(&table->spec.options, value, table->vector, &message);
    if (code != SQLITE_OK && message != NULL) {
        code = sql_fail(table, code, "%s.%s: %s", table->name, table->spec.column, message);
    }
    sqlite3_free(message);
    return code;
}

/* Refuses the columns that are results only. */
static int check_results(sql_table *table, sqlite3_value **columns) {
    for (int i = SQL_COLUMN_DISTANCE; i <= SQL_COLUMN_EF; i++) {
        if (sqlite3_value_type(columns[i]) == SQLITE_NULL) continue;
        return sql_fail(table, SQLITE_ERROR, "distance, k and ef cannot be written");
    }
    return SQLITE_OK;
}

/* Fails if there is a row of that id, unless it is to be replaced. */
static int check_conflict(sql_table *table, sql_id id) {
    bool exists = false;
    const int code = sql_row_exists(table, id, &exists);
    if (code != SQLITE_OK || !exists || sqlite3_vtab_on_conflict(table->db) == SQLITE_REPLACE) return code;
    return fail_on_conflict(table, id);
}

/* Runs INSERT INTO t(t) VALUES('flush'): moves all changes into the index; 'compact' compacts it as well. */
static int run_command(sql_table *table, sqlite3_value *value) {
    const char *const command = (const char *)sqlite3_value_text(value);
    const bool compact = command != NULL && sqlite3_stricmp(command, "compact") == 0;
    if (command == NULL || (!compact && sqlite3_stricmp(command, "flush") != 0)) {
        return sql_fail(table, SQLITE_ERROR, "unknown command \"%s\"; there are flush and compact",
                        command == NULL ? "" : command);
    }
    if (table->has_own_changes) {
        return sql_fail(table, SQLITE_ERROR, "%s: the transaction has changed %s; commit it first", command,
                        table->name);
    }
    int code = SQLITE_OK;
    if (compact || table->changes.count > 0) code = sql_drain(table, compact);
    if (code == SQLITE_OK) code = sql_table_sync(table);
    return code == SQLITE_OK ? sql_outbox_purge(table) : code;
}

static int insert_row(sql_table *table, sqlite3_value **values, sqlite3_int64 *rowid) {
    sqlite3_value **const columns = values + 2;
    sql_id id = 0;
    if (sqlite3_value_type(columns[SQL_COLUMN_COMMAND]) != SQLITE_NULL) {
        return run_command(table, columns[SQL_COLUMN_COMMAND]);
    }
    sqlite3_value *const given =
        sqlite3_value_type(columns[SQL_COLUMN_KEY]) != SQLITE_NULL ? columns[SQL_COLUMN_KEY] : values[1];
    int code = check_results(table, columns);
    if (code == SQLITE_OK) code = read_vector(table, columns[SQL_COLUMN_VECTOR]);
    if (code == SQLITE_OK) {
        code = sqlite3_value_type(given) == SQLITE_NULL ? choose_id(table, &id) : read_id(table, given, &id);
    }
    if (code == SQLITE_OK) code = check_conflict(table, id);
    if (code == SQLITE_OK) code = sql_outbox_append(table, id, table->vector);
    if (code == SQLITE_OK) *rowid = id;
    return code;
}

static int update_row(sql_table *table, sqlite3_value **values) {
    sqlite3_value **const columns = values + 2;
    sql_id old_id, id;
    int code = read_id(table, values[0], &old_id);
    if (code == SQLITE_OK) code = read_id(table, columns[SQL_COLUMN_KEY], &id);
    if (code == SQLITE_OK && id == old_id) code = read_id(table, values[1], &id);
    if (code == SQLITE_OK) code = read_vector(table, columns[SQL_COLUMN_VECTOR]);
    if (code == SQLITE_OK && id != old_id) code = check_conflict(table, id);
    if (code == SQLITE_OK && id != old_id) code = sql_outbox_append(table, old_id, NULL);
    return code == SQLITE_OK ? sql_outbox_append(table, id, table->vector) : code;
}

static int delete_row(sql_table *table, sqlite3_value *value) {
    bool exists = false;
    sql_id id;
    int code = read_id(table, value, &id);
    if (code == SQLITE_OK) code = sql_row_exists(table, id, &exists);
    return code == SQLITE_OK && exists ? sql_outbox_append(table, id, NULL) : code;
}

int sql_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
    sql_table *const table = (sql_table *)vtab;
    const int code = begin_writing(table);
    if (code != SQLITE_OK) return code;
    if (count == 1) return delete_row(table, values[0]);
    return sqlite3_value_type(values[0]) == SQLITE_NULL ? insert_row(table, values, rowid) : update_row(table, values);
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

static void forget_changes(sql_table *table) { sql_changes_reset(&table->changes, table->applied); }

int sql_begin(sqlite3_vtab *vtab) {
    ((sql_table *)vtab)->is_new_transaction = true;
    return SQLITE_OK;
}

int sql_sync(sqlite3_vtab *vtab) {
    (void)vtab;
    return SQLITE_OK;
}

int sql_commit(sqlite3_vtab *vtab) {
    ((sql_table *)vtab)->has_own_changes = false;
    return SQLITE_OK;
}

int sql_rollback(sqlite3_vtab *vtab) {
    ((sql_table *)vtab)->has_own_changes = false;
    forget_changes((sql_table *)vtab);
    return SQLITE_OK;
}

int sql_savepoint(sqlite3_vtab *vtab, int number) {
    (void)vtab;
    (void)number;
    return SQLITE_OK;
}

int sql_rollback_to(sqlite3_vtab *vtab, int number) {
    (void)number;
    forget_changes((sql_table *)vtab);
    return SQLITE_OK;
}
