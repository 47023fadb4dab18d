/* sum_f32_scalar.c - kernels for f32 vectors in plain C, for machines without AVX2 and as the reference of the others;
 * and the function with which all tiers compute cosines that f32 cannot.
 *
 * Summation order, the same in both forms: eight sums take turns, then halves are added until one number is left. The
 * compiler may keep the sums in whatever vectors the base architecture has; contraction into fused operations is off
 * (in BUILD.bazel), so that all compilations of the same source round alike.
 *
 * No state, no locks, no failures.
 */
#include <math.h>

#include "distances/guard.h"
#include "distances/kernel.h"
#include "distances/link_kernels.h"
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"

enum { SUMS = 8 };

RHUMB__INLINE float add_lanes(const float *sums) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static float squared_difference(const float *a, const float *b, size_t dim) {
    float sums[SUMS] = {0};
    size_t i = 0;
    for (; i + SUMS <= dim; i += SUMS) {
        for (size_t lane = 0; lane < SUMS; lane++) {
            float difference = a[i + lane] - b[i + lane];
            sums[lane] += difference * difference;
        }
    }
    for (size_t lane = 0; i < dim; i++, lane++) {
        float difference = a[i] - b[i];
        sums[lane] += difference * difference;
    }
    return add_lanes(sums);
}

static float product(const float *a, const float *b, size_t dim) {
    float sums[SUMS] = {0};
    size_t i = 0;
    for (; i + SUMS <= dim; i += SUMS) {
        for (size_t lane = 0; lane < SUMS; lane++) sums[lane] += a[i + lane] * b[i + lane];
    }
    for (size_t lane = 0; i < dim; i++, lane++) sums[lane] += a[i] * b[i];
    return add_lanes(sums);
}

RHUMB__INLINE int is_sound(float inverse_norm) {
    return inverse_norm >= RHUMB__SUM_F32_INVERSE_NORM_MIN && inverse_norm <= RHUMB__SUM_F32_INVERSE_NORM_MAX;
}

static float l2sq(const rhumb__space *space, const void *a, const void *b) {
    const float raw = squared_difference(a, b, space->dim);
    return rhumb__guarded(space, RHUMB_METRIC_L2SQ, a, b, raw, &rhumb__sum_double_l2sq_scalar);
}

static float ip(const rhumb__space *space, const void *a, const void *b) {
    const float raw = 0.0f - product(a, b, space->dim);
    return rhumb__guarded(space, RHUMB_METRIC_IP, a, b, raw, &rhumb__sum_double_ip_scalar);
}

RHUMB__INLINE rhumb__link_sums link_sums(const rhumb__space *space, const void *a, const void *b) {
    return (rhumb__link_sums){.dot = (double)product(a, b, space->dim), .square_b = (double)product(b, b, space->dim)};
}

static float cosine(const rhumb__space *space, const void *a, const void *b) {
    float inverse_a = ((const float *)a)[space->dim], inverse_b = ((const float *)b)[space->dim];
    if (!is_sound(inverse_a) || !is_sound(inverse_b)) return rhumb__sum_f32_cosine_extreme(space, a, b);
    return rhumb__clamp(1.0f - product(a, b, space->dim) * (inverse_a * inverse_b), 0.0f, 2.0f);
}

float rhumb__sum_f32_cosine_extreme(const rhumb__space *space, const float *a, const float *b) {
    size_t dim = space->dim;
    if (a[dim] == 0.0f || b[dim] == 0.0f) return 1.0f;
    double dot = 0.0, squares_a = 0.0, squares_b = 0.0;
    for (size_t i = 0; i < dim; i++) {
        dot += (double)a[i] * (double)b[i];
        squares_a += (double)a[i] * (double)a[i];
        squares_b += (double)b[i] * (double)b[i];
    }
    return rhumb__clamp((float)(1.0 - dot / (sqrt(squares_a) * sqrt(squares_b))), 0.0f, 2.0f);
}

RHUMB__DEFINE_KERNELS(rhumb__sum_f32_l2sq_scalar, l2sq)
RHUMB__DEFINE_KERNELS(rhumb__sum_f32_ip_scalar, ip)
RHUMB__DEFINE_KERNELS(rhumb__sum_f32_cosine_scalar, cosine)
RHUMB__DEFINE_LINK_FOUR(link_sums_of_four, link_sums)
RHUMB__DEFINE_LINK_KERNELS(rhumb__sum_f32_link_ip_scalar, link_ip, link_sums, link_sums_of_four)
