/* scratch.h - the memory that one search or insert works in, and the pool that such pieces come from.
 *
 * Taking and returning a piece is one atomic exchange each: no lock, and no allocation once there are as many pieces as
 * there were ever threads at a time. A piece that is taken also says which graph its user looks at, which is how a
 * graph that has been replaced (rhumb_index_refresh) is known to be out of use.
 */
#ifndef RHUMB_ENGINE_SEARCH_SCRATCH_H
#define RHUMB_ENGINE_SEARCH_SCRATCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/graph/graph.h"
#include "engine/search/candidate_heap.h"
#include "engine/search/candidate_pool.h"
#include "engine/search/filter_plan.h"
#include "engine/search/key_set.h"
#include "engine/search/visited.h"

typedef struct rhumb__scratch_pool rhumb__scratch_pool;

/* Slots whose distances are computed in one go: a list, and what is to be added to it. */
#define RHUMB__BATCH_MAX (2 * RHUMB__M0_MAX)

typedef struct rhumb__scratch {
    _Atomic(rhumb__graph *) graph; /* whose user has taken this piece; NULL: it is free */
    struct rhumb__scratch *next;   /* set once, before the piece is in the list */

    rhumb__visited visited;
    uint64_t slot_limit; /* slots that this search may read are below this */
    rhumb__candidate_pool pool;
    uint32_t pool_capacity;
    rhumb__candidate_pool answers; /* when some nodes may not be answers: those that may */
    uint32_t answers_capacity;
    rhumb__visited failing; /* nodes that a filter turned down and that have not been looked through yet */
    uint32_t seeds[RHUMB__FILTER_SEED_MAX]; /* slots that a filter lets through, from its sample */
    uint32_t seed_count;
    rhumb__candidate_heap queue;  /* of a search within a radius: what is to be expanded, */
    rhumb__candidate_heap within; /* what is within it, farthest first: distances are negated, */
    rhumb__key_set emitted;       /* and keys that were found already, while an upsert overlaps */
    uint8_t *query;               /* a prepared row */
    uint32_t query_bytes;

    uint32_t list[RHUMB__M0_MAX]; /* a neighbour list as it was read */
    uint32_t batch[RHUMB__BATCH_MAX];
    const void *rows[RHUMB__BATCH_MAX];
    float distances[RHUMB__BATCH_MAX];

    /* For inserting. */
    rhumb__candidate *candidates; /* what is to be selected from, sorted */
    uint32_t candidate_capacity;
    uint32_t *selected; /* by level: at most M0 slots each, for rhumb__select */
    uint32_t selected_counts[RHUMB__LEVEL_COUNT];
    uint32_t kept[RHUMB__M0_MAX + 1];
    const void *kept_rows[RHUMB__M0_MAX + 1];
} rhumb__scratch;

struct rhumb__scratch_pool {
    uint64_t id; /* of this pool among all that the process ever had */
    _Atomic(rhumb__scratch *) first;
    _Atomic(rhumb__graph *) graph; /* the graph that new users get */
};

/* An empty pool whose users get `graph`. */
void rhumb__scratch_pool_init(rhumb__scratch_pool *pool, rhumb__graph *graph);

/* Takes a piece, bound to the graph that the pool has now. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_take(rhumb__scratch_pool *pool, rhumb__scratch **scratch_out) RHUMB_NODISCARD;

/* Returns it. The graph must not be used afterwards. */
void rhumb__scratch_give(rhumb__scratch *scratch);

/* The graph that a taken piece is bound to. */
static inline rhumb__graph *rhumb__scratch_graph(rhumb__scratch *scratch) {
    return atomic_load_explicit(&scratch->graph, memory_order_relaxed);
}

/* Gives the pool another graph, and returns the one it had, which some may still use. */
rhumb__graph *rhumb__scratch_pool_set(rhumb__scratch_pool *pool, rhumb__graph *graph);

/* Waits until nobody uses a graph any more that the pool had. */
void rhumb__scratch_pool_wait(rhumb__scratch_pool *pool, rhumb__graph *old);

/* Both: gives the pool another graph and waits until nobody uses the old one any more, which it returns. */
rhumb__graph *rhumb__scratch_pool_switch(rhumb__scratch_pool *pool, rhumb__graph *graph);

/* Makes room for a pool of `limit` candidates, empties the visited set, takes over the graph's slot limit.
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_search(rhumb__scratch *scratch, uint32_t limit) RHUMB_NODISCARD;

/* Makes room for `limit` answers and empties them. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_answers(rhumb__scratch *scratch, uint32_t limit) RHUMB_NODISCARD;

/* Makes room for what a filtered walk needs besides, below scratch->slot_limit, and empties it. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_filter(rhumb__scratch *scratch) RHUMB_NODISCARD;

/* Takes over the graph's slot limit if it has grown; keeps the visited set. Without the memory for it the limit stays
 * as it was, and the answer is false. */
bool rhumb__scratch_extend(rhumb__scratch *scratch);

/* Makes room for what inserting needs besides. RHUMB_E_NOMEM. */
rhumb_status rhumb__scratch_prepare_insert(rhumb__scratch *scratch, uint32_t candidate_count) RHUMB_NODISCARD;

/* Checks and prepares a query or a new vector into scratch->query. RHUMB_E_NOT_FINITE, RHUMB_E_DOMAIN, RHUMB_E_INVALID
 * (a sequence that is too long), RHUMB_E_NOMEM, RHUMB_E_UNSUPPORTED (see rhumb__graph_check_vectors). */
rhumb_status rhumb__scratch_set_query(rhumb__scratch *scratch, const void *vector) RHUMB_NODISCARD;

/* The same with a row that has been prepared before. RHUMB_E_NOMEM, RHUMB_E_UNSUPPORTED. */
rhumb_status rhumb__scratch_set_row(rhumb__scratch *scratch, const void *row) RHUMB_NODISCARD;

/* Releases all pieces; none may be taken. */
void rhumb__scratch_pool_destroy(rhumb__scratch_pool *pool);

#endif /* RHUMB_ENGINE_SEARCH_SCRATCH_H */
