/* search.h - finding the nearest nodes: the greedy descent through the upper levels and the search with a pool of
 * candidates.
 *
 * HNSW paper, algorithms 2 and 5. Works on scratch->query; takes no lock; may run beside inserts.
 */
#ifndef RHUMB_ENGINE_SEARCH_SEARCH_H
#define RHUMB_ENGINE_SEARCH_SEARCH_H

#include "engine/search/scratch.h"

/* A node and its raw distance to the query. */
typedef struct rhumb__nearest {
    uint32_t slot; /* RHUMB__SLOT_NONE: there is none */
    float distance;
} rhumb__nearest;

/* Where a search begins: the entry point, moved towards the query on every level above `level`. slot is
 * RHUMB__SLOT_NONE in an empty graph. *top_out is the level of the entry point. */
rhumb__nearest rhumb__search_descend(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t level, uint32_t *top_out);

/* Fills scratch->pool (limit ef) with the nearest nodes of `level` that can be reached from `start`. Every slot in the
 * pool is below scratch->slot_limit; slots already in the visited set are left alone. */
void rhumb__search_level(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start, uint32_t level,
                         uint32_t ef);

/* The same on level 0 with answers apart: fills scratch->answers, which rhumb__scratch_prepare_answers has made ready,
 * with the nearest live nodes. The walk leads through deleted ones too, and goes on until there are as many live ones
 * as the answers hold that no candidate left is nearer than. */
void rhumb__search_level_live(rhumb__graph *graph, rhumb__scratch *scratch, rhumb__nearest start);

/* Puts the neighbours of a node on level 0 that are not in `visited` into scratch->batch, and into `visited`, which has
 * room below `slot_limit`; slots from there up are left out. Announces their vectors. Returns how many. */
uint32_t rhumb__search_gather(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t slot, rhumb__visited *visited,
                              uint64_t slot_limit);

/* Measures `count` slots of scratch->batch into scratch->distances. */
void rhumb__search_measure(const rhumb__graph *graph, rhumb__scratch *scratch, uint32_t count);

/* Turns answers into at most k keys and finished distances, padded with UINT64_MAX and infinity; `distances` may be
 * NULL. `replace_done` is what the graph's number of that name was when the search began: a key that an upsert may have
 * led to two nodes since then is emitted once. `left_out`, when it is not NULL, is a key that is passed over. Returns
 * how many. */
uint32_t rhumb__search_emit(const rhumb__graph *graph, const rhumb__candidate_pool *answers, uint32_t k,
                            const uint64_t *left_out, uint64_t replace_done, uint64_t *keys, float *distances);

/* The ef nearest live nodes; *nearest_out is which pool of the scratch they are in. The query is in scratch->query.
 * RHUMB_E_NOMEM. */
rhumb_status rhumb__search_nearest(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t ef,
                                   rhumb__candidate_pool **nearest_out) RHUMB_NODISCARD;

/* The k nearest, as a user sees them: keys and finished distances, padded with UINT64_MAX and infinity; `distances` may
 * be NULL, and so may `left_out`, a key that is no answer. The query is in scratch->query. */
rhumb_status rhumb__graph_search(rhumb__graph *graph, rhumb__scratch *scratch, uint32_t k, uint32_t ef,
                                 const uint64_t *left_out, uint64_t *keys, float *distances,
                                 uint32_t *found_count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_SEARCH_SEARCH_H */
