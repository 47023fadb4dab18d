/* rhumb_sql.h - what the files of the SQLite extension rhumb0 share.
 *
 * A table of the module rhumb0 has its vectors in two places. An index of rhumb, in a file of its own, has what was
 * moved there; the *outbox*, a table of the same database, has the changes since then. Every write goes into the
 * outbox, by SQL, so that transactions, savepoints and crashes are SQLite's business alone. Every read sees the index
 * with the changes of the outbox over it. From time to time the changes that are committed are moved into the index
 * as a batch (drain.c). The index says in its metadata up to which change it has them; that is published by the same
 * checkpoint as the changes themselves, and only afterwards they are deleted from the outbox. Applying a change twice
 * does no harm, so the two files agree whatever happens in between.
 *
 * No process keeps the index open for writing: a drain opens it, writes, and closes it. Searches use a read-only
 * handle of the connection's own.
 *
 * Locking: SQLite calls all of this under the mutex of the connection, and nothing is shared between connections.
 * Memory comes from sqlite3_malloc64. Functions return SQLite's codes; the message is in table->base.zErrMsg.
 */
#ifndef RHUMB_BINDINGS_SQLITE_RHUMB_SQL_H
#define RHUMB_BINDINGS_SQLITE_RHUMB_SQL_H

#include <sqlite3ext.h>
#include <stdbool.h>
#include <stdint.h>

#include "rhumb.h"

SQLITE_EXTENSION_INIT3

#define SQL_CHANGES_DEFAULT 1000 /* committed changes at which a writer moves them into the index */
#define SQL_SEARCH_FACTOR 4      /* a search does it at so many times as many, when no writer has */

typedef sqlite3_int64 sql_id;

/* The key of a row in the index. Rowids are signed; -1, which would be RHUMB_KEY_NONE, is refused. */
static inline uint64_t sql_key_of(sql_id id) { return (uint64_t)id; }
static inline sql_id sql_id_of(uint64_t key) { return (sql_id)key; }

/* A row that was found. */
typedef struct sql_hit {
    sql_id id;
    double distance;
} sql_hit;

/* ---- spec.c: the arguments of CREATE VIRTUAL TABLE --------------------------------------------------------------- */

typedef struct sql_spec {
    char *key_column;            /* name of the column of rowids */
    char *column;                /* name of the column of vectors */
    char *path;                  /* of the index, as given; NULL: named after database and table */
    bool adopt;                  /* the index exists already, made by other means */
    sqlite3_int64 changes_max;   /* see SQL_CHANGES_DEFAULT */
    rhumb_index_options options; /* dim, metric, element and what else was given */
    size_t vector_bytes;
} sql_spec;

/* Reads the arguments after the table's name. On failure *message says why; release it with sqlite3_free. */
int sql_spec_read(int count, const char *const *arguments, sql_spec *spec, char **message);

void sql_spec_free(sql_spec *spec);

/* ---- vector.c: vectors in SQL ------------------------------------------------------------------------------------ */

/* The bytes of a vector of `dim` components. */
size_t sql_vector_bytes(rhumb_element element, uint32_t dim);

/* Writes the vector of a value, a blob of its components or the text of a JSON array, to `vector`, and checks that the
 * metric of `options` measures it. On failure *message says why; release it with sqlite3_free. */
int sql_vector_read(const rhumb_index_options *options, sqlite3_value *value, void *vector, char **message);

/* The number of components of a JSON array, or of a blob of `element`; 0 if the value is neither. */
uint32_t sql_vector_dim(sqlite3_value *value, rhumb_element element);

/* ---- changes.c: the changes of the outbox, in memory ------------------------------------------------------------- */

/* The last change of one row. */
typedef struct sql_change {
    sql_id id;
    sqlite3_int64 seq; /* its place in the outbox */
    bool live;         /* inserted or replaced; false: deleted */
    bool loaded;       /* its vector is in sql_changes.vectors */
} sql_change;

/* All rows that have changed since the version of the index that is being read. Vectors are loaded by searches only. */
typedef struct sql_changes {
    sql_change *items;
    size_t count, capacity;
    uint32_t *places; /* hash table: 1 + the number of an item, or 0 */
    size_t place_count;
    uint8_t *vectors; /* that of item i is at i * vector_bytes */
    size_t vector_capacity;
    uint64_t *keys; /* of all items, ascending; made when asked for */
    bool keys_made;
    sqlite3_int64 last_seq;   /* changes up to this one are here, or in the index */
    sqlite3_int64 loaded_seq; /* vectors up to this one have been loaded */
    sql_id id_max;
    int64_t live_count;
} sql_changes;

/* Forgets everything; changes up to `seq` are in the index. */
void sql_changes_reset(sql_changes *changes, sqlite3_int64 seq);

