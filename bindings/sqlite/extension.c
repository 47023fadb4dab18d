/* extension.c - the entry of the extension, which SQLite finds by the name of the file, rhumb0.so: registers the
 * modules and the functions with a connection.
 *
 * The library stays loaded when the connection is closed: threads that have called it have memory of its own, which
 * is released when they end.
 */
#include <stdio.h>
#include <unistd.h>

#include "bindings/sqlite/rhumb_sql.h"

SQLITE_EXTENSION_INIT1

#define SQLITE_NUMBER_MIN 3038000 /* the first with lists and LIMIT in xBestIndex */

static void free_module(void *context) {
    sql_module *const module = context;
    while (module->temporaries != NULL) {
        sql_temporary *const next = module->temporaries->next;
        unlink(module->temporaries->path);
        sqlite3_free(module->temporaries);
        module->temporaries = next;
    }
    sqlite3_free(module);
}

__attribute__((visibility("default"))) int sqlite3_rhumb_init(sqlite3 *db, char **message,
                                                              const sqlite3_api_routines *api);

int sqlite3_rhumb_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    SQLITE_EXTENSION_INIT2(api);
    if (sqlite3_libversion_number() < SQLITE_NUMBER_MIN) {
        *message = sqlite3_mprintf("rhumb0 needs SQLite 3.38 or later, this is %s", sqlite3_libversion());
        return SQLITE_ERROR;
    }
    sql_module *const module = sqlite3_malloc64(sizeof *module);
    if (module == NULL) return SQLITE_NOMEM;
    *module = (sql_module){.db = db};
    int code = sqlite3_create_module_v2(db, "rhumb0", &sql_table_module, module, free_module);
    if (code == SQLITE_OK) code = sqlite3_create_module_v2(db, "rhumb_scan", &sql_scan_module, NULL, NULL);
    if (code == SQLITE_OK) code = sqlite3_create_module_v2(db, "rhumb_janitor", &sql_janitor_module, NULL, NULL);
    if (code == SQLITE_OK) code = sql_functions_register(db, module);
    return code == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : code;
}
