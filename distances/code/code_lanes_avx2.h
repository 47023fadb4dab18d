/* code_lanes_avx2.h - what codes need of AVX2 besides distances/lanes_avx2.h.
 *
 * code_lanes_avx2.h and code_lanes_avx512.h define the same names. Included only by files compiled for these
 * instructions.
 */
#ifndef RHUMB_DISTANCES_CODE_CODE_LANES_AVX2_H
#define RHUMB_DISTANCES_CODE_CODE_LANES_AVX2_H

#include "distances/lanes_avx2.h"

/* A vector of bytes of which `count`, from 1 up, are the code's. Reads 32, which the layout of a code allows. */
RHUMB__INLINE integers bytes_load_last(const void *from, size_t count) {
    (void)count;
    return _mm256_loadu_si256(from);
}
/* The low and the high four bits of each byte. */
RHUMB__INLINE integers bytes_low_halves(integers a) { return _mm256_and_si256(a, _mm256_set1_epi8(15)); }
RHUMB__INLINE integers bytes_high_halves(integers a) { return bytes_low_halves(_mm256_srli_epi16(a, 4)); }
/* Products of unsigned bytes with signed ones, added in pairs to lanes of 16 bits. */
RHUMB__INLINE integers bytes_pair_products(integers a, integers b) { return _mm256_maddubs_epi16(a, b); }
RHUMB__INLINE integers shorts_add(integers a, integers b) { return _mm256_add_epi16(a, b); }
/* Lanes of 16 bits added in pairs to lanes of 32. */
RHUMB__INLINE integers shorts_pair_sums(integers a) { return _mm256_madd_epi16(a, _mm256_set1_epi16(1)); }
RHUMB__INLINE integers ints_times_16(integers a) { return _mm256_slli_epi32(a, 4); }
/* Lanes that are 8 apart added to each other, until 8 are left. */
RHUMB__INLINE __m256i ints_fold(integers a) { return a; }

#endif /* RHUMB_DISTANCES_CODE_CODE_LANES_AVX2_H */
