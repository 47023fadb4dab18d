/* kernels.h - the kernels of lanes: one table of them per instruction set, and what they pass to each other.
 *
 * The estimate of a lane, in f32, each operation rounded on its own:
 *
 *   estimate = (base + node_distance) - slope * (sum * delta + bias)
 *
 * where `sum` adds the entries of the query's table that the lane's code selects; with two bits, twice the sum of
 * plane 0 and once that of plane 1. It is exact: at most 3 * 255 * 8,192, which f32 holds. The bracket stands for
 * <z, Rq>, the code times the rotated query. Estimates of squares may be negative, by their errors. NaN and -inf, which
 * come of damaged bytes and of what is larger than f32 on the way, become +inf, as does everything whose size is above
 * the query's `size_max`; what is left and below its `least` becomes that.
 *
 * Kernels of all sets give the same bits. They cannot fail, and keep nothing.
 */
#ifndef RHUMB_DISTANCES_LANES_KERNELS_H
#define RHUMB_DISTANCES_LANES_KERNELS_H

#include <stdint.h>

#include "base/cpu.h"
#include "distances/lanes/block.h"
#include "distances/lanes/rotation.h"

/* What is estimated. */
typedef enum rhumb__lane_form {
    RHUMB__LANE_L2SQ, /* |q - x|^2 */
    RHUMB__LANE_DOT   /* a constant less <q, x> */
} rhumb__lane_form;

typedef struct rhumb__lane_kernels rhumb__lane_kernels;

typedef struct rhumb__lane_space {
    rhumb__lane_form form;
    uint32_t bits;        /* per component of a code */
    uint32_t plane_bytes; /* of a block, for each of the bits */
    uint32_t block_bytes;
    uint32_t table_bytes; /* of a query */
    rhumb__rotation rotation;
    const rhumb__lane_kernels *kernels;
} rhumb__lane_space;

typedef struct rhumb__lane_query rhumb__lane_query;

/* The node that a block belongs to, as a query sees it. */
typedef struct rhumb__lane_node {
    float distance;   /* |q - c|^2, or whatever constant the caller uses less <q, c>; estimates are in the same terms */
    float base_scale; /* what the base factors are multiplied by, see rhumb__lanes_base_scale */
    float bound;      /* lanes whose estimate is less are reported */
} rhumb__lane_node;

/* See rhumb__lanes_scan in lanes.h. */
typedef uint32_t rhumb__lane_scan(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                  float *estimates);

/* A group is four components, 4 k to 4 k + 3; entry n of its table is for those whose bits n has, the lowest first. The
 * tables of even groups come first, then those of odd ones: each in the order of the bytes of a plane, whose low and
 * high halves select from them. The entries that a byte selects are at most 255 together. */
struct rhumb__lane_query {
    const uint8_t *table; /* 16 entries a group */
    uint32_t plane_bytes; /* of a plane, of the tables of even groups, and of those of odd ones */
    float delta, bias;
    float least;    /* -FLT_MAX unless the caller sets it, as to 0 where estimates stand for squares */
    float size_max; /* FLT_MAX unless the caller sets it, to less */
    rhumb__lane_scan *scan;
};

/* Sums over the components of r = R(x - c), of the code z, and of the rotated node Rc. Not finite if x or c is not. */
typedef struct rhumb__lane_sums {
    double square;       /* |r|^2 */
    double code_product; /* <r, z> */
    double node_code;    /* <Rc, z> */
    double node_product; /* <r, Rc> */
} rhumb__lane_sums;

struct rhumb__lane_kernels {
    /* Rotates padded_dim values in place. */
    void (*rotate)(const rhumb__rotation *rotation, float *values);
    /* Chooses the code of one lane. `codes` is the lane's first byte in plane 0. */
    void (*encode)(const rhumb__lane_space *space, const float *node, const float *neighbour, uint8_t *codes,
                   rhumb__lane_sums *sums);
    /* Writes the table of a rotated query to `table`, and delta and bias. */
    void (*tabulate)(const rhumb__lane_space *space, const float *rotated, uint8_t *table, rhumb__lane_query *query);
    rhumb__lane_scan *scan[RHUMB__LANE_BITS_MAX]; /* by the bits per component, less 1 */
};

extern const rhumb__lane_kernels rhumb__lane_kernels_scalar, rhumb__lane_kernels_avx2, rhumb__lane_kernels_avx512;

rhumb__lane_scan rhumb__lane_scan1_scalar, rhumb__lane_scan1_avx2, rhumb__lane_scan1_avx512;
rhumb__lane_scan rhumb__lane_scan2_scalar, rhumb__lane_scan2_avx2, rhumb__lane_scan2_avx512;

/* The kernels of `tier`; those of the best lower tier where this build has none for `tier` itself. Does not check the
 * processor. */
const rhumb__lane_kernels *rhumb__lane_kernels_for(rhumb__simd tier);

/* ---- what is the same for all instruction sets ---- */

/* The kernel `encode` in double, for what is too large or too small for f32 sums: those of encode_body.h choose it. */
void rhumb__lane_encode_extreme(const rhumb__lane_space *space, const float *node, const float *neighbour,
                                uint8_t *codes, rhumb__lane_sums *sums);

/* Writes the factors of a block from the sums of its first `count` lanes. */
void rhumb__lane_factors_write(rhumb__lane_form form, const rhumb__lane_sums *sums, uint32_t count, void *block);

#endif /* RHUMB_DISTANCES_LANES_KERNELS_H */
