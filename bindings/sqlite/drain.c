/* drain.c - moves the changes of the outbox into the index.
 *
 * The index is opened for writing in mode none, without a log: the outbox is the log. Changes are written in batches,
 * of each row the last one alone, and published together with the number of the last change, in the index's metadata.
 * A crash before that leaves the index as it was; a failure may leave some of the changes in it, which searches do
 * not see, since the outbox still has them all. Only one process can have the index open for writing; others that
 * come to the same idea let it do the work.
 *
 * A new index is made under another name and linked to its own when its metadata are complete.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bindings/sqlite/rhumb_sql.h"

#define METADATA_FORMAT "rhumb0 1 %32s %lld"
#define BATCH_BYTES ((size_t)64 << 20) /* of vectors */
#define BATCH_COUNT ((size_t)1 << 17)
#define DEAD_COUNT_MIN 1000 /* deleted vectors from which on an index is compacted when they are a fifth */
#define BUSY_MS 1000

int sql_metadata_read(sql_table *table, rhumb_index *index, sqlite3_int64 *applied) {
    char text[SQL_METADATA_BYTES + 1], uuid[33];
    long long number;
    size_t count = 0;
    const rhumb_status status = rhumb_index_metadata_get(index, text, SQL_METADATA_BYTES, &count);
    if (status != RHUMB_OK) return sql_fail_status(table, status);
    if (count == 0 && table->adopted) {
        *applied = 0;
        return SQLITE_OK;
    }
    text[count < SQL_METADATA_BYTES ? count : SQL_METADATA_BYTES] = '\0';
    if (count > SQL_METADATA_BYTES || sscanf(text, METADATA_FORMAT, uuid, &number) != 2 || number < 0) {
        return sql_fail(table, SQLITE_ERROR, "%s is not the index of a table", table->path);
    }
    if (strcmp(uuid, table->uuid) != 0) {
        return sql_fail(table, SQLITE_ERROR, "%s is the index of another table (%s), not of %s (%s)", table->path, uuid,
                        table->name, table->uuid);
    }
    *applied = number;
    return SQLITE_OK;
}

static rhumb_status write_metadata(sql_table *table, rhumb_index *index, sqlite3_int64 applied) {
    char text[SQL_METADATA_BYTES];
    const int count = snprintf(text, sizeof text, METADATA_FORMAT, table->uuid, (long long)applied);
    return rhumb_index_metadata_set(index, text, (size_t)count);
}

static rhumb_status open_writer(const char *path, rhumb_index **index) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = RHUMB_DURABILITY_NONE;
    options.warm_up = RHUMB_WARM_UP_NONE;
    return rhumb_index_open(path, &options, index);
}

/* Makes an empty index at `path`, which a crash may have left from an earlier attempt. */
static rhumb_status create_at(sql_table *table, const char *path) {
    rhumb_index *index = NULL;
    rhumb_open_options open_options;
    rhumb_index_options options = table->spec.options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.durability = RHUMB_DURABILITY_NONE;
    options.open = &open_options;
    rhumb_status status = rhumb_index_create(path, &options, &index);
    if (status == RHUMB_E_EXISTS) {
        status = open_writer(path, &index);
        rhumb_index_close(index);
        if (status == RHUMB_E_LOCKED) return status; /* another process is making it */
        index = NULL;
        unlink(path);
        status = rhumb_index_create(path, &options, &index);
    }
    if (status != RHUMB_OK) return status;
    status = write_metadata(table, index, 0);
    const rhumb_status closed = rhumb_index_close(index);
    return status == RHUMB_OK ? closed : status;
}

static int create_index(sql_table *table) {
    char *const path = sqlite3_mprintf("%s-new", table->path);
    if (path == NULL) return SQLITE_NOMEM;
    int code = SQLITE_OK;
    const rhumb_status status = create_at(table, path);
    if (status != RHUMB_OK) {
        code = sql_fail_status(table, status);
    } else {
        if (link(path, table->path) != 0 && access(table->path, F_OK) != 0) {
            code = sql_fail(table, SQLITE_CANTOPEN, "%s cannot be created", table->path);
        }
        unlink(path);
    }
    sqlite3_free(path);
    return code;
}

/* A batch that is being collected. */
typedef struct batch {
    rhumb_write *writes;
    uint8_t *vectors;
    size_t count, capacity;
} batch;

