/* lease.c - leases: vectors in place that stay valid for as long as the caller says.
 *
 * A lease holds (graph/hold.h) every graph that it has returned a vector of: the one it began with, and those that
 * compactions or refreshes put in its place, once it is asked again. So it delays none of these, and the file keeps the
 * blocks of the old vectors by a pin of their version. Owns the list of graphs.
 *
 * Locks: the lease's own, for the list; the newest graph is compared without it. A failure to get memory leaves the
 * lease as it was.
 */
#include "api/handle.h"
#include "base/alloc.h"
#include "base/fork.h"
#include "base/status.h"
#include "engine/graph/hold.h"

struct rhumb_lease {
    rhumb_index *index;
    uint32_t generation;            /* of forks */
    _Atomic(rhumb__graph *) newest; /* held, so no other graph can come to have its address */
    rhumb__mutex lock;
    rhumb__graph **graphs; /* guarded by lock */
    uint32_t count;
    uint32_t capacity;
};

rhumb_status rhumb_lease_take(rhumb_index *index, rhumb_lease **lease_out) {
    rhumb_status status = rhumb__handle_check(index, false);
    if (status != RHUMB_OK) return status;
    if (lease_out == NULL) return rhumb__fail(RHUMB_E_INVALID, "lease_out is NULL");
    rhumb_lease *lease = rhumb__alloc_zeroed(1, sizeof *lease);
    if (lease == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lease");
    if (rhumb__mutex_init(&lease->lock, RHUMB__RANK_LEASE) != 0) {
        rhumb__free(lease);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lock");
    }
    lease->index = index;
    lease->generation = rhumb__fork_generation();
    *lease_out = lease;
    return RHUMB_OK;
}

/* Under the lock. */
static rhumb_status add_graph(rhumb_lease *lease, rhumb__graph *graph) {
    rhumb__mutex_assert_held(&lease->lock);
    for (uint32_t i = 0; i < lease->count; i++) {
        if (lease->graphs[i] == graph) return RHUMB_OK;
    }
    if (lease->count == lease->capacity) {
        const uint32_t capacity = lease->capacity == 0 ? 2 : 2 * lease->capacity;
        rhumb__graph **graphs = rhumb__alloc_resize(lease->graphs, capacity, sizeof *graphs);
        if (graphs == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a lease of %u graphs", capacity);
        lease->graphs = graphs;
        lease->capacity = capacity;
    }
    rhumb__graph_hold(graph);
    lease->graphs[lease->count++] = graph;
    return RHUMB_OK;
}

/* The caller has scratch memory of the graph. */
static rhumb_status hold(rhumb_lease *lease, rhumb__graph *graph) {
    if (atomic_load_explicit(&lease->newest, memory_order_relaxed) == graph) return RHUMB_OK;
    rhumb__mutex_lock(&lease->lock);
    const rhumb_status status = add_graph(lease, graph);
    if (status == RHUMB_OK) atomic_store_explicit(&lease->newest, graph, memory_order_relaxed);
    rhumb__mutex_unlock(&lease->lock);
    return status;
}

rhumb_status rhumb_lease_vector(rhumb_lease *lease, uint64_t key, const void **vector) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    const void *row = NULL;
    uint32_t slot = RHUMB__SLOT_NONE;
    if (lease == NULL || vector == NULL) {
        return rhumb__fail(RHUMB_E_INVALID, "%s is NULL", lease == NULL ? "lease" : "vector");
    }
    RHUMB_TRY(rhumb__fork_check(lease->generation));
    RHUMB_TRY(rhumb__handle_enter(lease->index, &scratch, &graph));
    RHUMB_TRY(rhumb__graph_check_vectors(graph));
    RHUMB_TRY(rhumb__handle_find(graph, key, &slot));
    RHUMB_TRY(hold(lease, graph));
    row = rhumb__graph_vector(graph, slot);
done:
    status = rhumb__handle_leave(scratch, status);
    if (status == RHUMB_OK) *vector = row;
    return status;
}

void rhumb_lease_release(rhumb_lease *lease) {
    if (lease == NULL) return;
    /* In a forked child, mappings and descriptors are the parent's. */
    const bool forked = lease->generation != rhumb__fork_generation();
    for (uint32_t i = 0; i < lease->count && !forked; i++) rhumb__graph_release(lease->graphs[i]);
    rhumb__mutex_destroy(&lease->lock);
    rhumb__free(lease->graphs);
    rhumb__free(lease);
}
