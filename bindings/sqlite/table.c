/* table.c - a table's life: created, connected, renamed, dropped; and what goes wrong with it.
 *
 * Connecting opens no file, so that a table whose index is missing or damaged can still be dropped. The index is made
 * by the first drain, and its file is removed when a transaction that has dropped the table is committed (janitor.c).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/sqlite/rhumb_sql.h"

/* ---- failures ---------------------------------------------------------------------------------------------------- */

int sql_fail(sql_table *table, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *const message = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = message;
    return code;
}

int sql_code_of(rhumb_status status) {
    switch (status) {
    case RHUMB_OK: return SQLITE_OK;
    case RHUMB_E_NOMEM: return SQLITE_NOMEM;
    case RHUMB_E_IO:
    case RHUMB_E_FATAL: return SQLITE_IOERR;
    case RHUMB_E_NOSPACE:
    case RHUMB_E_FULL: return SQLITE_FULL;
    case RHUMB_E_CORRUPT:
    case RHUMB_E_TRUNCATED:
    case RHUMB_E_NOT_AN_INDEX: return SQLITE_CORRUPT_VTAB;
    case RHUMB_E_LOCKED: return SQLITE_BUSY;
    case RHUMB_E_READONLY: return SQLITE_READONLY;
    case RHUMB_E_NOTFOUND: return SQLITE_CANTOPEN;
    default: return SQLITE_ERROR;
    }
}

int sql_fail_status(sql_table *table, rhumb_status status) {
    const rhumb_error *const error = rhumb_error_last();
    return sql_fail(table, sql_code_of(status), "%s: %s (%s)%s%s", table->name, error->message,
                    rhumb_status_name(status), error->path[0] == '\0' ? "" : ": ", error->path);
}

/* ---- creating and connecting ------------------------------------------------------------------------------------- */

static void free_table(sql_table *table) {
    if (table == NULL) return;
    sql_statements_free(table);
    sql_changes_free(&table->changes);
    sql_spec_free(&table->spec);
    rhumb_index_close(table->index);
    sqlite3_free(table->path);
    sqlite3_free(table->schema);
    sqlite3_free(table->name);
    sqlite3_free(table->vector);
    sqlite3_free(table->base.zErrMsg);
    sqlite3_free(table);
}

