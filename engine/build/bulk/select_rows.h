/* select_rows.h - the heuristic that chooses neighbours, on an array of rows: a graph's, or those of vectors that are
 * not in a graph yet.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_SELECT_ROWS_H
#define RHUMB_ENGINE_BUILD_BULK_SELECT_ROWS_H

#include "distances/space.h"
#include "engine/search/walk/candidate_pool.h"

/* Candidates of a node, sorted by their distance to it. Their slots are below scratch->slot_limit. */
typedef struct rhumb__candidates {
    const rhumb__candidate *entries;
    uint32_t count;
} rhumb__candidates;

/* The nearness, see below, for nodes that have few candidates: distances are mostly squares, so it is 1.1 of one. */
#define RHUMB__NEARNESS_OF_FEW 1.2f

/* Where rows are, and what selecting needs. */
typedef struct rhumb__select_from {
    const rhumb__space *space;
    const uint8_t *rows;
    uint64_t row_stride_bytes;
    const uint32_t *items; /* which row a candidate has; NULL: the one of its own number */
    bool keep_pruned;
    float nearness; /* one taken before passes a candidate over if its distance to that, times this, is below the
                       candidate's to the node: 1 for the heuristic of the paper, more for longer lists */
    const void **kept_rows; /* room for as many as are selected */
} rhumb__select_from;

/* Whether one of the first `taken_count` of from->kept_rows passes a candidate over that is so far from its node. Of
 * `from`, space, nearness and kept_rows are read. */
bool rhumb__select_is_shadowed(const rhumb__select_from *from, const void *candidate_row, float distance,
                               uint32_t taken_count);

/* Chooses at most `capacity` neighbours of a node into `selected` (paper, algorithm 4): a candidate is taken unless one
 * taken before is nearer to it than the node is, so that links lead in different directions. With keep_pruned the
 * remaining entries are filled with the nearest of those passed over. Returns how many. */
uint32_t rhumb__select_rows(const rhumb__select_from *from, rhumb__candidates candidates, uint32_t capacity,
                            uint32_t *selected);

#endif /* RHUMB_ENGINE_BUILD_BULK_SELECT_ROWS_H */
