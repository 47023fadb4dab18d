/* floats16_avx512.h - the operations of floats16_scalar.h with AVX-512 (F, BW, DQ): one register. */
#ifndef RHUMB_DISTANCES_LANES_FLOATS16_AVX512_H
#define RHUMB_DISTANCES_LANES_FLOATS16_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "base/inline.h"

typedef __m512 floats16;

RHUMB__INLINE floats16 floats16_load(const float *from) { return _mm512_loadu_ps(from); }
RHUMB__INLINE void floats16_store(float *to, floats16 v) { _mm512_storeu_ps(to, v); }
RHUMB__INLINE floats16 floats16_all(float value) { return _mm512_set1_ps(value); }
RHUMB__INLINE floats16 floats16_add(floats16 a, floats16 b) { return _mm512_add_ps(a, b); }
RHUMB__INLINE floats16 floats16_subtract(floats16 a, floats16 b) { return _mm512_sub_ps(a, b); }
RHUMB__INLINE floats16 floats16_multiply(floats16 a, floats16 b) { return _mm512_mul_ps(a, b); }
RHUMB__INLINE floats16 floats16_size(floats16 v) { return _mm512_abs_ps(v); }
RHUMB__INLINE floats16 floats16_larger(floats16 a, floats16 b) { return _mm512_max_ps(a, b); }

/* An exclusive or, as 0 - v would not make -0 of 0. */
RHUMB__INLINE floats16 floats16_negate(floats16 v, uint32_t bits) {
    const __m512i integers = _mm512_castps_si512(v);
    const __m512i negated = _mm512_xor_si512(integers, _mm512_set1_epi32(INT32_MIN));
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(integers, (__mmask16)bits, negated));
}

RHUMB__INLINE uint32_t floats16_above(floats16 v, floats16 limit) { return _mm512_cmp_ps_mask(v, limit, _CMP_GT_OQ); }

RHUMB__INLINE floats16 floats16_keep_above(floats16 kept, floats16 v, floats16 limit) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, limit, _CMP_GT_OQ), kept);
}

RHUMB__INLINE floats16 floats16_signed_like(floats16 v, floats16 sign) {
    return floats16_negate(v, ~floats16_above(sign, _mm512_setzero_ps()));
}

RHUMB__INLINE float floats16_sum(floats16 v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

RHUMB__INLINE float floats16_largest(floats16 v) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

RHUMB__INLINE floats16 floats16_sums_of_eight(floats16 v) {
    v = _mm512_add_ps(v, _mm512_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1)));
    v = _mm512_add_ps(v, _mm512_permute_ps(v, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm512_add_ps(v, _mm512_shuffle_f32x4(v, v, _MM_SHUFFLE(2, 3, 0, 1)));
}

/* `other` has the floats at a distance of h; a - b is taken where the bit h of the place is set. */
RHUMB__INLINE floats16 floats16_butterfly(floats16 v, floats16 other, __mmask16 seconds) {
    return _mm512_mask_sub_ps(_mm512_add_ps(v, other), seconds, other, v);
}

RHUMB__INLINE floats16 floats16_hadamard(floats16 v) {
    v = floats16_butterfly(v, _mm512_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1)), 0xAAAA);
    v = floats16_butterfly(v, _mm512_permute_ps(v, _MM_SHUFFLE(1, 0, 3, 2)), 0xCCCC);
    v = floats16_butterfly(v, _mm512_shuffle_f32x4(v, v, _MM_SHUFFLE(2, 3, 0, 1)), 0xF0F0);
    return floats16_butterfly(v, _mm512_shuffle_f32x4(v, v, _MM_SHUFFLE(1, 0, 3, 2)), 0xFF00);
}

/* The sums of the pair of sizes in each quarter, for 00, 01, 10 and 11. */
RHUMB__INLINE __m512 floats16_pair_sums(__m512 sizes) {
    return _mm512_add_ps(_mm512_permute_ps(sizes, _MM_SHUFFLE(1, 0, 1, 0)),
                         _mm512_permute_ps(sizes, _MM_SHUFFLE(3, 3, 2, 2)));
}

/* As in floats16_avx2.h, with one group in each quarter of a register. */
RHUMB__INLINE void floats16_store_entries(floats16 v, uint8_t *even, uint8_t *odd) {
    const __m512 zero = _mm512_setzero_ps();
    const __m512 positive = _mm512_max_ps(v, zero), negative = _mm512_max_ps(_mm512_sub_ps(zero, v), zero);
    const __m512 low = floats16_pair_sums(_mm512_unpacklo_ps(negative, positive));
    const __m512 high = _mm512_add_ps(floats16_pair_sums(_mm512_unpackhi_ps(negative, positive)), _mm512_set1_ps(0.5f));
    const __m512i sum0 = _mm512_cvttps_epi32(_mm512_add_ps(low, _mm512_permute_ps(high, _MM_SHUFFLE(0, 0, 0, 0))));
    const __m512i sum1 = _mm512_cvttps_epi32(_mm512_add_ps(low, _mm512_permute_ps(high, _MM_SHUFFLE(1, 1, 1, 1))));
    const __m512i sum2 = _mm512_cvttps_epi32(_mm512_add_ps(low, _mm512_permute_ps(high, _MM_SHUFFLE(2, 2, 2, 2))));
    const __m512i sum3 = _mm512_cvttps_epi32(_mm512_add_ps(low, _mm512_permute_ps(high, _MM_SHUFFLE(3, 3, 3, 3))));
    const __m512i groups = _mm512_packus_epi16(_mm512_packs_epi32(sum0, sum1), _mm512_packs_epi32(sum2, sum3));
    const __m512i sorted = _mm512_shuffle_i32x4(groups, groups, _MM_SHUFFLE(3, 1, 2, 0));
    _mm256_storeu_si256((__m256i *)(void *)even, _mm512_castsi512_si256(sorted));
    _mm256_storeu_si256((__m256i *)(void *)odd, _mm512_extracti64x4_epi64(sorted, 1));
}

#endif /* RHUMB_DISTANCES_LANES_FLOATS16_AVX512_H */
