/* functions.c - rhumb_distance, rhumb_info and rhumb_verify.
 *
 * rhumb_info and rhumb_verify take the name of a table of this connection or the path of any index. They look at
 * files, so they cannot be called from views and triggers (SQLITE_DIRECTONLY). Stateless.
 */
#include <string.h>

#include "bindings/sqlite/rhumb_sql.h"

static void fail(sqlite3_context *context, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *const message = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (message == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        sqlite3_result_error(context, message, -1);
    }
    sqlite3_free(message);
}

static void fail_status(sqlite3_context *context, const char *function, rhumb_status status) {
    const rhumb_error *const error = rhumb_error_last();
    fail(context, "%s: %s (%s)", function, error->message, rhumb_status_name(status));
    sqlite3_result_error_code(context, sql_code_of(status));
}

/* ---- rhumb_distance ---------------------------------------------------------------------------------------------- */

/* Reads the metric and the element type, the third and the fourth argument. */
static bool read_kind(sqlite3_context *context, int count, sqlite3_value **values, rhumb_index_options *options) {
    const char *const metric = count > 2 ? (const char *)sqlite3_value_text(values[2]) : "l2";
    const char *const element = count > 3 ? (const char *)sqlite3_value_text(values[3]) : "f32";
    rhumb_index_options_init(options, sizeof *options);
    options->metric = metric == NULL ? 0 : rhumb_metric_from_name(metric);
    options->element = element == NULL ? 0 : rhumb_element_from_name(element);
    if (rhumb_metric_supports(options->metric, options->element) && options->metric != RHUMB_METRIC_CUSTOM &&
        options->metric != RHUMB_METRIC_LEVENSHTEIN) {
        return true;
    }
    fail(context, "rhumb_distance: %s does not measure vectors of %s", metric == NULL ? "NULL" : metric,
         element == NULL ? "NULL" : element);
    return false;
}

static void measure(sqlite3_context *context, const rhumb_index_options *options, sqlite3_value **values,
                    uint8_t *vectors) {
    float distance;
    char *message = NULL;
    const size_t bytes = sql_vector_bytes(options->element, options->dim);
    int code = sql_vector_read(options, values[0], vectors, &message);
    if (code == SQLITE_OK) code = sql_vector_read(options, values[1], vectors + bytes, &message);
    if (code == SQLITE_OK) {
        const rhumb_status status = rhumb_vectors_measure(options, vectors, vectors + bytes, 1, &distance);
        if (status == RHUMB_OK) {
            sqlite3_result_double(context, distance);
        } else {
            fail_status(context, "rhumb_distance", status);
        }
    } else if (message != NULL) {
        fail(context, "rhumb_distance: %s", message);
    } else {
        sqlite3_result_error_code(context, code);
    }
    sqlite3_free(message);
}

static void rhumb_distance(sqlite3_context *context, int count, sqlite3_value **values) {
    rhumb_index_options options;
    if (count < 2 || count > 4) {
        fail(context, "rhumb_distance: expected (a, b, metric, type), the last two may be left out");
        return;
    }
    if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
    if (!read_kind(context, count, values, &options)) return;
    options.dim = sql_vector_dim(values[0], options.element);
    if (options.dim == 0) {
        fail(context, "rhumb_distance: the first argument is not a vector of %s", rhumb_element_name(options.element));
        return;
    }
    uint8_t *const vectors = sqlite3_malloc64(2 * sql_vector_bytes(options.element, options.dim));
    if (vectors == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        measure(context, &options, values, vectors);
    }
    sqlite3_free(vectors);
}

/* ---- rhumb_info -------------------------------------------------------------------------------------------------- */

/* Appends "text" with its quotes and escapes. */
static void append_text(sqlite3_str *json, const char *text) {
    sqlite3_str_appendchar(json, 1, '"');
    for (; *text != '\0'; text++) {
        const unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\') sqlite3_str_appendchar(json, 1, '\\');
        if (letter < 0x20) {
            sqlite3_str_appendf(json, "\\u%04x", letter);
        } else {
            sqlite3_str_appendchar(json, 1, *text);
        }
    }
    sqlite3_str_appendchar(json, 1, '"');
}

static void append_table(sqlite3_str *json, const sql_table *table) {
    sqlite3_str_appendall(json, "\"table\":");
    append_text(json, table->name);
    sqlite3_str_appendf(json, ",\"pending_count\":%lld,\"applied\":%lld,\"pulled_count\":%lld,\"drain_failure\":",
                        (sqlite3_int64)table->changes.count, table->applied, (sqlite3_int64)table->pulled_count);
    append_text(json, table->drain_failure);
    sqlite3_str_appendall(json, ",");
}

