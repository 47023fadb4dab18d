/* floats16_avx2.h - the operations of floats16_scalar.h with AVX2: two registers of eight floats. */
#ifndef RHUMB_DISTANCES_LANES_FLOATS16_AVX2_H
#define RHUMB_DISTANCES_LANES_FLOATS16_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "base/inline.h"

typedef struct floats16 {
    __m256 low, high;
} floats16;

RHUMB__INLINE floats16 floats16_load(const float *from) {
    return (floats16){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}

RHUMB__INLINE void floats16_store(float *to, floats16 v) {
    _mm256_storeu_ps(to, v.low);
    _mm256_storeu_ps(to + 8, v.high);
}

RHUMB__INLINE floats16 floats16_all(float value) { return (floats16){_mm256_set1_ps(value), _mm256_set1_ps(value)}; }

RHUMB__INLINE floats16 floats16_add(floats16 a, floats16 b) {
    return (floats16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

RHUMB__INLINE floats16 floats16_subtract(floats16 a, floats16 b) {
    return (floats16){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

RHUMB__INLINE floats16 floats16_multiply(floats16 a, floats16 b) {
    return (floats16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

RHUMB__INLINE floats16 floats16_size(floats16 v) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (floats16){_mm256_andnot_ps(sign, v.low), _mm256_andnot_ps(sign, v.high)};
}

RHUMB__INLINE floats16 floats16_larger(floats16 a, floats16 b) {
    return (floats16){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

/* Shifts each float's bit to where floats have their sign. */
RHUMB__INLINE floats16 floats16_negate(floats16 v, uint32_t bits) {
    const __m256i all = _mm256_set1_epi32((int)bits), sign = _mm256_set1_epi32(INT32_MIN);
    const __m256i low = _mm256_sllv_epi32(all, _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24));
    const __m256i high = _mm256_sllv_epi32(all, _mm256_setr_epi32(23, 22, 21, 20, 19, 18, 17, 16));
    return (floats16){_mm256_xor_ps(v.low, _mm256_castsi256_ps(_mm256_and_si256(low, sign))),
                      _mm256_xor_ps(v.high, _mm256_castsi256_ps(_mm256_and_si256(high, sign)))};
}

RHUMB__INLINE uint32_t floats16_above(floats16 v, floats16 limit) {
    const uint32_t low = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v.low, limit.low, _CMP_GT_OQ));
    const uint32_t high = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v.high, limit.high, _CMP_GT_OQ));
    return low | high << 8;
}

RHUMB__INLINE floats16 floats16_keep_above(floats16 kept, floats16 v, floats16 limit) {
    return (floats16){_mm256_and_ps(kept.low, _mm256_cmp_ps(v.low, limit.low, _CMP_GT_OQ)),
                      _mm256_and_ps(kept.high, _mm256_cmp_ps(v.high, limit.high, _CMP_GT_OQ))};
}

RHUMB__INLINE __m256 floats8_signed_like(__m256 v, __m256 sign) {
    const __m256 positive = _mm256_cmp_ps(sign, _mm256_setzero_ps(), _CMP_GT_OQ);
    return _mm256_xor_ps(v, _mm256_andnot_ps(positive, _mm256_set1_ps(-0.0f)));
}

RHUMB__INLINE floats16 floats16_signed_like(floats16 v, floats16 sign) {
    return (floats16){floats8_signed_like(v.low, sign.low), floats8_signed_like(v.high, sign.high)};
}

RHUMB__INLINE float floats16_sum(floats16 v) {
    const __m256 eight = _mm256_add_ps(v.low, v.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

RHUMB__INLINE float floats16_largest(floats16 v) {
    const __m256 eight = _mm256_max_ps(v.low, v.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

RHUMB__INLINE __m256 floats8_sums(__m256 v) {
    v = _mm256_add_ps(v, _mm256_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1)));
    v = _mm256_add_ps(v, _mm256_permute_ps(v, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm256_add_ps(v, _mm256_permute2f128_ps(v, v, 1));
}

RHUMB__INLINE floats16 floats16_sums_of_eight(floats16 v) {
    return (floats16){floats8_sums(v.low), floats8_sums(v.high)};
}

/* Times the Hadamard matrix of 8. a - b is computed as a + -b, which is the same. */
RHUMB__INLINE __m256 floats8_hadamard(__m256 v) {
    const __m256 minus1 = _mm256_setr_ps(0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f);
    const __m256 minus2 = _mm256_setr_ps(0.0f, 0.0f, -0.0f, -0.0f, 0.0f, 0.0f, -0.0f, -0.0f);
    const __m256 minus4 = _mm256_setr_ps(0.0f, 0.0f, 0.0f, 0.0f, -0.0f, -0.0f, -0.0f, -0.0f);
    v = _mm256_add_ps(_mm256_xor_ps(v, minus1), _mm256_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1)));
    v = _mm256_add_ps(_mm256_xor_ps(v, minus2), _mm256_permute_ps(v, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm256_add_ps(_mm256_xor_ps(v, minus4), _mm256_permute2f128_ps(v, v, 1));
}

RHUMB__INLINE floats16 floats16_hadamard(floats16 v) {
    const __m256 low = floats8_hadamard(v.low), high = floats8_hadamard(v.high);
    return (floats16){_mm256_add_ps(low, high), _mm256_sub_ps(low, high)};
}

/* The entries of two groups, 16 bytes each. In each half of the registers, of one group: `low` has the four sums of y0
 * and y1, `high` those of y2 and y3; entries 4 k to 4 k + 3 add sum k of `high` to all four of `low`. */
RHUMB__INLINE __m256i floats8_entries(__m256 v) {
    const __m256 zero = _mm256_setzero_ps();
    const __m256 positive = _mm256_max_ps(v, zero), negative = _mm256_max_ps(_mm256_sub_ps(zero, v), zero);
    const __m256 sizes01 = _mm256_unpacklo_ps(negative, positive), sizes23 = _mm256_unpackhi_ps(negative, positive);
    const __m256 low = _mm256_add_ps(_mm256_permute_ps(sizes01, _MM_SHUFFLE(1, 0, 1, 0)),
                                     _mm256_permute_ps(sizes01, _MM_SHUFFLE(3, 3, 2, 2)));
    const __m256 high = _mm256_add_ps(_mm256_add_ps(_mm256_permute_ps(sizes23, _MM_SHUFFLE(1, 0, 1, 0)),
                                                    _mm256_permute_ps(sizes23, _MM_SHUFFLE(3, 3, 2, 2))),
                                      _mm256_set1_ps(0.5f));
    const __m256i sum0 = _mm256_cvttps_epi32(_mm256_add_ps(low, _mm256_permute_ps(high, _MM_SHUFFLE(0, 0, 0, 0))));
    const __m256i sum1 = _mm256_cvttps_epi32(_mm256_add_ps(low, _mm256_permute_ps(high, _MM_SHUFFLE(1, 1, 1, 1))));
    const __m256i sum2 = _mm256_cvttps_epi32(_mm256_add_ps(low, _mm256_permute_ps(high, _MM_SHUFFLE(2, 2, 2, 2))));
    const __m256i sum3 = _mm256_cvttps_epi32(_mm256_add_ps(low, _mm256_permute_ps(high, _MM_SHUFFLE(3, 3, 3, 3))));
    return _mm256_packus_epi16(_mm256_packs_epi32(sum0, sum1), _mm256_packs_epi32(sum2, sum3));
}

RHUMB__INLINE void floats16_store_entries(floats16 v, uint8_t *even, uint8_t *odd) {
    const __m256i groups01 = floats8_entries(v.low), groups23 = floats8_entries(v.high);
    _mm256_storeu_si256((__m256i *)(void *)even, _mm256_permute2x128_si256(groups01, groups23, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)odd, _mm256_permute2x128_si256(groups01, groups23, 0x31));
}

#endif /* RHUMB_DISTANCES_LANES_FLOATS16_AVX2_H */