void sql_changes_free(sql_changes *changes);

int sql_changes_put(sql_changes *changes, sql_id id, sqlite3_int64 seq, bool live);

/* The change of a row, or NULL. */
sql_change *sql_changes_find(const sql_changes *changes, sql_id id);

/* Sets *keys to the keys of all changed rows, ascending; valid until the next change. */
int sql_changes_keys(sql_changes *changes, const uint64_t **keys);

/* ---- table.c: a table's life ------------------------------------------------------------------------------------- */

typedef struct sql_table sql_table;

/* The index of a table of a database without a file. */
typedef struct sql_temporary {
    struct sql_temporary *next;
    char path[];
} sql_temporary;

/* What the tables of a connection share. */
typedef struct sql_module {
    sqlite3 *db;
    sql_table *tables;          /* those that are connected */
    sql_temporary *temporaries; /* removed when the connection is closed */
} sql_module;

enum sql_statement {
    SQL_READ_STATE,
    SQL_READ_CHANGES,
    SQL_READ_VECTORS,
    SQL_READ_VECTOR,
    SQL_READ_LAST,
    SQL_APPEND,
    SQL_PURGE,
    SQL_SET_PURGED,
    SQL_STATEMENT_COUNT
};

struct sql_table {
    sqlite3_vtab base;
    sql_module *module;
    sql_table *next;
    sqlite3 *db;
    char *schema, *name;
    sql_spec spec;
    char *path;              /* of the index; NULL before the state has been read */
    char uuid[33];           /* identity of the table, which its index has too; hexadecimal */
    bool adopted;            /* an index without such an identity is this table's */
    rhumb_index *index;      /* read-only; NULL: not opened yet, or there is none yet */
    sqlite3_int64 applied;   /* the change up to which the version that `index` shows has all */
    sqlite3_int64 purged;    /* the change up to which the outbox has been emptied */
    sql_changes changes;     /* those after `applied` */
    bool is_new_transaction; /* no row has been written in it yet */
    bool has_own_changes;    /* of the running transaction */
    uint8_t *vector;         /* room for one */
    uint64_t pulled_count;   /* rows that iterators have listed for queries without k */
    int64_t busy_until_ms;   /* another process was moving changes; not tried again before */
    char drain_failure[256]; /* why changes could not be moved the last time, or "" */
    sqlite3_stmt *statements[SQL_STATEMENT_COUNT];
};

extern const sqlite3_module sql_table_module;

/* The table of that name, as "name" or "schema.name", which is connected; NULL if there is none. */
sql_table *sql_table_find(sql_module *module, const char *name);

/* Sets the message. Returns `code`. */
int sql_fail(sql_table *table, int code, const char *format, ...);

/* Sets the message to that of the library's last failure. Returns the code that corresponds to `status`. */
int sql_fail_status(sql_table *table, rhumb_status status);
int sql_code_of(rhumb_status status);

/* ---- outbox.c: the tables of the database in which a table of the module is kept --------------------------------- */

/* Creates, drops and renames them. */
int sql_outbox_create(sql_table *table, char **message);
int sql_outbox_drop(sql_table *table);
int sql_outbox_rename(sql_table *table, const char *new_name);

/* A statement of the table, prepared once, reset and ready to be bound; NULL after a failure. */
sqlite3_stmt *sql_statement(sql_table *table, enum sql_statement which);

void sql_statements_free(sql_table *table);

/* Brings what the table knows up to date with the transaction: opens the index or moves to a newer version of it if the
 * outbox says so, and reads the changes that are new. */
int sql_table_sync(sql_table *table);

/* Moves to the newest version of the index. */
int sql_index_refresh(sql_table *table);

/* Reads the vectors of all changes. After sql_table_sync. */
int sql_changes_load(sql_table *table);

/* Writes a change; `vector` is NULL for a deletion. */
int sql_outbox_append(sql_table *table, sql_id id, const void *vector);

/* Deletes from the outbox what the index has. Within a writing transaction. */
int sql_outbox_purge(sql_table *table);

/* ---- drain.c: from the outbox into the index --------------------------------------------------------------------- */

/* The metadata of an index: "rhumb0 1 UUID APPLIED". */
#define SQL_METADATA_BYTES 128

/* Reads the metadata. *applied is -1 if there is none, which `uuid` is not compared with then. */
int sql_metadata_read(sql_table *table, rhumb_index *index, sqlite3_int64 *applied);

/* Moves all changes into the index, creates it if there is none, and moves on to its new version. Not in a transaction
 * that has changes of its own. SQLITE_BUSY: another process is doing it. */
int sql_drain(sql_table *table, bool compact);

