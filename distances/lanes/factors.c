/* factors.c - the two factors of each lane, and their 16 bits.
 *
 * With r = R(x - c) and the code z of r, the quotient <r, y> ~ |r|^2 / <r, z> * <z, y> is right on average over
 * rotations, for any y, and the shorter y is the smaller is its error. With y = R(q - c), which is short where a search
 * looks at c's neighbours, and for dot products y = R(q - s c), the part of q that is at a right angle to c:
 *
 *   |q - x|^2 = |q - c|^2 + |r|^2 - 2 <r, R(q - c)>      slope = 2 |r|^2 / <r, z>     base = |r|^2 + slope <Rc, z>
 *      -<q, x> = -<q, c> - s <r, Rc> - <r, R(q - s c)>   slope =   |r|^2 / <r, z>     base = slope <Rc, z> - <r, Rc>
 *
 * so that either is the node's distance + s * base - slope * <z, Rq>, with s = 1 for squares and <q, c> / |c|^2 for dot
 * products: what the length of q is makes no difference to the order of the estimates. The slope is rounded first, and
 * the base is computed with what the slope was rounded to: the error of the slope then counts as often as
 * <z, R(q - s c)>, not as <z, Rq>. If x equals c, both are 0, and the estimate is the node's distance.
 *
 * Cannot fail: a lane whose factors are larger than f32 becomes an empty one.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "distances/element.h"
#include "distances/lanes/kernels.h"

/* Factors are scaled to less than 2^15, half of what f16 holds, so that rounding does not reach infinity. */
enum { SCALED_EXPONENT = 15 };

#define SIZE_LIMIT 0x1p128 /* the first that f32 does not hold */

/* The nearest f16 to a number from 0 to 2^15; ties go to even numbers, those below 2^-14 up. */
static uint16_t half_of(double value) {
    if (value < 0x1p-14) return (uint16_t)(value * 0x1p24 + 0.5);
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits -= UINT32_C(112) << 23; /* f32's exponent to f16's */
    return (uint16_t)((bits + 0xFFFu + (bits >> 13 & 1)) >> 13);
}

/* The exponent field by which factors up to `size_max` are kept: 240 at most, since f32 holds them. */
static uint32_t exponent_of(double size_max) {
    if (size_max == 0.0) return RHUMB__LANE_EXPONENT_BIAS;
    int exponent;
    (void)frexp(size_max, &exponent);
    exponent += RHUMB__LANE_EXPONENT_BIAS - SCALED_EXPONENT;
    return exponent < 1 ? 1 : (uint32_t)exponent;
}

/* What a factor of 1 stands for. */
static double unit_of(uint32_t exponent) { return ldexp(1.0, (int)exponent - RHUMB__LANE_EXPONENT_BIAS); }

static double slope_of(rhumb__lane_form form, const rhumb__lane_sums *sums) {
    if (sums->square == 0.0) return 0.0;
    return (form == RHUMB__LANE_L2SQ ? 2.0 : 1.0) * (sums->square / sums->code_product);
}

static double base_of(rhumb__lane_form form, const rhumb__lane_sums *sums, double slope) {
    return slope * sums->node_code + (form == RHUMB__LANE_L2SQ ? sums->square : -sums->node_product);
}

static bool is_held(double value) { return fabs(value) < SIZE_LIMIT; } /* false for NaN */

/* The largest of the sizes that f32 holds, and 0. */
static double largest_held(const double *values, uint32_t count) {
    double largest = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_held(values[i]) && fabs(values[i]) > largest) largest = fabs(values[i]);
    }
    return largest;
}

/* Keeps the two exponents in the bits that are the signs of slopes. */
static void put_exponents(rhumb__lane_factors *factors, uint32_t base_exponent, uint32_t slope_exponent) {
    const uint32_t bits = base_exponent | slope_exponent << 8;
    for (uint32_t lane = 0; lane < RHUMB__LANES_PER_BLOCK; lane++) {
        factors->slope[lane] |= (uint16_t)((bits >> lane & 1) << 15);
    }
}

void rhumb__lane_factors_write(rhumb__lane_form form, const rhumb__lane_sums *sums, uint32_t count, void *block) {
    rhumb__lane_factors factors = {0};
    double slopes[RHUMB__LANES_PER_BLOCK], bases[RHUMB__LANES_PER_BLOCK];
    for (uint32_t lane = 0; lane < count; lane++) slopes[lane] = slope_of(form, &sums[lane]);
    const uint32_t slope_exponent = exponent_of(largest_held(slopes, count));
    const double slope_unit = unit_of(slope_exponent);
    for (uint32_t lane = 0; lane < count; lane++) {
        bases[lane] = SIZE_LIMIT;
        if (!is_held(slopes[lane])) continue;
        factors.slope[lane] = half_of(slopes[lane] / slope_unit);
        bases[lane] = base_of(form, &sums[lane], (double)rhumb__f16_value(factors.slope[lane]) * slope_unit);
    }
    const uint32_t base_exponent = exponent_of(largest_held(bases, count));
    const double base_unit = unit_of(base_exponent);
    for (uint32_t lane = 0; lane < RHUMB__LANES_PER_BLOCK; lane++) {
        if (lane >= count || !is_held(bases[lane])) {
            factors.base[lane] = RHUMB__LANE_INFINITE;
            factors.slope[lane] = 0;
            continue;
        }
        factors.base[lane] = half_of(fabs(bases[lane]) / base_unit);
        if (bases[lane] < 0.0) factors.base[lane] |= 0x8000u;
    }
    put_exponents(&factors, base_exponent, slope_exponent);
    memcpy(block, &factors, sizeof factors);
}
