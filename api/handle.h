/* handle.h - what an index handle is, and how the files of api/ share it.
 */
#ifndef RHUMB_API_HANDLE_H
#define RHUMB_API_HANDLE_H

#include "base/lock.h"
#include "engine/search/scratch.h"
#include "include/rhumb.h"

struct rhumb_index {
    rhumb__scratch_pool scratch_pool; /* and in it the graph that calls work on */
    rhumb__mutex refresh_lock;        /* one exchange of the graph at a time: by a refresh or by a compaction */
    rhumb__writer *writer;            /* NULL in a reader */
    bool read_only;
};

/* A graph that stays valid until the scratch is given back. */
static inline rhumb_status rhumb__handle_enter(rhumb_index *index, rhumb__scratch **scratch_out,
                                               rhumb__graph **graph_out) {
    rhumb_status status = rhumb__scratch_take(&index->scratch_pool, scratch_out);
    if (status == RHUMB_OK) *graph_out = rhumb__scratch_graph(*scratch_out);
    return status;
}

/* Refuses NULL handles and, when `for_writing`, read-only ones. */
rhumb_status rhumb__handle_check(const rhumb_index *index, bool for_writing) RHUMB_NODISCARD;

/* The slot of a key, whose node can be read; while it is being replaced, waits for the new one. RHUMB_E_NOTFOUND. */
rhumb_status rhumb__handle_find(rhumb__graph *graph, uint64_t key, uint32_t *slot_out) RHUMB_NODISCARD;

/* Opens the newest version of a graph's file once more, as a reader. RHUMB_E_NOTFOUND: another index is at its path. */
rhumb_status rhumb__handle_reopen(rhumb__graph *graph, rhumb__graph **fresh_out) RHUMB_NODISCARD;

/* Refuses NULL and "". `name` is the argument's. RHUMB_E_INVALID. */
rhumb_status rhumb__path_check(const char *path, const char *name) RHUMB_NODISCARD;

/* Copies a caller's options over the defaults in `target`: as many bytes as the caller's struct has. A struct that is
 * larger than this library's must be zero behind what this library knows. NULL leaves the defaults. RHUMB_E_INVALID. */
rhumb_status rhumb__options_take(void *target, size_t target_bytes, const void *options,
                                 const char *name) RHUMB_NODISCARD;

/* Refuses a caller's struct that is to be filled if it is NULL or cannot hold even its size. RHUMB_E_INVALID. */
rhumb_status rhumb__struct_check(const void *target, size_t size, const char *name) RHUMB_NODISCARD;

/* Copies what this library has filled into a caller's struct of `size` bytes: as many as both know. */
void rhumb__struct_give(void *target, size_t size, const void *filled, size_t filled_bytes);

/* The custom metric that a caller's options supply: name and function, or neither. RHUMB_E_INVALID. */
rhumb_status rhumb__custom_take(const char *name, rhumb_distance_fn distance, void *context,
                                rhumb__custom_metric *custom_out) RHUMB_NODISCARD;

#endif /* RHUMB_API_HANDLE_H */