/* Does so if there are `changes_min` changes. A failure to move them is recorded, and the changes wait. */
int sql_drain_if(sql_table *table, sqlite3_int64 changes_min);

/* ---- plan.c, cursor.c, find.c, update.c: reading and writing rows ------------------------------------------------ */

enum sql_column {
    SQL_COLUMN_KEY,
    SQL_COLUMN_VECTOR,
    SQL_COLUMN_DISTANCE,
    SQL_COLUMN_K,
    SQL_COLUMN_EF,
    SQL_COLUMN_COMMAND
};

/* How rows are found; sqlite3_index_info.idxNum. */
enum sql_plan { SQL_PLAN_SCAN, SQL_PLAN_NEAREST };

/* What an argument of xFilter is; the letters of sqlite3_index_info.idxStr. */
enum sql_argument {
    SQL_ARGUMENT_QUERY = 'q',
    SQL_ARGUMENT_K = 'k',
    SQL_ARGUMENT_EF = 'e',
    SQL_ARGUMENT_IN = 'i',     /* rowid in a list */
    SQL_ARGUMENT_IS = '=',     /* rowid = */
    SQL_ARGUMENT_ABOVE = '>',  /* rowid > */
    SQL_ARGUMENT_FROM = ')',   /* rowid >= */
    SQL_ARGUMENT_BELOW = '<',  /* rowid < */
    SQL_ARGUMENT_TO = '(',     /* rowid <= */
    SQL_ARGUMENT_RADIUS = 'r', /* distance < or <= */
    SQL_ARGUMENT_LIMIT = 'l',
    SQL_ARGUMENT_OFFSET = 'o',
    SQL_ARGUMENT_SORTED = 's' /* not an argument, last: rows are to be in the order of rowids */
};

/* Which rows may be found, and how many. */
typedef struct sql_request {
    const void *query;
    sqlite3_int64 k;  /* -1: as many as are asked for */
    sqlite3_int64 ef; /* 0: the index's own */
    bool has_radius;
    double radius;
    sql_id first, last; /* rowids in between; none if first > last */
    bool is_listed;     /* only those of `keys` */
    bool is_sorted;
    uint64_t *keys; /* ascending */
    size_t key_count;
    uint64_t *hidden; /* rows whose change hides what the index has; ascending */
    size_t hidden_count;
} sql_request;

typedef struct sql_cursor {
    sqlite3_vtab_cursor base;
    sql_request request;
    uint8_t *query;
    sql_hit *hits; /* what was found; with an iterator what was found among the changes */
    size_t hit_count, hit_index;
    rhumb_iterator *iterator;
    bool iterator_ended;
    sql_hit *ahead; /* a heap of what the iterator has listed */
    size_t ahead_count;
    sql_hit current;
    bool at_end;
} sql_cursor;

int sql_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
int sql_cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **cursor_out);
int sql_cursor_close(sqlite3_vtab_cursor *cursor);
int sql_cursor_filter(sqlite3_vtab_cursor *cursor, int plan, const char *letters, int count, sqlite3_value **values);
int sql_cursor_next(sqlite3_vtab_cursor *cursor);
int sql_cursor_eof(sqlite3_vtab_cursor *cursor);
int sql_cursor_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column);
int sql_cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid);

/* Fills the hits of a cursor whose request is complete, or opens its iterator. After sql_table_sync. */
int sql_find(sql_cursor *cursor);
int sql_find_rows(sql_cursor *cursor);

/* Takes the next hit of a cursor with an iterator; sets at_end. */
int sql_iterate(sql_cursor *cursor);

/* Whether a row exists. After sql_table_sync. */
int sql_row_exists(sql_table *table, sql_id id, bool *exists);

int sql_update(sqlite3_vtab *vtab, int count, sqlite3_value **values, sqlite3_int64 *rowid);
int sql_begin(sqlite3_vtab *vtab);
int sql_sync(sqlite3_vtab *vtab);
int sql_commit(sqlite3_vtab *vtab);
int sql_rollback(sqlite3_vtab *vtab);
int sql_savepoint(sqlite3_vtab *vtab, int number);
int sql_rollback_to(sqlite3_vtab *vtab, int number);

/* ---- janitor.c: removing files with a transaction ---------------------------------------------------------------- */

/* Has the file removed when the transaction is committed. */
int sql_janitor_remove(sql_table *table, char *path);
extern const sqlite3_module sql_janitor_module;

/* ---- functions.c, scan.c ----------------------------------------------------------------------------------------- */

/* Registers rhumb_distance, rhumb_info and rhumb_verify; and rhumb_scan. */
int sql_functions_register(sqlite3 *db, sql_module *module);
extern const sqlite3_module sql_scan_module;

#endif /* RHUMB_BINDINGS_SQLITE_RHUMB_SQL_H */