static void append_info(sqlite3_str *json, const rhumb_index_info *info) {
    sqlite3_str_appendf(json, ",\"dim\":%u,\"metric\":\"%s\",\"element\":\"%s\",\"count\":%llu,\"deleted_count\":%llu",
                        info->dim, info->metric == 0 ? "" : rhumb_metric_name(info->metric),
                        info->element == 0 ? "" : rhumb_element_name(info->element), info->count, info->deleted_count);
    sqlite3_str_appendf(json, ",\"M\":%u,\"ef_construction\":%u,\"ef_search\":%u,\"epoch\":%llu,\"file_bytes\":%llu",
                        info->M, info->ef_construction, info->ef_search, info->epoch, info->file_bytes);
    sqlite3_str_appendf(json, ",\"log_pending_count\":%llu,\"writer_open\":%s,\"problem_count\":%u,\"first_problem\":",
                        info->log_pending_count, info->writer_open ? "true" : "false", info->problem_count);
    append_text(json, info->first_problem);
}

/* Finds what a name stands for. Fills *path; *table is NULL for a path. */
static bool find_subject(sqlite3_context *context, const char *function, sqlite3_value *value, sql_table **table,
                         const char **path) {
    const char *const name = (const char *)sqlite3_value_text(value);
    if (name == NULL) {
        fail(context, "%s: expected the name of a table or the path of an index", function);
        return false;
    }
    *path = name;
    *table = sql_table_find(sqlite3_user_data(context), name);
    if (*table == NULL) return true;
    const int code = sql_table_sync(*table);
    if (code == SQLITE_OK) {
        *path = (*table)->path;
        return true;
    }
    fail(context, "%s: %s", function, (*table)->base.zErrMsg == NULL ? sqlite3_errstr(code) : (*table)->base.zErrMsg);
    sqlite3_free((*table)->base.zErrMsg);
    (*table)->base.zErrMsg = NULL;
    return false;
}

static void rhumb_info(sqlite3_context *context, int count, sqlite3_value **values) {
    sql_table *table;
    const char *path;
    rhumb_index_info info = {0};
    (void)count;
    if (!find_subject(context, "rhumb_info", values[0], &table, &path)) return;
    const bool has_index = table == NULL || table->index != NULL;
    const rhumb_status status = has_index ? rhumb_index_info_get(path, &info, sizeof info) : RHUMB_OK;
    if (status != RHUMB_OK) {
        fail_status(context, "rhumb_info", status);
        return;
    }
    sqlite3_str *const json = sqlite3_str_new(sqlite3_context_db_handle(context));
    sqlite3_str_appendall(json, "{");
    if (table != NULL) append_table(json, table);
    sqlite3_str_appendall(json, "\"path\":");
    append_text(json, path);
    if (has_index) append_info(json, &info);
    sqlite3_str_appendall(json, "}");
    char *const text = sqlite3_str_finish(json);
    if (text == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        sqlite3_result_text(context, text, -1, sqlite3_free);
    }
}

/* ---- rhumb_verify ------------------------------------------------------------------------------------------------ */

static void rhumb_verify(sqlite3_context *context, int count, sqlite3_value **values) {
    sql_table *table;
    const char *path;
    rhumb_index *index = NULL;
    rhumb_open_options options;
    rhumb_verify_report report = {0};
    (void)count;
    if (!find_subject(context, "rhumb_verify", values[0], &table, &path)) return;
    if (table != NULL && table->index == NULL) {
        sqlite3_result_text(context, "ok", -1, SQLITE_STATIC); /* all of it is in the database */
        return;
    }
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    options.warm_up = RHUMB_WARM_UP_NONE;
    rhumb_status status = rhumb_index_open(path, &options, &index);
    if (status == RHUMB_OK) status = rhumb_index_verify(index, &report, sizeof report);
    if (status == RHUMB_OK) {
        sqlite3_result_text(context, "ok", -1, SQLITE_STATIC);
    } else if (status == RHUMB_E_CORRUPT && report.first_error[0] != '\0') {
        sqlite3_result_text(context, report.first_error, -1, SQLITE_TRANSIENT);
    } else {
        fail_status(context, "rhumb_verify", status);
    }
    rhumb_index_close(index);
}

int sql_functions_register(sqlite3 *db, sql_module *module) {
    const int pure = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, direct = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    int code = sqlite3_create_function_v2(db, "rhumb_distance", -1, pure, module, rhumb_distance, NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_create_function_v2(db, "rhumb_info", 1, direct, module, rhumb_info, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_create_function_v2(db, "rhumb_verify", 1, direct, module, rhumb_verify, NULL, NULL, NULL);
    }
    return code;
}
