/* leaf.h - the nearest to each other in a small set of nodes, all pairs of which are measured.
 */
#ifndef RHUMB_ENGINE_BUILD_BULK_LEAF_H
#define RHUMB_ENGINE_BUILD_BULK_LEAF_H

#include "distances/tile/tile.h"
#include "engine/build/bulk/points.h"
#include "engine/build/bulk/reservoir.h"

#define RHUMB__LEAF_NODES_MAX 1024u
#define RHUMB__LEAF_NEAREST_MAX 128u

/* What is built on one level: nodes, numbered from 0, each of which is an item. */
typedef struct rhumb__bulk_nodes {
    const rhumb__bulk_points *points;
    const rhumb__tiler *tiler;
    const uint32_t *items; /* by node */
    uint64_t count;
} rhumb__bulk_nodes;

/* The memory that one thread needs for it. */
typedef struct rhumb__leaf {
    const rhumb__bulk_nodes *nodes;
    rhumb__reservoirs *reservoirs;
    uint32_t nearest_count; /* that a node is given of one leaf, at most */
    uint8_t *rows;
    uint8_t *panels;
    rhumb__tile_constants *row_constants;
    rhumb__tile_columns *columns;
    float *limits;
    rhumb__candidate *nearest; /* nearest_count for each node of the leaf */
    uint32_t *counts;
    rhumb__tile tile;
} rhumb__leaf;

/* To be freed also after a failure. RHUMB_E_NOMEM. */
rhumb_status rhumb__leaf_make(const rhumb__bulk_nodes *nodes, rhumb__reservoirs *reservoirs, uint32_t nearest_count,
                              rhumb__leaf *leaf) RHUMB_NODISCARD;

void rhumb__leaf_free(rhumb__leaf *leaf);

/* Measures all pairs of at most RHUMB__LEAF_NODES_MAX nodes, and gives each those that are nearest to it. */
void rhumb__leaf_measure(rhumb__leaf *leaf, const uint32_t *members, uint32_t count);

#endif /* RHUMB_ENGINE_BUILD_BULK_LEAF_H */