static int allocate(sql_table *table, batch *batch) {
    const size_t fitting = BATCH_BYTES / table->spec.vector_bytes + 1;
    batch->capacity = table->changes.count < BATCH_COUNT ? table->changes.count : BATCH_COUNT;
    if (batch->capacity > fitting) batch->capacity = fitting;
    batch->writes = sqlite3_malloc64((batch->capacity + 1) * sizeof *batch->writes);
    batch->vectors = sqlite3_malloc64((batch->capacity + 1) * table->spec.vector_bytes);
    return batch->writes == NULL || batch->vectors == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int write_batch(sql_table *table, rhumb_index *index, batch *batch) {
    const rhumb_status status = rhumb_index_write_batch(index, batch->writes, batch->count, NULL, NULL, 0);
    batch->count = 0;
    return status == RHUMB_OK ? SQLITE_OK : sql_fail_status(table, status);
}

/* Adds a change to the batch, unless a later one of its row makes it needless. */
static int collect(sql_table *table, sqlite3_stmt *statement, batch *batch) {
    const sql_id id = sqlite3_column_int64(statement, 1);
    const size_t bytes = table->spec.vector_bytes;
    const sql_change *const change = sql_changes_find(&table->changes, id);
    if (change == NULL || change->seq != sqlite3_column_int64(statement, 0)) return SQLITE_OK;
    const void *const vector = sqlite3_column_blob(statement, 2);
    if (vector != NULL && (size_t)sqlite3_column_bytes(statement, 2) != bytes) {
        return sql_fail(table, SQLITE_CORRUPT_VTAB, "change %lld of %s_outbox is damaged", change->seq, table->name);
    }
    uint8_t *const place = batch->vectors + batch->count * bytes;
    if (vector != NULL) memcpy(place, vector, bytes);
    batch->writes[batch->count++] = (rhumb_write){.kind = vector != NULL ? RHUMB_WRITE_UPSERT : RHUMB_WRITE_DELETE,
                                                  .key = sql_key_of(id),
                                                  .vector = vector != NULL ? place : NULL};
    return SQLITE_OK;
}

/* Writes the changes after `applied`. */
static int write_changes(sql_table *table, rhumb_index *index, sqlite3_int64 applied, batch *batch) {
    int code = SQLITE_OK;
    sqlite3_stmt *const statement = sql_statement(table, SQL_READ_VECTORS);
    if (statement == NULL) return SQLITE_ERROR;
    sqlite3_bind_int64(statement, 1, applied);
    sqlite3_bind_int64(statement, 2, table->changes.last_seq);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        code = collect(table, statement, batch);
        if (code == SQLITE_OK && batch->count == batch->capacity) code = write_batch(table, index, batch);
    }
    if (code == SQLITE_DONE) code = SQLITE_OK;
    sqlite3_reset(statement);
    if (code == SQLITE_OK && batch->count > 0) code = write_batch(table, index, batch);
    return code;
}

static rhumb_status compact_if_due(rhumb_index *index, bool compact) {
    struct rhumb_index_stats stats;
    const rhumb_status status = rhumb_index_stats_get(index, &stats, offsetof(rhumb_index_stats, durability));
    if (status != RHUMB_OK) return status;
    const uint64_t dead_count = stats.slot_count - stats.count;
    if (!compact && (dead_count < DEAD_COUNT_MIN || dead_count < stats.slot_count / 5)) return RHUMB_OK;
    return rhumb_index_compact(index, NULL, NULL, 0);
}

static int drain_into(sql_table *table, rhumb_index *index, bool compact) {
    sqlite3_int64 applied = 0;
    batch batch = {0};
    const sqlite3_int64 last_seq = table->changes.last_seq;
    int code = sql_metadata_read(table, index, &applied);
    if (code == SQLITE_OK && applied < table->applied) { /* another file has come to the path since the last sync */
        code = sql_fail(table, SQLITE_CORRUPT_VTAB, "%s is older than it was", table->path);
    }
    if (code == SQLITE_OK) code = allocate(table, &batch);
    if (code == SQLITE_OK && applied < last_seq) code = write_changes(table, index, applied, &batch);
    sqlite3_free(batch.writes);
    sqlite3_free(batch.vectors);
    if (code != SQLITE_OK) return code;
    rhumb_status status = compact_if_due(index, compact);
    if (status == RHUMB_OK && applied < last_seq) status = write_metadata(table, index, last_seq);
    return status == RHUMB_OK ? SQLITE_OK : sql_fail_status(table, status);
}

/* Waits until the committed transactions are on the disk. With some settings (synchronous = NORMAL and a write-ahead
 * log, say) a power cut may take back what SQLite has committed, and the index must not be ahead of it then. */
static int sync_database(sql_table *table) {
    static const int which[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    for (size_t i = 0; i < sizeof which / sizeof which[0]; i++) {
        sqlite3_file *file = NULL;
        sqlite3_file_control(table->db, table->schema, which[i], &file);
        if (file == NULL || file->pMethods == NULL) continue;
        const int code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
        if (code != SQLITE_OK) return sql_fail(table, code, "%s: the database cannot be synced", table->name);
    }
    return SQLITE_OK;
}

int sql_drain(sql_table *table, bool compact) {
    rhumb_index *index = NULL;
    int code = sync_database(table);
    if (code != SQLITE_OK) return code;
    if (table->index == NULL && access(table->path, F_OK) != 0) code = create_index(table);
    if (code != SQLITE_OK) return code;
    rhumb_status status = open_writer(table->path, &index);
    if (status != RHUMB_OK) return sql_fail_status(table, status);
    code = drain_into(table, index, compact);
    status = rhumb_index_close(index);
    if (code == SQLITE_OK && status != RHUMB_OK) code = sql_fail_status(table, status);
    return code == SQLITE_OK ? sql_index_refresh(table) : code;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int sql_drain_if(sql_table *table, sqlite3_int64 changes_min) {
    if ((sqlite3_int64)table->changes.count < changes_min || table->has_own_changes) return SQLITE_OK;
    if (sqlite3_db_readonly(table->db, table->schema) != 0 || now_ms() < table->busy_until_ms) return SQLITE_OK;
    int code = sql_index_refresh(table); /* another process may have done it */
    if (code == SQLITE_OK) code = sql_table_sync(table);
    if (code != SQLITE_OK || (sqlite3_int64)table->changes.count < changes_min) return code;
    code = sql_drain(table, false);
    table->drain_failure[0] = '\0';
    if (code == SQLITE_OK) return SQLITE_OK;
    table->busy_until_ms = now_ms() + BUSY_MS;
    const char *const why = table->base.zErrMsg == NULL ? sqlite3_errstr(code) : table->base.zErrMsg;
    if (code != SQLITE_BUSY) {
        sqlite3_snprintf(sizeof table->drain_failure, table->drain_failure, "%s", why);
        sqlite3_log(code, "rhumb0: changes of %s wait: %s", table->name, why);
    }
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
    return sql_table_sync(table);
}
