/* encode_body.h - the code of one lane, in operations on 16 floats. Included after floats16_*.h.
 *
 * Of r = R(x - c), the code z has r's signs. With one bit that is all: z is 1/2 or -1/2. With two, the sizes of z are
 * 3/2 for components larger than a threshold and 1/2 for the others. The best code has the largest <r, z> / |z|. Of two
 * sizes, the best for a given scale s are the nearer ones to r / s, which puts the threshold at s; the best scale for a
 * given z is <r, z> / |z|^2. Each step improves the quotient, and a rotated vector is a good place to begin, being
 * close to a normal distribution: s = 1.25 times the mean size, that is, its deviation. One step from there leaves .03%
 * of the quotient to the best of all thresholds with 112 components and .004% with 800, half of what no step leaves;
 * another would halve that again. In the errors of estimates it cannot be seen. Trying six thresholds, or coordinate
 * descent ("CAQ"), does no better and costs many passes.
 *
 * Sums are in f32, 16 that take turns. Where they are not of an ordinary size, the lane is encoded in double.
 */
#ifndef RHUMB_DISTANCES_LANES_ENCODE_BODY_H
#define RHUMB_DISTANCES_LANES_ENCODE_BODY_H

#include <stdbool.h>

#include "distances/lanes/encode_rules.h"
#include "distances/lanes/kernels.h"

RHUMB__INLINE floats16 difference_at(const float *node, const float *neighbour, uint32_t i) {
    return floats16_subtract(floats16_load(neighbour + i), floats16_load(node + i));
}

struct whole_sums {
    float square, size, node_product;
};

/* What does not depend on the code. */
RHUMB__INLINE struct whole_sums sum_whole(const float *node, const float *neighbour, uint32_t dim) {
    floats16 square = floats16_all(0.0f), size = square, node_product = square;
    for (uint32_t i = 0; i < dim; i += 16) {
        const floats16 r = difference_at(node, neighbour, i);
        square = floats16_add(square, floats16_multiply(r, r));
        size = floats16_add(size, floats16_size(r));
        node_product = floats16_add(node_product, floats16_multiply(r, floats16_load(node + i)));
    }
    return (struct whole_sums){floats16_sum(square), floats16_sum(size), floats16_sum(node_product)};
}

/* One step, from `threshold` to the scale of its code. */
RHUMB__INLINE float better_threshold(const float *node, const float *neighbour, uint32_t dim, float size,
                                     float threshold) {
    const floats16 limit = floats16_all(threshold);
    floats16 large = floats16_all(0.0f);
    uint32_t count = 0;
    for (uint32_t i = 0; i < dim; i += 16) {
        const floats16 r_size = floats16_size(difference_at(node, neighbour, i));
        large = floats16_add(large, floats16_keep_above(r_size, r_size, limit));
        count += (uint32_t)__builtin_popcount(floats16_above(r_size, limit));
    }
    return (size * 0.5f + floats16_sum(large)) / (float)rhumb__lane_code_square(dim, count);
}

RHUMB__INLINE void store_bits(uint8_t *codes, uint32_t i, uint32_t bits) {
    codes[i / 8 * RHUMB__LANES_PER_BLOCK] = (uint8_t)bits;
    codes[(i / 8 + 1) * RHUMB__LANES_PER_BLOCK] = (uint8_t)(bits >> 8);
}

struct code_sums {
    float node_signs; /* of c's components, with r's signs */
    float node_large; /* the same, where z is large */
    float large;      /* of r's sizes, where z is large */
};

/* Writes the code; with one bit, `threshold` is not used and nothing is large. `bits` is a constant. */
RHUMB__INLINE struct code_sums write_code(const rhumb__lane_space *space, uint32_t bits, const float *const *vectors,
                                          float threshold, uint8_t *codes) {
    const floats16 zero = floats16_all(0.0f), limit = floats16_all(threshold);
    floats16 node_signs = zero, node_large = zero, large = zero;
    for (uint32_t i = 0; i < space->rotation.padded_dim; i += 16) {
        const floats16 r = difference_at(vectors[0], vectors[1], i);
        const floats16 signed_node = floats16_signed_like(floats16_load(vectors[0] + i), r);
        const uint32_t positive = floats16_above(r, zero);
        node_signs = floats16_add(node_signs, signed_node);
        store_bits(codes, i, positive);
        if (bits == 1) continue;
        const floats16 r_size = floats16_size(r);
        large = floats16_add(large, floats16_keep_above(r_size, r_size, limit));
        node_large = floats16_add(node_large, floats16_keep_above(signed_node, r_size, limit));
        store_bits(codes + space->plane_bytes, i, rhumb__lane_second_bits(positive, floats16_above(r_size, limit)));
    }
    return (struct code_sums){floats16_sum(node_signs), floats16_sum(node_large), floats16_sum(large)};
}

static void encode(const rhumb__lane_space *space, const float *node, const float *neighbour, uint8_t *codes,
                   rhumb__lane_sums *sums) {
    const uint32_t dim = space->rotation.padded_dim;
    const float *const vectors[2] = {node, neighbour};
    const struct whole_sums whole = sum_whole(node, neighbour, dim);
    struct code_sums code;
    if (space->bits == 1) {
        code = write_code(space, 1, vectors, 0.0f, codes);
    } else {
        const float first = RHUMB__LANE_FIRST_SCALE * whole.size / (float)dim;
        code = write_code(space, 2, vectors, better_threshold(node, neighbour, dim, whole.size, first), codes);
    }
    *sums = (rhumb__lane_sums){.square = (double)whole.square,
                               .code_product = (double)(whole.size * 0.5f + code.large),
                               .node_code = (double)(code.node_signs * 0.5f + code.node_large),
                               .node_product = (double)whole.node_product};
    if (!rhumb__lane_square_is_sound(sums->square)) rhumb__lane_encode_extreme(space, node, neighbour, codes, sums);
}

#endif /* RHUMB_DISTANCES_LANES_ENCODE_BODY_H */
