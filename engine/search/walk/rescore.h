/* rescore.h - from estimates to distances: what a walk over codes has found is measured by its vectors.
 *
 * The nearest of a pool are nearly always among a few more than are wanted by estimate, so only the vectors of these
 * are read. The error of an estimate is known well enough to tell when a candidate further back could still be nearer
 * (distances/code/error.h); such candidates are measured too.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_RESCORE_H
#define RHUMB_ENGINE_SEARCH_WALK_RESCORE_H

#include "engine/search/walk/scratch.h"

/* Measures the candidates of a settled pool that may be among its `wanted_count` nearest, from the query of the
 * scratch, which measures codes, and sorts them. Returns how many: so many entries from the first are right, the others
 * hold estimates. Marks are lost. Overwrites scratch->rows and scratch->distances. */
uint32_t rhumb__rescore(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate_pool *pool,
                        uint32_t wanted_count);

/* The same for all candidates. */
void rhumb__rescore_all(const rhumb__graph *graph, rhumb__scratch *scratch, rhumb__candidate_pool *pool);

/* The least distance that a candidate is likely to have, given its estimate. The scratch measures codes. */
float rhumb__rescore_least(const rhumb__graph *graph, const rhumb__scratch *scratch, uint32_t slot, float estimate);

#endif /* RHUMB_ENGINE_SEARCH_WALK_RESCORE_H */
