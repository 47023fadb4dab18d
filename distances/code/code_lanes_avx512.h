/* code_lanes_avx512.h - what codes need of AVX-512 (F, BW, DQ) besides distances/lanes_avx512.h.
 *
 * code_lanes_avx2.h and code_lanes_avx512.h define the same names. Included only by files compiled for these
 * instructions.
 */
#ifndef RHUMB_DISTANCES_CODE_CODE_LANES_AVX512_H
#define RHUMB_DISTANCES_CODE_CODE_LANES_AVX512_H

#include "distances/lanes_avx512.h"

/* A vector of bytes of which `count`, from 1 up, are the code's. Reads no others; zeros take their places. */
RHUMB__INLINE integers bytes_load_last(const void *from, size_t count) {
    const __mmask64 bytes = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
    return _mm512_maskz_loadu_epi8(bytes, from);
}
/* The low and the high four bits of each byte. */
RHUMB__INLINE integers bytes_low_halves(integers a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
RHUMB__INLINE integers bytes_high_halves(integers a) { return bytes_low_halves(_mm512_srli_epi16(a, 4)); }
/* Products of unsigned bytes with signed ones, added in pairs to lanes of 16 bits. */
RHUMB__INLINE integers bytes_pair_products(integers a, integers b) { return _mm512_maddubs_epi16(a, b); }
RHUMB__INLINE integers shorts_add(integers a, integers b) { return _mm512_add_epi16(a, b); }
/* Lanes of 16 bits added in pairs to lanes of 32. */
RHUMB__INLINE integers shorts_pair_sums(integers a) { return _mm512_madd_epi16(a, _mm512_set1_epi16(1)); }
RHUMB__INLINE integers ints_times_16(integers a) { return _mm512_slli_epi32(a, 4); }
/* Lanes that are 8 apart added to each other, until 8 are left. */
RHUMB__INLINE __m256i ints_fold(integers a) {
    return _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
}

#endif /* RHUMB_DISTANCES_CODE_CODE_LANES_AVX512_H */
