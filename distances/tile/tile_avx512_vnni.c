/* tile_avx512_vnni.c - tiles with AVX-512 and its VNNI; see sums_avx512.h. */
#define RHUMB__TILE_COMPUTE rhumb__tile_compute_avx512_vnni

#include "distances/tile/estimate_body.h"

#include <immintrin.h>

RHUMB__INLINE __m512i ints_add_products(__m512i sums, __m512i columns, __m512i row) {
    return _mm512_dpbusd_epi32(sums, columns, row);
}

#include "distances/tile/sums_avx512.h"
