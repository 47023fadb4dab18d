/* janitor.c - removes the index of a table that was dropped, when the transaction that has dropped it is committed.
 *
 * A file cannot take part in a transaction, but a virtual table is called when one ends: rhumb_janitor, an eponymous
 * table that shows nothing. Inserting a path makes it part of the transaction. A rollback, also to a savepoint,
 * forgets the paths that were inserted since. A crash between the commit and the removal leaves the file. Paths come
 * as pointers of this code, which SQL cannot make, so that no statement of a user can remove a file.
 */
#include <string.h>
#include <unistd.h>

#include "bindings/sqlite/rhumb_sql.h"

typedef struct doomed {
    struct doomed *next; /* inserted before this one */
    int depth;           /* of savepoints, when it was inserted */
    char path[];
} doomed;

typedef struct janitor {
    sqlite3_vtab base;
    doomed *files;
    int depth;
} janitor;

#define POINTER_TYPE "rhumb0-path"

int sql_janitor_remove(sql_table *table, char *path) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(table->db, "INSERT INTO rhumb_janitor VALUES(?1)", -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_pointer(statement, 1, path, POINTER_TYPE, NULL);
    if (code == SQLITE_OK) sqlite3_step(statement);
    const int ended = sqlite3_finalize(statement);
    if (code == SQLITE_OK) code = ended;
    return code == SQLITE_OK ? SQLITE_OK : sql_fail(table, code, "%s", sqlite3_errmsg(table->db));
}

static void forget(janitor *janitor, int depth) {
    while (janitor->files != NULL && janitor->files->depth > depth) {
        doomed *const next = janitor->files->next;
        sqlite3_free(janitor->files);
        janitor->files = next;
    }
}

static int connect_janitor(sqlite3 *db, void *module, int argc, const char *const *argv, sqlite3_vtab **vtab,
                           char **message) {
    (void)module, (void)argc, (void)argv, (void)message;
    janitor *const made = sqlite3_malloc64(sizeof *made);
    if (made == NULL) return SQLITE_NOMEM;
    *made = (janitor){0};
    const int code = sqlite3_declare_vtab(db, "CREATE TABLE x(path TEXT)");
    if (code == SQLITE_OK) sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (code == SQLITE_OK) {
        *vtab = &made->base;
    } else {
        sqlite3_free(made);
    }
    return code;
}

static int disconnect_janitor(sqlite3_vtab *vtab) {
    forget((janitor *)vtab, -1);
    sqlite3_free(vtab);
    return SQLITE_OK;
}

static int plan_janitor(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    (void)vtab;
    info->estimatedRows = 0;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor) {
    (void)vtab;
    *cursor = sqlite3_malloc64(sizeof **cursor);
    return *cursor == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int filter(sqlite3_vtab_cursor *cursor, int plan, const char *letters, int count, sqlite3_value **values) {
    (void)cursor, (void)plan, (void)letters, (void)count, (void)values;
    return SQLITE_OK;
}

static int next_row(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return SQLITE_OK;
}

static int is_at_end(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return 1;
}

static int column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int number) {
    (void)cursor, (void)context, (void)number;
    return SQLITE_OK;
}

static int rowid_of(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    (void)cursor;
    *rowid = 0;
    return SQLITE_OK;
}

static int insert_path(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
    janitor *const janitor = (struct janitor *)vtab;
    const char *const path = count == 3 ? sqlite3_value_pointer(values[2], POINTER_TYPE) : NULL;
    if (path == NULL) return SQLITE_READONLY;
    doomed *const file = sqlite3_malloc64(sizeof *file + strlen(path) + 1);
    if (file == NULL) return SQLITE_NOMEM;
    strcpy(file->path, path);
    file->depth = janitor->depth;
    file->next = janitor->files;
    janitor->files = file;
    *rowid = 0;
    return SQLITE_OK;
}

static int begin(sqlite3_vtab *vtab) {
    ((janitor *)vtab)->depth = 0;
    return SQLITE_OK;
}

static int rollback(sqlite3_vtab *vtab) {
    forget((janitor *)vtab, -1);
    return SQLITE_OK;
}

static int commit(sqlite3_vtab *vtab) {
    for (doomed *file = ((janitor *)vtab)->files; file != NULL; file = file->next) unlink(file->path);
    return rollback(vtab);
}

/* Savepoint `number` begins: what comes now is deeper. */
static int savepoint(sqlite3_vtab *vtab, int number) {
    ((janitor *)vtab)->depth = number + 1;
    return SQLITE_OK;
}

/* Savepoint `number` and those in it end, and what they have stays. */
static int release(sqlite3_vtab *vtab, int number) {
    janitor *const janitor = (struct janitor *)vtab;
    for (doomed *file = janitor->files; file != NULL; file = file->next) {
        if (file->depth > number) file->depth = number;
    }
    janitor->depth = number;
    return SQLITE_OK;
}

static int rollback_to(sqlite3_vtab *vtab, int number) {
    forget((janitor *)vtab, number);
    return SQLITE_OK;
}

const sqlite3_module sql_janitor_module = {
    .iVersion = 2,
    .xConnect = connect_janitor,
    .xBestIndex = plan_janitor,
    .xDisconnect = disconnect_janitor,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next_row,
    .xEof = is_at_end,
    .xColumn = column,
    .xRowid = rowid_of,
    .xUpdate = insert_path,
    .xBegin = begin,
    .xCommit = commit,
    .xRollback = rollback,
    .xSavepoint = savepoint,
    .xRelease = release,
    .xRollbackTo = rollback_to,
};
