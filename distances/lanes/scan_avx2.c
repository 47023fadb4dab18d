/* scan_avx2.c - scans with AVX2: 32 bytes of a plane at a time, which are 16 components of 16 lanes.
 *
 * scan_x86.h describes the loop, kernels.h what comes of it. No state, no locks, no failures.
 */
#include <immintrin.h>
#include <math.h>

#include "distances/lanes/scan_x86.h"

enum { STEP_BYTES = 32 };

/* Sums of one plane: of all bytes, and of the odd ones. */
struct plane_sums {
    __m256i all, odd;
};

/* 32-bit sums of lanes 0 to 7 and 8 to 15. */
struct lane_sums {
    __m256i low, high;
};

RHUMB__INLINE __m256i load(const uint8_t *from) { return _mm256_loadu_si256((const __m256i *)(const void *)from); }

RHUMB__INLINE __m128i load_half(const void *from, size_t offset) {
    return _mm_loadu_si128((const __m128i *)(const void *)((const char *)from + offset));
}

RHUMB__INLINE void add_codes(struct plane_sums *sums, __m256i codes, __m256i even, __m256i odd) {
    const __m256i low_half = _mm256_set1_epi8(15);
    const __m256i even_entries = _mm256_shuffle_epi8(even, _mm256_and_si256(codes, low_half));
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), low_half);
    const __m256i entries = _mm256_add_epi8(even_entries, _mm256_shuffle_epi8(odd, high));
    sums->all = _mm256_add_epi16(sums->all, entries);
    sums->odd = _mm256_add_epi16(sums->odd, _mm256_srli_epi16(entries, 8));
}

/* Adds the sums of a piece, `weight` times. */
RHUMB__INLINE void add_piece(struct lane_sums *lanes, const struct plane_sums *sums, int weight) {
    const __m256i sorted = lanes_in_order(sums->all, sums->odd);
    const __m256i low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(sorted));
    const __m256i high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(sorted, 1));
    lanes->low = _mm256_add_epi32(lanes->low, _mm256_slli_epi32(low, weight - 1));
    lanes->high = _mm256_add_epi32(lanes->high, _mm256_slli_epi32(high, weight - 1));
}

/* `bits` is a constant. */
RHUMB__INLINE struct lane_sums sum_codes(const rhumb__lane_query *query, const void *block, uint32_t bits) {
    const struct scan_source from = scan_source_of(query, block);
    const struct plane_sums zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    struct lane_sums lanes = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    const size_t plane_bytes = query->plane_bytes;
    size_t i = 0;
    do {
        const size_t limit = plane_bytes - i < PIECE_BYTES ? plane_bytes : i + PIECE_BYTES;
        struct plane_sums sums0 = zero, sums1 = zero;
        for (; i < limit; i += STEP_BYTES) {
            const __m256i even = load(from.even + i), odd = load(from.odd + i);
            add_codes(&sums0, load(from.plane0 + i), even, odd);
            if (bits == 2) add_codes(&sums1, load(from.plane1 + i), even, odd);
        }
        add_piece(&lanes, &sums0, (int)bits);
        if (bits == 2) add_piece(&lanes, &sums1, 1);
    } while (i < plane_bytes);
    return lanes;
}

struct finish {
    struct scan_units units;
    float delta, bias, least, size_max, node_distance, base_scale, bound;
};

/* Eight lanes; returns the mask of those below the bound. */
RHUMB__INLINE uint32_t finish_eight(const struct finish *with, __m256i sums, __m128i bases, __m128i slopes,
                                    float *estimates) {
    const __m256 product =
        _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_set1_ps(with->delta)), _mm256_set1_ps(with->bias));
    const __m128i slope_sizes = _mm_and_si128(slopes, _mm_set1_epi16(RHUMB__LANE_SIZE_MASK));
    const __m256 base = _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtph_ps(bases), _mm256_set1_ps(with->units.base)),
                                      _mm256_set1_ps(with->base_scale));
    const __m256 slope = _mm256_mul_ps(_mm256_cvtph_ps(slope_sizes), _mm256_set1_ps(with->units.slope));
    __m256 estimate =
        _mm256_sub_ps(_mm256_add_ps(base, _mm256_set1_ps(with->node_distance)), _mm256_mul_ps(slope, product));
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), estimate);
    const __m256 is_sound = _mm256_cmp_ps(size, _mm256_set1_ps(with->size_max), _CMP_LE_OQ);
    estimate = _mm256_blendv_ps(_mm256_set1_ps(INFINITY), estimate, is_sound);
    estimate = _mm256_max_ps(estimate, _mm256_set1_ps(with->least));
    _mm256_storeu_ps(estimates, estimate);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(estimate, _mm256_set1_ps(with->bound), _CMP_LT_OQ));
}

RHUMB__INLINE uint32_t finish(const rhumb__lane_query *query, const void *block, const struct lane_sums *sums,
                              const rhumb__lane_node *node, float *estimates) {
    const __m128i slopes_low = load_half(block, 32), slopes_high = load_half(block, 48);
    const struct finish with = {.units = scan_units_of(slopes_low, slopes_high),
                                .delta = query->delta,
                                .bias = query->bias,
                                .least = query->least,
                                .size_max = query->size_max,
                                .node_distance = node->distance,
                                .base_scale = node->base_scale,
                                .bound = node->bound};
    const uint32_t low = finish_eight(&with, sums->low, load_half(block, 0), slopes_low, estimates);
    return low | finish_eight(&with, sums->high, load_half(block, 16), slopes_high, estimates + 8) << 8;
}

uint32_t rhumb__lane_scan1_avx2(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                float *estimates) {
    const struct lane_sums sums = sum_codes(query, block, 1);
    return finish(query, block, &sums, node, estimates);
}

uint32_t rhumb__lane_scan2_avx2(const rhumb__lane_query *query, const void *block, const rhumb__lane_node *node,
                                float *estimates) {
    const struct lane_sums sums = sum_codes(query, block, 2);
    return finish(query, block, &sums, node, estimates);
}
