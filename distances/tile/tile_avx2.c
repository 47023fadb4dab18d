/* tile_avx2.c - tiles with AVX2, on digits of 16 bits: six rows by two vectors of columns at a time, all in registers.
 */
#define RHUMB__TILE_COMPUTE rhumb__tile_compute_avx2

#include "distances/tile/estimate_body.h"

#include <immintrin.h>
#include <string.h>

enum { VECTOR_COLUMNS = 8, VECTORS = 2 };

/* The sums of the columns from `first` on. */
RHUMB__INLINE void sum_columns(const rhumb__tiler *tiler, const rhumb__tile_source *source, int first, tile_sums sums) {
    __m256i totals[RHUMB__TILE_ROWS][VECTORS];
    const uint8_t *panel = source->panel + first * RHUMB__TILE_GROUP_BYTES;
    const size_t row_bytes = tiler->point_bytes;
#pragma GCC unroll 6
    for (int r = 0; r < RHUMB__TILE_ROWS; r++) totals[r][0] = totals[r][1] = _mm256_setzero_si256();
    for (size_t at = 0; at < row_bytes; at += RHUMB__TILE_GROUP_BYTES) {
        const __m256i left = _mm256_loadu_si256((const __m256i *)(const void *)panel);
        const __m256i right = _mm256_loadu_si256((const __m256i *)(const void *)(panel + sizeof(__m256i)));
        panel += (size_t)RHUMB__TILE_GROUP_BYTES * RHUMB__TILE_COLUMNS;
#pragma GCC unroll 6
        for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
            int32_t digits;
            memcpy(&digits, source->rows + r * row_bytes + at, sizeof digits);
            const __m256i row = _mm256_set1_epi32(digits);
            totals[r][0] = _mm256_add_epi32(totals[r][0], _mm256_madd_epi16(left, row));
            totals[r][1] = _mm256_add_epi32(totals[r][1], _mm256_madd_epi16(right, row));
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
        for (int v = 0; v < VECTORS; v++) {
            _mm256_storeu_si256((__m256i *)(void *)(sums[r] + first + v * VECTOR_COLUMNS), totals[r][v]);
        }
    }
}

static void sums_of_tile(const rhumb__tiler *tiler, const rhumb__tile_source *source, tile_sums sums) {
    for (int first = 0; first < RHUMB__TILE_COLUMNS; first += VECTORS * VECTOR_COLUMNS) {
        sum_columns(tiler, source, first, sums);
    }
}

static uint64_t bits_within(const float *values, const float *limits) {
    uint64_t bits = 0;
    for (int i = 0; i < RHUMB__TILE_COLUMNS; i += VECTOR_COLUMNS) {
        const __m256 within = _mm256_cmp_ps(_mm256_loadu_ps(values + i), _mm256_loadu_ps(limits + i), _CMP_LE_OQ);
        bits |= (uint64_t)(uint32_t)_mm256_movemask_ps(within) << i;
    }
    return bits;
}
