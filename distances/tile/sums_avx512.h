/* sums_avx512.h - the sums of a tile with AVX-512: six rows by four vectors of columns, all in registers.
 *
 * The including file defines ints_add_products(sums, panel, row): four digits of each column with four of a row, or two
 * with two. Included only by files compiled for these instructions.
 */
#include <immintrin.h>
#include <string.h>

enum { VECTOR_COLUMNS = 16, VECTORS = RHUMB__TILE_COLUMNS / VECTOR_COLUMNS };

static void sums_of_tile(const rhumb__tiler *tiler, const rhumb__tile_source *source, tile_sums sums) {
    __m512i totals[RHUMB__TILE_ROWS][VECTORS];
    const uint8_t *panel = source->panel;
    const size_t row_bytes = tiler->point_bytes;
#pragma GCC unroll 6
    for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) totals[r][v] = _mm512_setzero_si512();
    }
    for (size_t at = 0; at < row_bytes; at += RHUMB__TILE_GROUP_BYTES) {
        __m512i columns[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++, panel += sizeof(__m512i)) columns[v] = _mm512_loadu_si512(panel);
#pragma GCC unroll 6
        for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
            int32_t digits;
            memcpy(&digits, source->rows + r * row_bytes + at, sizeof digits);
            const __m512i row = _mm512_set1_epi32(digits);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) totals[r][v] = ints_add_products(totals[r][v], columns[v], row);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < RHUMB__TILE_ROWS; r++) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) _mm512_storeu_si512(sums[r] + v * VECTOR_COLUMNS, totals[r][v]);
    }
}

static uint64_t bits_within(const float *values, const float *limits) {
    uint64_t bits = 0;
    for (int v = 0; v < VECTORS; v++) {
        const __mmask16 within = _mm512_cmp_ps_mask(_mm512_loadu_ps(values + v * VECTOR_COLUMNS),
                                                    _mm512_loadu_ps(limits + v * VECTOR_COLUMNS), _CMP_LE_OQ);
        bits |= (uint64_t)within << (v * VECTOR_COLUMNS);
    }
    return bits;
}
