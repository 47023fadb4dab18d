/* tile_avx512.c - tiles with AVX-512, on digits of 16 bits; see sums_avx512.h. */
#define RHUMB__TILE_COMPUTE rhumb__tile_compute_avx512

#include "distances/tile/estimate_body.h"

#include <immintrin.h>

RHUMB__INLINE __m512i ints_add_products(__m512i sums, __m512i columns, __m512i row) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(columns, row));
}

#include "distances/tile/sums_avx512.h"
