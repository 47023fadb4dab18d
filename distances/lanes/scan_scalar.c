/* scan_scalar.c - scans in plain C, for machines without AVX2 and as the reference of the others.
 *
 * A scan computes the formula of kernels.h for the 16 lanes of a block. No state, no locks, no failures.
 */
#include <math.h>
#include <string.h>

#include "base/inline.h"
#include "distances/element.h"
#include "distances/lanes/kernels.h"

/* The sum of the entries that one lane selects in a plane. */
static uint32_t sum_of(const rhumb__lane_query *query, const uint8_t *plane, uint32_t lane) {
    const uint8_t *even = query->table, *odd = query->table + query->plane_bytes;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < query->plane_bytes; i += RHUMB__LANES_PER_BLOCK) {
        const uint8_t byte = plane[i + lane];
        sum += (uint32_t)even[i + (byte & 15u)] + odd[i + (byte >> 4)];
    }
    return sum;
}

/* Any f16, infinities and NaN among them. */
static float half_value(uint32_t bits) {
    if ((bits & RHUMB__LANE_INFINITE) != RHUMB__LANE_INFINITE) return rhumb__f16_value((uint16_t)bits);
    return (bits & 0x3FFu) != 0 ? NAN : bits >> 15 != 0 ? -INFINITY : INFINITY;
}

/* What a factor of 1 stands for: an exponent field from bits 15 of eight lanes. */
static float unit_of(const uint16_t *slopes) {
    uint32_t exponent = 0;
    for (uint32_t lane = 0; lane < 8; lane++) exponent |= (uint32_t)slopes[lane] >> 15 << lane;
    return rhumb__f32_from_bits((exponent < 254 ? exponent : 254) << 23);
}

RHUMB__INLINE uint32_t scan(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                            uint32_t bits, float *estimates) {
    const uint8_t *codes = (const uint8_t *)block + RHUMB__LANE_CODES_OFFSET;
    rhumb__lane_factors factors;
    memcpy(&factors, block, sizeof factors);
    const float base_unit = unit_of(factors.slope), slope_unit = unit_of(factors.slope + 8);
    uint32_t below = 0;
    for (uint32_t lane = 0; lane < RHUMB__LANES_PER_BLOCK; lane++) {
        uint32_t sum = bits * sum_of(query, codes, lane);
        if (bits == 2) sum += sum_of(query, codes + query->plane_bytes, lane);
        const float product = (float)sum * query->delta + query->bias;
        const float base = half_value(factors.base[lane]) * base_unit * node->base_scale;
        const float slope = half_value(factors.slope[lane] & RHUMB__LANE_SIZE_MASK) * slope_unit;
        float estimate = (base + node->distance) - slope * product;
        if (!(fabsf(estimate) <= query->size_max)) estimate = INFINITY;
        estimate = estimate > query->least ? estimate : query->least; /* not -0 for 0 */
        estimates[lane] = estimate;
        below |= (uint32_t)(estimate < node->bound) << lane;
    }
    return below;
}

uint32_t rhumb__lane_scan1_scalar(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                  float *estimates) {
    return scan(query, block, node, 1, estimates);
}

uint32_t rhumb__lane_scan2_scalar(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                  float *estimates) {
    return scan(query, block, node, 2, estimates);
}
