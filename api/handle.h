/* handle.h - what an index handle is, and what every call on one begins with. */
#ifndef RHUMB_API_HANDLE_H
#define RHUMB_API_HANDLE_H

#include <pthread.h>

#include "base/lock.h"
#include "engine/search/walk/scratch.h"
#include "include/rhumb.h"

struct rhumb_index {
    rhumb__scratch_pool scratch_pool; /* scratch memory, and the graph that new calls work on */
    rhumb__mutex refresh_lock;        /* held while the graph is exchanged, by a refresh or by a compaction */
    rhumb__writer *writer;            /* NULL in a read-only handle */
    bool read_only;
    rhumb_warm_up warm_up;
    bool has_closer; /* guarded by refresh_lock, as the next: a thread closes the graph before this one */
    pthread_t closer;
    uint32_t generation; /* of forks, when the handle was made; see base/fork.h */
};

/* Creates a handle without a graph. RHUMB_E_NOMEM. */
rhumb_status rhumb__handle_new(bool read_only, rhumb_index **index_out) RHUMB_NODISCARD;

/* Gives a new handle its graph. From then on a compaction may exchange the graph of a handle that writes. */
void rhumb__handle_attach(rhumb_index *index, rhumb__graph *graph);

/* Begins to read a graph's file into memory, if it is not there and the handle is to do so. To be called before other
 * threads know the graph. */
void rhumb__handle_warm_up(const rhumb_index *index, rhumb__graph *graph);

/* Closes the graph of a reader that has been replaced and is out of use. Unmapping what has been read of a large one
 * takes milliseconds, which a thread does; its version is not pinned any more when the call returns. With refresh_lock
 * held. */
void rhumb__handle_close_replaced(rhumb_index *index, rhumb__graph *old);

/* Waits for that thread. With refresh_lock held, or by the last call on the handle. */
void rhumb__handle_await_closer(rhumb_index *index);

/* Whether the handle is the parent's, in a forked child: nothing but its own memory may be touched. */
bool rhumb__handle_is_forked(const rhumb_index *index);

/* Releases a handle, but not its graph. NULL is allowed. */
void rhumb__handle_free(rhumb_index *index);

/* Fails for a NULL handle (RHUMB_E_INVALID), in a forked child (RHUMB_E_FORKED) and, if `for_writing`, for a read-only
 * one (RHUMB_E_READONLY). */
rhumb_status rhumb__handle_check(const rhumb_index *index, bool for_writing) RHUMB_NODISCARD;

/* Fails also for a handle that has failed for good (RHUMB_E_FATAL), and waits while the handle has no room for more. */
rhumb_status rhumb__handle_check_writable(rhumb_index *index) RHUMB_NODISCARD;

/* Takes scratch memory and the handle's current graph, which stays valid until rhumb__handle_leave. RHUMB_E_NOMEM;
 * RHUMB_E_TRUNCATED, RHUMB_E_IO: an earlier call met a page of the file that could not be read. On failure nothing is
 * taken. */
static inline rhumb_status rhumb__handle_enter(rhumb_index *index, rhumb__scratch **scratch_out,
                                               rhumb__graph **graph_out) {
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(&index->scratch_pool, &scratch);
    if (status != RHUMB_OK) return status;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    if (rhumb__io_mapping_failed(graph->store->io)) {
        status = rhumb__io_check_mappings(graph->store->io);
        rhumb__scratch_give(scratch);
        return status;
    }
    *scratch_out = scratch;
    *graph_out = graph;
    return RHUMB_OK;
}

/* Releases what rhumb__handle_enter took, and returns the call's status: that of the call's work, or RHUMB_E_TRUNCATED
 * or RHUMB_E_IO when it met a page of the file that could not be read. NULL is allowed, for the single exit of a
 * function.
 */
static inline rhumb_status rhumb__handle_leave(rhumb__scratch *scratch, rhumb_status status) {
    if (scratch == NULL) return status;
    rhumb__graph *graph = rhumb__scratch_graph(scratch);
    if (rhumb__io_mapping_failed(graph->store->io)) status = rhumb__io_check_mappings(graph->store->io);
    rhumb__scratch_give(scratch);
    return status;
}

/* A short look at the current graph, for a call that cannot report a failure. */
typedef struct rhumb__glance {
    rhumb__scratch *scratch;   /* keeps the graph; or NULL, where there is no memory for one */
    rhumb__scratch_pool *pool; /* that the graph is borrowed from then */
} rhumb__glance;

/* Returns the handle's current graph, which stays valid until rhumb__handle_glance_end. Takes no lock and never fails;
 * the caller calls nothing else in between. May be called inside any other call on the handle, by a filter for example,
 * while another thread exchanges the graph. */
rhumb__graph *rhumb__handle_glance(const rhumb_index *index, rhumb__glance *glance_out);
void rhumb__handle_glance_end(const rhumb__glance *glance);

/* Finds the slot of a key whose node can be read; while the key is being replaced, waits for its new node.
 * RHUMB_E_NOTFOUND. */
rhumb_status rhumb__handle_find(rhumb__graph *graph, uint64_t key, uint32_t *slot_out) RHUMB_NODISCARD;

/* Opens the newest version of a graph's file again, as a reader. RHUMB_E_NOTFOUND: another index is at its path; what
 * opening returns. */
rhumb_status rhumb__handle_reopen(rhumb__graph *graph, rhumb__graph **fresh_out) RHUMB_NODISCARD;

#endif /* RHUMB_API_HANDLE_H */
