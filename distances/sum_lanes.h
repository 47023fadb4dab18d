/* sum_lanes.h - sums over components that one instruction loads as f32 lanes: f32, f16 and bf16.
 *
 * Four vectors of sums take turns; of the vectors left over, whole ones go to sum 0 and the incomplete one to sum 1.
 * The lanes of (0+1)+(2+3) are then added in double. What is left after the last whole vector is copied to two buffers
 * of zeros: no byte after a row is read, and zeros add nothing.
 *
 * Included after lanes_avx2.h or lanes_avx512.h. No state, no locks, no failures.
 */
#ifndef RHUMB_DISTANCES_SUM_LANES_H
#define RHUMB_DISTANCES_SUM_LANES_H

#include "distances/kernel.h"
#include "distances/link_kernels.h"

/* What two components add to a sum: (a-b)^2, a*b or |a-b|. */
enum term { TERM_SQUARE, TERM_PRODUCT, TERM_SIZE };

RHUMB__INLINE size_t float_bytes(rhumb_element element) { return element == RHUMB_ELEMENT_F32 ? 4 : 2; }

RHUMB__INLINE floats floats_load(rhumb_element element, const char *from) {
    if (element == RHUMB_ELEMENT_F16) return floats_load_f16(from);
    if (element == RHUMB_ELEMENT_BF16) return floats_load_bf16(from);
    return floats_load_f32(from);
}

RHUMB__INLINE floats float_term(rhumb_element element, enum term term, floats sum, const char *a, const char *b) {
    const floats x = floats_load(element, a), y = floats_load(element, b);
    if (term == TERM_PRODUCT) return floats_add_product(sum, x, y);
    const floats difference = floats_subtract(x, y);
    if (term == TERM_SQUARE) return floats_add_product(sum, difference, difference);
    return floats_add(sum, floats_size(difference));
}

RHUMB__INLINE double float_sum(rhumb_element element, enum term term, size_t dim, const char *a, const char *b) {
    const size_t step = FLOAT_LANES * float_bytes(element), end = dim * float_bytes(element);
    floats sum0 = floats_zero(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t at = 0;
    for (; at + 4 * step <= end; at += 4 * step) {
        sum0 = float_term(element, term, sum0, a + at, b + at);
        sum1 = float_term(element, term, sum1, a + at + step, b + at + step);
        sum2 = float_term(element, term, sum2, a + at + 2 * step, b + at + 2 * step);
        sum3 = float_term(element, term, sum3, a + at + 3 * step, b + at + 3 * step);
    }
    for (; at + step <= end; at += step) sum0 = float_term(element, term, sum0, a + at, b + at);
    if (at < end) {
        char last_a[VECTOR_BYTES] = {0}, last_b[VECTOR_BYTES] = {0};
        memcpy(last_a, a + at, end - at);
        memcpy(last_b, b + at, end - at);
        sum1 = float_term(element, term, sum1, last_a, last_b);
    }
    float lanes[FLOAT_LANES];
    floats_store(lanes, floats_add(floats_add(sum0, sum1), floats_add(sum2, sum3)));
    double sum = 0.0;
    for (size_t lane = 0; lane < FLOAT_LANES; lane++) sum += (double)lanes[lane];
    return sum;
}

/* ---- sums for linking ---- */

/* Vectors of sums of a*b and of b*b. */
struct link_floats {
    floats dots, squares;
};

RHUMB__INLINE void link_add(rhumb_element element, struct link_floats *sum, const char *a, const char *b) {
    const floats x = floats_load(element, a), y = floats_load(element, b);
    sum->dots = floats_add_product(sum->dots, x, y);
    sum->squares = floats_add_product(sum->squares, y, y);
}

/* Halves are added until one number is left. */
RHUMB__INLINE double link_lanes(floats sum0, floats sum1, floats sum2, floats sum3) {
    float lanes[FLOAT_LANES];
    floats_store(lanes, floats_add(floats_add(sum0, sum1), floats_add(sum2, sum3)));
    for (size_t half = FLOAT_LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    }
    return (double)lanes[0];
}

/* dot and square_b, in one pass over both rows. */
RHUMB__INLINE rhumb__link_sums float_link_sums(rhumb_element element, size_t dim, const char *a, const char *b) {
    const size_t step = FLOAT_LANES * float_bytes(element), end = dim * float_bytes(element);
    struct link_floats sum0 = {floats_zero(), floats_zero()}, sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t at = 0;
    for (; at + 4 * step <= end; at += 4 * step) {
        link_add(element, &sum0, a + at, b + at);
        link_add(element, &sum1, a + at + step, b + at + step);
        link_add(element, &sum2, a + at + 2 * step, b + at + 2 * step);
        link_add(element, &sum3, a + at + 3 * step, b + at + 3 * step);
    }
    for (; at + step <= end; at += step) link_add(element, &sum0, a + at, b + at);
    if (at < end) {
        char last_a[VECTOR_BYTES] = {0}, last_b[VECTOR_BYTES] = {0};
        memcpy(last_a, a + at, end - at);
        memcpy(last_b, b + at, end - at);
        link_add(element, &sum1, last_a, last_b);
    }
    return (rhumb__link_sums){.dot = link_lanes(sum0.dots, sum1.dots, sum2.dots, sum3.dots),
                              .square_b = link_lanes(sum0.squares, sum1.squares, sum2.squares, sum3.squares)};
}

#endif /* RHUMB_DISTANCES_SUM_LANES_H */
