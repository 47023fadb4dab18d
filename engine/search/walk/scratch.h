/* scratch.h - the memory that one search or insert works in, and the pool that scratches come from.
 *
 * Taking and returning a scratch are one atomic operation each: no lock, and no allocation once there are as many
 * scratches as threads that use the pool at the same time. A scratch that is taken also names the graph that its user
 * works on, which shows when a graph that has been replaced (rhumb_index_refresh) is out of use.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_SCRATCH_H
#define RHUMB_ENGINE_SEARCH_WALK_SCRATCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/graph/graph.h"
#include "engine/search/walk/candidate_heap.h"
#include "engine/search/walk/candidate_pool.h"
#include "engine/search/walk/filter_plan.h"
#include "engine/search/walk/key_set.h"
#include "engine/search/walk/visited.h"

typedef struct rhumb__scratch_pool rhumb__scratch_pool;

/* Slots whose distances are computed in one call: a list, and what is to be added to it. */
#define RHUMB__BATCH_MAX (2 * RHUMB__M0_MAX)

/* What a query is measured against, see query.h. */
typedef struct rhumb__measured {
    const uint8_t *rows; /* the first row of the section */
    uint32_t section_id;
    uint64_t stride_bytes;
    uint32_t row_bytes;      /* that are read */
    uint32_t prefetch_bytes; /* of these, what is prefetched as soon as a slot is known */
    bool coded;              /* the rows are codes, and distances are estimates */
    bool fused;              /* and a walk may read fused rows, where there are any */
} rhumb__measured;

/* Nodes that are taken as not being in the graph. They are on level 0 alone, none is the entry point, and none is of a
 * group of equal vectors. */
typedef struct rhumb__hidden {
    const uint32_t *slots;
    uint32_t count;
    const uint64_t *bits; /* the same: one bit per slot of the graph */
} rhumb__hidden;

typedef struct rhumb__scratch {
    _Atomic(rhumb__graph *) graph; /* the graph that the current user works on; NULL: this scratch is free */
    struct rhumb__scratch *next;   /* set once, before the scratch is in the list */

    rhumb__visited visited;
    uint64_t slot_limit;         /* the search reads slots below it only; there is room for them in `visited` */
    const rhumb__hidden *hidden; /* or NULL */
    rhumb__candidate_pool pool;
    uint32_t pool_allocated;       /* candidates that `pool` has memory for */
    rhumb__candidate_pool answers; /* where some nodes may not be answers: those that may */
    uint32_t answers_allocated;
    rhumb__visited failing;                 /* nodes that failed a filter and whose lists have not been scanned */
    uint32_t seeds[RHUMB__FILTER_SEED_MAX]; /* slots of the sample that match the filter */
    uint32_t seed_count;
    rhumb__candidate_heap queue;  /* nodes to be expanded, where a pool would drop those still needed */
    rhumb__candidate_heap within; /* within a radius: answers, farthest first (distances are negated) */
    rhumb__key_set emitted;       /* within a radius, while an upsert runs: keys in the answer */
    uint8_t *query;               /* a prepared row, see query.h */
    uint32_t query_bytes;
    rhumb__kernels kernels; /* that measure from the query: of the metric, or those by which nodes are linked */
    uint8_t *code_query;    /* the same query for codes, if `coded` */
    uint32_t code_query_bytes;
    uint8_t *row_query; /* the same for fused rows, if the graph has them */
    uint32_t row_query_bytes;
    rhumb__measured measured; /* what is measured: vectors or their codes */

    uint32_t list[RHUMB__M0_MAX]; /* a neighbour list as it was read */
    uint32_t batch[RHUMB__BATCH_MAX];
    const void *rows[RHUMB__BATCH_MAX];
    float distances[RHUMB__BATCH_MAX];

    /* For inserting. */
    rhumb__candidate *candidates; /* those to select from, sorted */
    uint32_t candidate_capacity;
    uint32_t *selected; /* by level: at most M0 slots each, for rhumb__select */
    uint32_t selected_counts[RHUMB__LEVEL_COUNT];
    uint32_t kept[RHUMB__M0_MAX + 1];
    const void *kept_rows[RHUMB__M0_MAX + 1];
} rhumb__scratch;

struct rhumb__scratch_pool {
    uint64_t id; /* unique among all pools that the process ever had */
    _Atomic(rhumb__scratch *) first;
    _Atomic(rhumb__graph *) graph;    /* the graph that new users get */
    _Atomic(rhumb__graph *) borrowed; /* the graph of a user without a scratch; NULL: there is none */
};

/* Initialises an empty pool whose users get `graph`. */
void rhumb__scratch_pool_init(rhumb__scratch_pool *pool, rhumb__graph *graph);

/* Takes a scratch, bound to the graph that the pool has now. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_take(rhumb__scratch_pool *pool, rhumb__scratch **scratch_out) RHUMB_NODISCARD;

/* Returns a scratch to its pool. Its user must not use the graph afterwards. */
void rhumb__scratch_give(rhumb__scratch *scratch);

/* Returns the pool's graph, which stays in use until rhumb__scratch_pool_return, without a scratch and so without
 * memory. One user at a time; the others wait for it, so it must be quick and take nothing else. */
rhumb__graph *rhumb__scratch_pool_borrow(rhumb__scratch_pool *pool);
void rhumb__scratch_pool_return(rhumb__scratch_pool *pool);

/* Returns the graph that a taken scratch is bound to. */
static inline rhumb__graph *rhumb__scratch_graph(rhumb__scratch *scratch) {
    return atomic_load_explicit(&scratch->graph, memory_order_relaxed);
}

/* Sets the pool's graph, and returns the previous one, which may still be in use. */
rhumb__graph *rhumb__scratch_pool_set(rhumb__scratch_pool *pool, rhumb__graph *graph);

/* Waits until no thread uses a previous graph of the pool. */
void rhumb__scratch_pool_wait(rhumb__scratch_pool *pool, rhumb__graph *old);

/* Sets the pool's graph, waits until the previous one is out of use, and returns that one. */
rhumb__graph *rhumb__scratch_pool_switch(rhumb__scratch_pool *pool, rhumb__graph *graph);

/* Empties the pool and gives it a capacity, empties the visited set but for the hidden nodes, and reads the graph's
 * slot limit. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_search(rhumb__scratch *scratch, uint32_t capacity) RHUMB_NODISCARD;

/* Empties the answers and gives them a capacity. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_answers(rhumb__scratch *scratch, uint32_t capacity) RHUMB_NODISCARD;

/* Empties the failing set, and makes room for slots below scratch->slot_limit. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_filter(rhumb__scratch *scratch) RHUMB_NODISCARD;

/* Reads the graph's slot limit, which may have grown, and keeps the visited set. Returns false when there is no memory
 * for more slots; the limit stays as it was then. */
bool rhumb__scratch_extend(rhumb__scratch *scratch);

/* Makes room for what inserting needs in addition. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_insert(rhumb__scratch *scratch, uint32_t candidate_count) RHUMB_NODISCARD;

/* Releases all scratches; none is taken. */
void rhumb__scratch_pool_destroy(rhumb__scratch_pool *pool);

#endif /* RHUMB_ENGINE_SEARCH_WALK_SCRATCH_H */
