/* lanes_avx2.h - vectors of lanes, and what can be done with them, in the instructions of AVX2, FMA and F16C.
 *
 * lanes_avx2.h and lanes_avx512.h define the same names, so that sum_lanes.h and sum_narrow_body.h are written once and
 * compiled for both. Each operation is one or two instructions. Included only by files compiled for these instructions.
 */
#ifndef RHUMB_DISTANCES_LANES_AVX2_H
#define RHUMB_DISTANCES_LANES_AVX2_H

#include <immintrin.h>

#include "distances/kernel.h"

enum { FLOAT_LANES = 8, SHORT_LANES = 16, INT_LANES = 8, VECTOR_BYTES = 32 };

typedef __m256 floats;
typedef __m256i integers;

/* ---- f32 lanes ---- */

RHUMB__INLINE floats floats_zero(void) { return _mm256_setzero_ps(); }
RHUMB__INLINE floats floats_load_f32(const void *from) { return _mm256_loadu_ps(from); }
RHUMB__INLINE floats floats_load_f16(const void *from) { return _mm256_cvtph_ps(_mm_loadu_si128(from)); }
RHUMB__INLINE floats floats_load_bf16(const void *from) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(from)), 16));
}
RHUMB__INLINE floats floats_add(floats a, floats b) { return _mm256_add_ps(a, b); }
RHUMB__INLINE floats floats_subtract(floats a, floats b) { return _mm256_sub_ps(a, b); }
RHUMB__INLINE floats floats_add_product(floats sum, floats a, floats b) { return _mm256_fmadd_ps(a, b, sum); }
RHUMB__INLINE floats floats_size(floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
RHUMB__INLINE void floats_store(float *to, floats a) { _mm256_storeu_ps(to, a); }

/* ---- integers ---- */

RHUMB__INLINE integers integers_zero(void) { return _mm256_setzero_si256(); }
RHUMB__INLINE integers integers_load(const void *from) { return _mm256_loadu_si256(from); }
RHUMB__INLINE integers shorts_load_i8(const void *from) { return _mm256_cvtepi8_epi16(_mm_loadu_si128(from)); }
RHUMB__INLINE integers shorts_load_u8(const void *from) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(from)); }
RHUMB__INLINE integers shorts_subtract(integers a, integers b) { return _mm256_sub_epi16(a, b); }
/* Products of 16-bit lanes, added in pairs to lanes of 32 bits. */
RHUMB__INLINE integers shorts_pair_products(integers a, integers b) { return _mm256_madd_epi16(a, b); }
RHUMB__INLINE integers ints_add(integers a, integers b) { return _mm256_add_epi32(a, b); }
RHUMB__INLINE integers longs_add(integers a, integers b) { return _mm256_add_epi64(a, b); }
/* Sums of |a - b| over groups of eight unsigned bytes, in lanes of 64 bits. */
RHUMB__INLINE integers bytes_differences(integers a, integers b) { return _mm256_sad_epu8(a, b); }
RHUMB__INLINE integers bytes_smaller(integers a, integers b) { return _mm256_min_epu8(a, b); }
RHUMB__INLINE integers bytes_larger(integers a, integers b) { return _mm256_max_epu8(a, b); }
/* Turns the order of signed bytes into that of unsigned ones. */
RHUMB__INLINE integers bytes_shift_sign(integers a) { return _mm256_xor_si256(a, _mm256_set1_epi8(-128)); }
RHUMB__INLINE void integers_store(void *to, integers a) { _mm256_storeu_si256(to, a); }

#endif /* RHUMB_DISTANCES_LANES_AVX2_H */
