/* scan_avx512.c - scans with AVX-512 (F, BW): 64 bytes of a plane at a time, which are 32 components of 16 lanes.
 *
 * A plane that ends after half a step fills the lower half of registers of zeros with it, as do its tables: what the
 * upper half looks up is 0. scan_x86.h describes the loop, kernels.h what comes of it. No state,
 * no locks, no failures.
 */
#include <immintrin.h>
#include <math.h>

#include "distances/lanes/scan_x86.h"

enum { STEP_BYTES = 64, HALF_STEP_BYTES = 32 };

/* Sums of one plane: of all bytes, and of the odd ones. */
struct plane_sums {
    __m512i all, odd;
};

RHUMB__INLINE __m512i load(const uint8_t *from) { return _mm512_loadu_si512(from); }

RHUMB__INLINE __m256i load_256(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

RHUMB__INLINE __m512i load_half(const uint8_t *from) {
    return _mm512_inserti64x4(_mm512_setzero_si512(), load_256(from), 0);
}

RHUMB__INLINE void add_codes(struct plane_sums *sums, __m512i codes, __m512i even, __m512i odd) {
    const __m512i low_half = _mm512_set1_epi8(15);
    const __m512i even_entries = _mm512_shuffle_epi8(even, _mm512_and_si512(codes, low_half));
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(codes, 4), low_half);
    const __m512i entries = _mm512_add_epi8(even_entries, _mm512_shuffle_epi8(odd, high));
    sums->all = _mm512_add_epi16(sums->all, entries);
    sums->odd = _mm512_add_epi16(sums->odd, _mm512_srli_epi16(entries, 8));
}

/* The sums of a piece, `weight` times. */
RHUMB__INLINE __m512i sums_of_piece(const struct plane_sums *sums, uint32_t weight) {
    const __m256i all = _mm256_add_epi16(_mm512_castsi512_si256(sums->all), _mm512_extracti64x4_epi64(sums->all, 1));
    const __m256i odd = _mm256_add_epi16(_mm512_castsi512_si256(sums->odd), _mm512_extracti64x4_epi64(sums->odd, 1));
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(lanes_in_order(all, odd)), weight - 1);
}

/* `bits` is a constant. */
RHUMB__INLINE __m512i sum_codes(const rhumb__lane_query *query, const void *block, uint32_t bits) {
    const struct scan_source from = scan_source_of(query, block);
    const struct plane_sums zero = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512i lanes = _mm512_setzero_si512();
    const size_t plane_bytes = query->plane_bytes;
    size_t i = 0;
    do {
        const size_t limit = plane_bytes - i < PIECE_BYTES ? plane_bytes : i + PIECE_BYTES;
        struct plane_sums sums0 = zero, sums1 = zero;
        for (; i + STEP_BYTES <= limit; i += STEP_BYTES) {
            const __m512i even = load(from.even + i), odd = load(from.odd + i);
            add_codes(&sums0, load(from.plane0 + i), even, odd);
            if (bits == 2) add_codes(&sums1, load(from.plane1 + i), even, odd);
        }
        if (i < limit) {
            const __m512i even = load_half(from.even + i), odd = load_half(from.odd + i);
            add_codes(&sums0, load_half(from.plane0 + i), even, odd);
            if (bits == 2) add_codes(&sums1, load_half(from.plane1 + i), even, odd);
            i += HALF_STEP_BYTES;
        }
        lanes = _mm512_add_epi32(lanes, sums_of_piece(&sums0, bits));
        if (bits == 2) lanes = _mm512_add_epi32(lanes, sums_of_piece(&sums1, 1));
    } while (i < plane_bytes);
    return lanes;
}

RHUMB__INLINE __m512 size_of(__m512 v) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(INT32_MAX)));
}

RHUMB__INLINE uint32_t finish(const rhumb__lane_query *query, const void *block, __m512i sums,
                              const rhumb__lane_node *node, float *estimates) {
    const __m256i bases = load_256(block), slopes = load_256((const uint8_t *)block + 32);
    const struct scan_units units = scan_units_of(_mm256_castsi256_si128(slopes), _mm256_extracti128_si256(slopes, 1));
    const __m512 product = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(query->delta)),
                                         _mm512_set1_ps(query->bias));
    const __m256i slope_sizes = _mm256_and_si256(slopes, _mm256_set1_epi16(RHUMB__LANE_SIZE_MASK));
    const __m512 base = _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtph_ps(bases), _mm512_set1_ps(units.base)),
                                      _mm512_set1_ps(node->base_scale));
    const __m512 slope = _mm512_mul_ps(_mm512_cvtph_ps(slope_sizes), _mm512_set1_ps(units.slope));
    __m512 estimate = _mm512_sub_ps(_mm512_add_ps(base, _mm512_set1_ps(node->distance)), _mm512_mul_ps(slope, product));
    const __mmask16 is_sound = _mm512_cmp_ps_mask(size_of(estimate), _mm512_set1_ps(query->size_max), _CMP_LE_OQ);
    estimate = _mm512_mask_mov_ps(_mm512_set1_ps(INFINITY), is_sound, estimate);
    estimate = _mm512_max_ps(estimate, _mm512_set1_ps(query->least));
    _mm512_storeu_ps(estimates, estimate);
    return _mm512_cmp_ps_mask(estimate, _mm512_set1_ps(node->bound), _CMP_LT_OQ);
}

uint32_t rhumb__lane_scan1_avx512(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                  float *estimates) {
    return finish(query, block, sum_codes(query, block, 1), node, estimates);
}

uint32_t rhumb__lane_scan2_avx512(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                  float *estimates) {
    return finish(query, block, sum_codes(query, block, 2), node, estimates);
}
