/* lanes.h - lanes: short codes of a node's neighbours relative to the node, which estimate many distances at once.
 *
 * A search that expands a node wants the distances from its query to all of the node's neighbours. It knows the
 * distance g to the node itself. A lane holds, of a neighbour x of the node c, one or two bits per component of the
 * rotated difference R(x - c), and two numbers (block.h); blocks of 16 lanes lie in one piece, so that one read serves
 * all neighbours. From these and a table of the query, one scan estimates 16 distances.
 *
 * The method is RaBitQ with the node as centroid (Gao and Long, "RaBitQ", SIGMOD 2024, arXiv 2405.12497; two bits: Gao
 * and others, arXiv 2409.09913; as neighbour codes: Gou, Gao, Xu and Long, "SymphonyQG", SIGMOD 2025, arXiv
 * 2411.12229). What differs is said where it is done: when the halves of a rotation are mixed (rotation.h), from where
 * the entries of a table count (tabulate_body.h), and how factors are rounded (factors.c).
 *
 * A *lane space* is what all blocks of an index have in common. Immutable once set up, so there are no locks; all
 * functions may be called by any number of threads.
 *
 * Numbers. Estimates are finite or +inf, whatever the bytes of a block, and whatever finite vectors they were made of.
 * Sizes that f32 cannot hold as squares come out as +inf: an estimate of +inf says nothing, except of empty lanes.
 * All instruction sets give the same bits, in blocks as in estimates.
 */
#ifndef RHUMB_DISTANCES_LANES_LANES_H
#define RHUMB_DISTANCES_LANES_LANES_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "distances/lanes/block.h"
#include "distances/lanes/kernels.h"
#include "distances/lanes/rotation.h"

typedef struct rhumb__lane_spec {
    rhumb__lane_form form;
    uint32_t dim;        /* components of a vector */
    uint32_t padded_dim; /* a multiple of 16 from dim up, or 0 for the smallest; more components are more precise */
    uint32_t bits;       /* per component of a code: 1 or 2 */
    uint64_t seed;       /* of the rotation */
} rhumb__lane_spec;

/* Fills `space` and picks the kernels for this machine (RHUMB_SIMD lowers the choice). RHUMB_E_INVALID: a number of the
 * specification is outside of what is written there. */
rhumb_status rhumb__lane_space_init(rhumb__lane_space *space, const rhumb__lane_spec *spec) RHUMB_NODISCARD;

/* Writes the padded_dim components of a rotated vector. `rotated` may be `vector` or not overlap it; 4-byte alignment
 * suffices. Vectors of which f32 cannot hold twice the norm may come out with components that are not finite. */
void rhumb__lanes_rotate(const rhumb__lane_space *space, const float *vector, float *rotated);

/* Writes a block (block_bytes, any alignment) of `count` neighbours, 0 to 16, of a node; all of them are rotated
 * vectors. Under RHUMB__LANE_DOT for cosine, they have been normalised. The lanes from `count` on are empty, as is that
 * of a neighbour whose factors f32 cannot hold. */
void rhumb__lanes_encode(const rhumb__lane_space *space, const float *node, const float *const *neighbours,
                         uint32_t count, void *block);

/* Prepares a query from a rotated vector. `table` (table_bytes, any alignment; lines of 64 bytes are fastest) is
 * written, and must stay as long as the query is used. A vector that is not finite makes every estimate +inf. The
 * caller may narrow the range of estimates: query->least, query->size_max (kernels.h). */
void rhumb__lanes_query(const rhumb__lane_space *space, const float *rotated, uint8_t *table, rhumb__lane_query *query);

/* What base factors are multiplied by in a scan of the form RHUMB__LANE_DOT, from <q, c> and |c|^2 (factors.c); under
 * RHUMB__LANE_L2SQ it is 1. */
static inline float rhumb__lanes_base_scale(double dot, double square) {
    const double scale = dot / square;
    return scale >= -FLT_MAX && scale <= FLT_MAX ? (float)scale : 0.0f;
}

/* Writes the estimates of 16 lanes to `estimates`, and returns a mask of the lanes whose estimate is less than
 * node->bound, the lowest bit for lane 0. Reads block_bytes, whatever these are. */
static inline uint32_t rhumb__lanes_scan(const rhumb__lane_query *query, const void *block,
                                         const rhumb__lane_node *node, float *estimates) {
    return query->scan(query, block, node, estimates);
}

#endif /* RHUMB_DISTANCES_LANES_LANES_H */
