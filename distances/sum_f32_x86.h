/* sum_f32_x86.h - what the AVX2 and the AVX-512 kernels share: from four sums to four raw distances.
 *
 * Included only by files compiled for one of those instruction sets. Everything here is inlined into its caller, as in
 * kernel.h.
 *
 * The single forms use these too, with one sum in lane 0: that is how both forms round alike.
 */
#ifndef RHUMB_DISTANCES_SUM_F32_X86_H
#define RHUMB_DISTANCES_SUM_F32_X86_H

#include <immintrin.h>

#include "distances/guard.h"
#include "distances/kernel.h"
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"

/* The term that is summed over the components; cosine is a product that is scaled afterwards. */
enum rhumb__sum_f32_term { RHUMB__SUM_F32_SQUARED_DIFFERENCE, RHUMB__SUM_F32_PRODUCT };

enum { RHUMB__ROWS_AT_ONCE = 4 };

RHUMB__INLINE enum rhumb__sum_f32_term rhumb__sum_f32_term_of(rhumb_metric metric) {
    return metric == RHUMB_METRIC_L2SQ ? RHUMB__SUM_F32_SQUARED_DIFFERENCE : RHUMB__SUM_F32_PRODUCT;
}

/* Of a dot product. Neither this nor a sum of squares is clamped: the guard sees to NaN and infinities. */
RHUMB__INLINE __m128 rhumb__sum_f32_raw_ip(__m128 dots) { return _mm_sub_ps(_mm_setzero_ps(), dots); }

/* `scales` are products of two inverse norms. Lanes in which either is out of range are left for the caller to replace.
 */
RHUMB__INLINE __m128 rhumb__sum_f32_raw_cosine(__m128 dots, __m128 scales) {
    __m128 raw = _mm_fnmadd_ps(dots, scales, _mm_set1_ps(1.0f));
    return _mm_max_ps(_mm_min_ps(raw, _mm_set1_ps(2.0f)), _mm_setzero_ps());
}

/* One bit per lane: set where an inverse norm is out of the range in which f32 will do (or NaN). */
RHUMB__INLINE int rhumb__sum_f32_extreme_lanes(__m128 inverse_norms) {
    __m128 low = _mm_cmp_ps(inverse_norms, _mm_set1_ps(RHUMB__SUM_F32_INVERSE_NORM_MIN), _CMP_NGE_UQ);
    __m128 high = _mm_cmp_ps(inverse_norms, _mm_set1_ps(RHUMB__SUM_F32_INVERSE_NORM_MAX), _CMP_NLE_UQ);
    return _mm_movemask_ps(_mm_or_ps(low, high));
}

/* The raw distance of one row from its sum in lane 0. */
RHUMB__INLINE float rhumb__sum_f32_finish_one(const rhumb__space *space, rhumb_metric metric, const float *a,
                                              const float *b, __m128 sum) {
    if (metric == RHUMB_METRIC_L2SQ) return _mm_cvtss_f32(sum);
    if (metric == RHUMB_METRIC_IP) return _mm_cvtss_f32(rhumb__sum_f32_raw_ip(sum));
    __m128 inverse_a = _mm_set1_ps(a[space->dim]), inverse_b = _mm_set1_ps(b[space->dim]);
    int extreme = rhumb__sum_f32_extreme_lanes(_mm_unpacklo_ps(inverse_a, inverse_b));
    if (__builtin_expect(extreme != 0, 0)) return rhumb__sum_f32_cosine_extreme(space, a, b);
    return _mm_cvtss_f32(rhumb__sum_f32_raw_cosine(sum, _mm_mul_ps(inverse_a, inverse_b)));
}

/* Writes the raw distances of four rows from their four sums. */
RHUMB__INLINE void rhumb__sum_f32_finish_four(const rhumb__space *space, rhumb_metric metric, const float *query,
                                              const float *const *rows, __m128 sums, float *distances) {
    if (metric == RHUMB_METRIC_L2SQ) {
        _mm_storeu_ps(distances, sums);
        return;
    }
    if (metric == RHUMB_METRIC_IP) {
        _mm_storeu_ps(distances, rhumb__sum_f32_raw_ip(sums));
        return;
    }
    size_t dim = space->dim;
    __m128 inverse_norms = _mm_setr_ps(rows[0][dim], rows[1][dim], rows[2][dim], rows[3][dim]);
    __m128 query_inverse_norm = _mm_set1_ps(query[dim]);
    _mm_storeu_ps(distances, rhumb__sum_f32_raw_cosine(sums, _mm_mul_ps(query_inverse_norm, inverse_norms)));
    int extreme = rhumb__sum_f32_extreme_lanes(query_inverse_norm) | rhumb__sum_f32_extreme_lanes(inverse_norms);
    if (__builtin_expect(extreme != 0, 0)) {
        for (int lane = 0; lane < RHUMB__ROWS_AT_ONCE; lane++) {
            if (extreme >> lane & 1) distances[lane] = rhumb__sum_f32_cosine_extreme(space, query, rows[lane]);
        }
    }
}

