/* sum_narrow_avx2.c - the kernels for small components, with AVX2, FMA and F16C: the instructions that sum_narrow_body.h is
 * written in.
 */
#include <immintrin.h>

#include "distances/kernel.h"

#define RHUMB_SMALL(element, metric) rhumb__##element##_##metric##_avx2

enum { FLOAT_LANES = 8, SHORT_LANES = 16, INT_LANES = 8, VECTOR_BYTES = 32 };

typedef __m256 floats;
typedef __m256i integers;

/* ---- f32 lanes ---- */

RHUMB_INLINE floats floats_zero(void) { return _mm256_setzero_ps(); }
RHUMB_INLINE floats floats_load_f32(const void *from) { return _mm256_loadu_ps(from); }
RHUMB_INLINE floats floats_load_f16(const void *from) { return _mm256_cvtph_ps(_mm_loadu_si128(from)); }
RHUMB_INLINE floats floats_load_bf16(const void *from) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(from)), 16));
}
RHUMB_INLINE floats floats_add(floats a, floats b) { return _mm256_add_ps(a, b); }
RHUMB_INLINE floats floats_subtract(floats a, floats b) { return _mm256_sub_ps(a, b); }
RHUMB_INLINE floats floats_add_product(floats sum, floats a, floats b) { return _mm256_fmadd_ps(a, b, sum); }
RHUMB_INLINE floats floats_size(floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
RHUMB_INLINE void floats_store(float *to, floats a) { _mm256_storeu_ps(to, a); }

/* ---- integers ---- */

RHUMB_INLINE integers integers_zero(void) { return _mm256_setzero_si256(); }
RHUMB_INLINE integers integers_load(const void *from) { return _mm256_loadu_si256(from); }
RHUMB_INLINE integers shorts_load_i8(const void *from) { return _mm256_cvtepi8_epi16(_mm_loadu_si128(from)); }
RHUMB_INLINE integers shorts_load_u8(const void *from) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(from)); }
RHUMB_INLINE integers shorts_subtract(integers a, integers b) { return _mm256_sub_epi16(a, b); }
/* Products of 16-bit lanes, added in pairs to lanes of 32 bits. */
RHUMB_INLINE integers shorts_pair_products(integers a, integers b) { return _mm256_madd_epi16(a, b); }
RHUMB_INLINE integers ints_add(integers a, integers b) { return _mm256_add_epi32(a, b); }
RHUMB_INLINE integers longs_add(integers a, integers b) { return _mm256_add_epi64(a, b); }
/* Sums of |a - b| over groups of eight unsigned bytes, in lanes of 64 bits. */
RHUMB_INLINE integers bytes_differences(integers a, integers b) { return _mm256_sad_epu8(a, b); }
RHUMB_INLINE integers bytes_smaller(integers a, integers b) { return _mm256_min_epu8(a, b); }
RHUMB_INLINE integers bytes_larger(integers a, integers b) { return _mm256_max_epu8(a, b); }
/* Turns the order of signed bytes into that of unsigned ones. */
RHUMB_INLINE integers bytes_shift_sign(integers a) { return _mm256_xor_si256(a, _mm256_set1_epi8(-128)); }
RHUMB_INLINE void integers_store(void *to, integers a) { _mm256_storeu_si256(to, a); }

#include "distances/sum_narrow_body.h"
