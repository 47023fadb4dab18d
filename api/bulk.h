/* bulk.h - what the command line tool asks of the library, and programs cannot: how an index would be built, and to
 * build one of more vectors than memory holds.
 */
#ifndef RHUMB_API_BULK_H
#define RHUMB_API_BULK_H

#include "include/rhumb.h"

/* How a new index of so many vectors is built, as memory is now. */
typedef enum rhumb__build_way {
    RHUMB__BUILD_ONE_BY_ONE = 0,
    RHUMB__BUILD_AS_BATCH = 1, /* all as one batch (rhumb_index_insert_batch) */
    RHUMB__BUILD_FROM_ROWS = 2 /* rhumb__index_build */
} rhumb__build_way;

/* RHUMB_E_INVALID, RHUMB_E_METRIC, RHUMB_E_UNSUPPORTED: there can be no such index. */
rhumb_status rhumb__index_build_way(const rhumb_index_options *options, uint64_t count,
                                    rhumb__build_way *way_out) RHUMB_NODISCARD;

/* Where rows come from. */
typedef struct rhumb__build_rows {
    /* Reads rows [first, first + count), one after the other as in a batch, and their keys unless `keys` is NULL. The
     * same each time: rows are read three times. RHUMB_OK, or what rhumb__index_build is to return. */
    rhumb_status (*read)(void *context, uint64_t first, uint64_t count, void *vectors, uint64_t *keys);
    void *context;
    uint64_t count; /* at least 1 */
} rhumb__build_rows;

/* Makes an index at `path`, where none may be, of rows for which rhumb__index_build_way says RHUMB__BUILD_FROM_ROWS,
 * and closes it; options->open is not used. All or nothing: a failure, or a crash at any time, leaves no file of that
 * name. Of `batch` the number of threads and the progress are used. RHUMB_E_FULL: so many vectors are near each other
 * that memory does not suffice; they can be inserted one by one. RHUMB_E_EXISTS: there is such a file, or a key is
 * there twice. */
rhumb_status rhumb__index_build(const char *path, const rhumb_index_options *options, const rhumb__build_rows *rows,
                                const rhumb_batch_options *batch) RHUMB_NODISCARD;

#endif /* RHUMB_API_BULK_H */