/* Prefetches the cache line that holds `address`; never faults, whatever the address. */
RHUMB__INLINE void rhumb__prefetch(const void *address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

/* Prefetches the line of a row's last byte: the end of components that straddle lines, and cosine's inverse norm. */
RHUMB__INLINE void rhumb__prefetch_last(const rhumb__space *space, const float *row) {
    rhumb__prefetch((const char *)row + space->row_bytes - 1);
}

/* Chooses the four rows from `i` on, and the four after those to prefetch; at the list's end these are the same. */
RHUMB__INLINE void rhumb__sum_f32_choose_rows(const void *const *rows, size_t count, size_t i, const float **four,
                                              const float **ahead) {
    for (size_t row = i; row < i + RHUMB__ROWS_AT_ONCE; row++) {
        size_t next = row + RHUMB__ROWS_AT_ONCE;
        *four++ = rows[row];
        *ahead++ = rows[next < count ? next : row];
    }
}

/* Measures those of `count` rows again whose sums are not safe. */
static __attribute__((noinline)) void rhumb__sum_f32_measure_again(const rhumb__space *space, const void *query,
                                                                   const void *const *rows, size_t count,
                                                                   float *distances, const rhumb__kernels *wide) {
    const rhumb_metric metric = space->metric == RHUMB_METRIC_IP ? RHUMB_METRIC_IP : RHUMB_METRIC_L2SQ;
    const bool has_tiny = metric == RHUMB_METRIC_IP && rhumb__has_tiny_f32(query, space->dim);
    for (size_t i = 0; i < count; i++) {
        if (!rhumb__is_safe(distances[i]))
            distances[i] = rhumb__measure_again(space, metric, query, rows[i], distances[i], has_tiny, wide);
    }
}

/* Defines rhumb__sum_f32_<name>_<tier> from the including file's measure_one and measure_many, whose metric is then a
 * constant and costs nothing. Cosines need no guard: their sums are sound, or are taken in double already. */
#define RHUMB__SUM_F32_DEFINE_KERNELS(name, metric, tier)                                                              \
    static float name(const rhumb__space *space, const void *a, const void *b) {                                       \
        RHUMB_ASSERT_DEBUG((uintptr_t)a % sizeof(float) == 0 && (uintptr_t)b % sizeof(float) == 0);                    \
        const float raw = measure_one(space, metric, a, b, NULL);                                                      \
        if (metric == RHUMB_METRIC_COSINE) return raw;                                                                 \
        return rhumb__guarded(space, metric, a, b, raw, &rhumb__sum_double_##name##_##tier);                           \
    }                                                                                                                  \
    static void name##_many(const rhumb__space *space, const void *query, const void *const *rows, size_t count,       \
                            float *distances) {                                                                        \
        measure_many(space, metric, query, rows, count, distances);                                                    \
        if (metric == RHUMB_METRIC_COSINE || __builtin_expect(rhumb__are_safe(distances, count), 1)) return;           \
        rhumb__sum_f32_measure_again(space, query, rows, count, distances, &rhumb__sum_double_##name##_##tier);        \
    }                                                                                                                  \
    const rhumb__kernels rhumb__sum_f32_##name##_##tier = {name, name##_many};

/* The kernels of l1. One row at a time, in the order of sum_lanes.h. */
#define RHUMB__SUM_F32_DEFINE_L1(tier)                                                                                 \
    static float l1(const rhumb__space *space, const void *a, const void *b) {                                         \
        const float raw = (float)float_sum(RHUMB_ELEMENT_F32, TERM_SIZE, space->dim, a, b);                            \
        return rhumb__guarded(space, RHUMB_METRIC_L1, a, b, raw, &rhumb__sum_double_l1_##tier);                        \
    }                                                                                                                  \
    RHUMB__DEFINE_KERNELS(rhumb__sum_f32_l1_##tier, l1)

#endif /* RHUMB_DISTANCES_SUM_F32_X86_H */
