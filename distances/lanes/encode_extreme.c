/* encode_extreme.c - the code of a lane whose sums f32 does not hold: of vectors that are very long or very short, or
 * equal. The rules are those of encode_body.h, in double, which holds the square of any f32. One function serves all
 * instruction sets, so that they give the same bits. No state, no locks, no failures.
 */
#include <math.h>

#include "distances/lanes/encode_rules.h"

static double difference_at(const float *node, const float *neighbour, uint32_t i) {
    return (double)neighbour[i] - (double)node[i];
}

/* The scale of the code of two bits that `threshold` makes. */
static double scale_of(const float *node, const float *neighbour, uint32_t dim, double threshold) {
    double product = 0.0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < dim; i++) {
        const double size = fabs(difference_at(node, neighbour, i));
        product += size > threshold ? 1.5 * size : 0.5 * size;
        if (size > threshold) count++;
    }
    return product / rhumb__lane_code_square(dim, count);
}

static double mean_size(const float *node, const float *neighbour, uint32_t dim) {
    double sum = 0.0;
    for (uint32_t i = 0; i < dim; i++) sum += fabs(difference_at(node, neighbour, i));
    return sum / (double)dim;
}

/* Writes one bit of a lane. */
static void put_bit(uint8_t *codes, uint32_t i, uint32_t bit) {
    uint8_t *byte = codes + i / 8 * RHUMB__LANES_PER_BLOCK;
    *byte = (uint8_t)((*byte & ~(1u << i % 8)) | bit << i % 8);
}

void rhumb__lane_encode_extreme(const rhumb__lane_space *space, const float *node, const float *neighbour,
                                uint8_t *codes, rhumb__lane_sums *sums) {
    const uint32_t dim = space->rotation.padded_dim;
    double threshold = INFINITY;
    if (space->bits == 2) {
        const double first = (double)RHUMB__LANE_FIRST_SCALE * mean_size(node, neighbour, dim);
        threshold = scale_of(node, neighbour, dim, first);
    }
    *sums = (rhumb__lane_sums){0};
    for (uint32_t i = 0; i < dim; i++) {
        const double r = difference_at(node, neighbour, i);
        const uint32_t positive = r > 0.0, large = fabs(r) > threshold;
        const double size = large ? 1.5 : 0.5, z = positive ? size : -size;
        put_bit(codes, i, positive);
        if (space->bits == 2) put_bit(codes + space->plane_bytes, i, rhumb__lane_second_bits(positive, large) & 1u);
        sums->square += r * r;
        sums->code_product += r * z;
        sums->node_code += (double)node[i] * z;
        sums->node_product += r * (double)node[i];
    }
}