static int declare(sql_table *table) {
    char *const sql = sqlite3_mprintf("CREATE TABLE x(\"%w\" INTEGER, \"%w\", distance REAL HIDDEN, k INTEGER HIDDEN,"
                                      " ef INTEGER HIDDEN, \"%w\" HIDDEN)",
                                      table->spec.key_column, table->spec.column, table->name);
    if (sql == NULL) return SQLITE_NOMEM;
    int code = sqlite3_declare_vtab(table->db, sql);
    sqlite3_free(sql);
    if (code == SQLITE_OK) code = sqlite3_vtab_config(table->db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    return code;
}

/* Makes the object of a table of which argc and argv are those of xCreate. */
static int make_table(sqlite3 *db, sql_module *module, const char *const *argv, int argc, sql_table **table_out,
                      char **message) {
    sql_table *const table = sqlite3_malloc64(sizeof *table);
    if (table == NULL) return SQLITE_NOMEM;
    memset(table, 0, sizeof *table);
    table->db = db;
    table->module = module;
    table->changes.id_max = INT64_MIN;
    int code = sql_spec_read(argc - 3, argv + 3, &table->spec, message);
    table->schema = sqlite3_mprintf("%s", argv[1]);
    table->name = sqlite3_mprintf("%s", argv[2]);
    if (code == SQLITE_OK) table->vector = sqlite3_malloc64(table->spec.vector_bytes);
    if (code == SQLITE_OK && (table->schema == NULL || table->name == NULL || table->vector == NULL))
        code = SQLITE_NOMEM;
    if (code == SQLITE_OK) code = declare(table);
    if (code == SQLITE_OK) {
        *table_out = table;
    } else {
        free_table(table);
    }
    return code;
}

static void attach(sql_table *table) {
    table->next = table->module->tables;
    table->module->tables = table;
}

static void detach(sql_table *table) {
    sql_table **place = &table->module->tables;
    while (*place != NULL && *place != table) place = &(*place)->next;
    if (*place == table) *place = table->next;
}

static int connect_table(sqlite3 *db, void *module, int argc, const char *const *argv, sqlite3_vtab **vtab,
                         char **message) {
    sql_table *table = NULL;
    const int code = make_table(db, module, argv, argc, &table, message);
    if (code != SQLITE_OK) return code;
    attach(table);
    *vtab = &table->base;
    return SQLITE_OK;
}

static void draw_uuid(char uuid[33]) {
    uint8_t bytes[16];
    sqlite3_randomness(sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) sqlite3_snprintf(3, uuid + 2 * i, "%02x", bytes[i]);
}

/* Of a table of a database without a file, which lasts as long as its connection. */
static int choose_temporary(sql_table *table) {
    const char *const folder = getenv("TMPDIR");
    table->path =
        sqlite3_mprintf("%s/rhumb0-%s.rhumb", folder == NULL || folder[0] != '/' ? "/tmp" : folder, table->uuid);
    if (table->path == NULL) return SQLITE_NOMEM;
    const size_t bytes = strlen(table->path) + 1;
    sql_temporary *const temporary = sqlite3_malloc64(sizeof *temporary + bytes);
    if (temporary == NULL) return SQLITE_NOMEM;
    memcpy(temporary->path, table->path, bytes);
    temporary->next = table->module->temporaries;
    table->module->temporaries = temporary;
    return SQLITE_OK;
}

/* Chooses the path of the index, to be stored in the database: relative to the database's folder, if it has one. */
static int choose_path(sql_table *table) {
    const char *const database = sqlite3_db_filename(table->db, table->schema);
    const bool is_file = database != NULL && database[0] != '\0';
    if (table->spec.path != NULL) {
        table->path = sqlite3_mprintf("%s", table->spec.path);
    } else if (is_file) {
        const char *const slash = strrchr(database, '/');
        table->path = sqlite3_mprintf("%s-%s.rhumb", slash == NULL ? database : slash + 1, table->name);
        for (char *at = table->path; at != NULL && *at != '\0'; at++) {
            if (*at == '/') *at = '_'; /* of the table's name: the index is in the database's folder */
        }
    } else {
        return choose_temporary(table);
    }
    return table->path == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* Checks that the index is there if it is to be adopted, and else that nothing is. */
static int check_path(sql_table *table, char **message) {
    bool is_free = false;
    int code = sql_table_sync(table);
    if (code == SQLITE_OK) is_free = access(table->path, F_OK) != 0;
    if (!table->spec.adopt && !is_free && table->path != NULL) {
        code = sql_fail(table, SQLITE_ERROR, "%s exists; remove it, choose another path=, or adopt=1 it", table->path);
    }
    if (code != SQLITE_OK) *message = sqlite3_mprintf("%s", table->base.zErrMsg == NULL ? "" : table->base.zErrMsg);
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
    return code;
}

static int create_table(sqlite3 *db, void *module, int argc, const char *const *argv, sqlite3_vtab **vtab,
                        char **message) {
    sql_table *table = NULL;
    int code = make_table(db, module, argv, argc, &table, message);
    if (code != SQLITE_OK) return code;
    draw_uuid(table->uuid);
    code = choose_path(table);
    if (code == SQLITE_OK) code = sql_outbox_create(table, message);
    if (code == SQLITE_OK) code = check_path(table, message);
    if (code != SQLITE_OK) {
        free_table(table);
        return code;
    }
    table->is_new_transaction = true; /* xBegin is not called in the transaction that creates it */
    attach(table);
    *vtab = &table->base;
    return SQLITE_OK;
}

static int disconnect_table(sqlite3_vtab *vtab) {
    detach((sql_table *)vtab);
    free_table((sql_table *)vtab);
    return SQLITE_OK;
}

static int destroy_table(sqlite3_vtab *vtab) {
    sql_table *const table = (sql_table *)vtab;
    sql_table_sync(table); /* for the path; what is missing or damaged does not matter any more */
    int code = SQLITE_OK;
    if (table->path != NULL && !table->adopted) code = sql_janitor_remove(table, table->path);
    if (code == SQLITE_OK) code = sql_outbox_drop(table);
    return code == SQLITE_OK ? disconnect_table(vtab) : code;
}

static int rename_table(sqlite3_vtab *vtab, const char *new_name) {
    return sql_outbox_rename((sql_table *)vtab, new_name);
}

static int is_shadow_name(const char *ending) {
    return sqlite3_stricmp(ending, "info") == 0 || sqlite3_stricmp(ending, "outbox") == 0;
}

sql_table *sql_table_find(sql_module *module, const char *name) {
    for (sql_table *table = module->tables; table != NULL; table = table->next) {
        const size_t length = strlen(table->schema);
        if (sqlite3_stricmp(table->name, name) == 0) return table;
        if (sqlite3_strnicmp(table->schema, name, (int)length) == 0 && name[length] == '.' &&
            sqlite3_stricmp(table->name, name + length + 1) == 0) {
            return table;
        }
    }
    return NULL;
}

const sqlite3_module sql_table_module = {
    .iVersion = 3,
    .xCreate = create_table,
    .xConnect = connect_table,
    .xBestIndex = sql_best_index,
    .xDisconnect = disconnect_table,
    .xDestroy = destroy_table,
    .xOpen = sql_cursor_open,
    .xClose = sql_cursor_close,
    .xFilter = sql_cursor_filter,
    .xNext = sql_cursor_next,
    .xEof = sql_cursor_eof,
    .xColumn = sql_cursor_column,
    .xRowid = sql_cursor_rowid,
    .xUpdate = sql_update,
    .xBegin = sql_begin,
    .xSync = sql_sync,
    .xCommit = sql_commit,
    .xRollback = sql_rollback,
    .xRename = rename_table,
    .xSavepoint = sql_savepoint,
    .xRelease = sql_savepoint,
    .xRollbackTo = sql_rollback_to,
    .xShadowName = is_shadow_name,
};
