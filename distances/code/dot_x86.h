/* dot_x86.h - sums of digit * weight with vector instructions: the same loops for all of them.
 *
 * Included after dot_widening.h or dot_vnni.h, which say what a vector of digits adds to a sum. What is added to a lane
 * stays below 2^31 in size for every dimension, also where lanes 8 apart are added; beyond that, sums are doubles,
 * which hold these integers exactly.
 *
 * A line of a coming code is prefetched whenever one of the present codes is read. That is written into the loops, as
 * gcc 12 drops calls of functions that do nothing else and are not inlined.
 */
#ifndef RHUMB_DISTANCES_CODE_DOT_X86_H
#define RHUMB_DISTANCES_CODE_DOT_X86_H

#include <assert.h>
#include <immintrin.h>

#include "distances/code/coder.h"
#include "distances/code/measure_four.h"

enum { LINE_BYTES = 64 };

static_assert((UINT64_C(1) + RHUMB_DIM_MAX) / 8 * 255 * RHUMB__CODE_WEIGHT_MAX_OF_8 <= INT32_MAX,
              "eight lanes suffice");

RHUMB__INLINE void prefetch(const uint8_t *address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

/* ---- lanes ---- */

RHUMB__INLINE __m256d doubles_of(uint32_t bits, struct dot_sum sum) {
    const __m256i lanes = ints_fold(dot_lanes(bits, sum));
    return _mm256_add_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(lanes)),
                         _mm256_cvtepi32_pd(_mm256_extracti128_si256(lanes, 1)));
}

RHUMB__INLINE double add_lanes(uint32_t bits, struct dot_sum sum) {
    const __m256d four = doubles_of(bits, sum);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

RHUMB__INLINE void add_lanes_of_four(uint32_t bits, const struct dot_sum *sums, doubles_of_four *dots) {
    const __m256d pairs01 = _mm256_hadd_pd(doubles_of(bits, sums[0]), doubles_of(bits, sums[1]));
    const __m256d pairs23 = _mm256_hadd_pd(doubles_of(bits, sums[2]), doubles_of(bits, sums[3]));
    const __m256d low = _mm256_permute2f128_pd(pairs01, pairs23, 0x20);
    const __m256d high = _mm256_permute2f128_pd(pairs01, pairs23, 0x31);
    *dots = (doubles_of_four)_mm256_add_pd(low, high);
}

/* ---- constants ---- */

/* Of two codes: origins and steps, and the integers of the first and of the second. */
struct constants_of_two {
    __m128d origins, steps;
    __m128 integers;
};

RHUMB__INLINE struct constants_of_two constants_load_two(const uint8_t *a, const uint8_t *b) {
    const __m128d of_a = _mm_loadu_pd((const double *)a), of_b = _mm_loadu_pd((const double *)b);
    const __m128i integers_a = _mm_loadl_epi64((const __m128i *)(a + offsetof(rhumb__code_constants, sum)));
    const __m128i integers_b = _mm_loadl_epi64((const __m128i *)(b + offsetof(rhumb__code_constants, sum)));
    return (struct constants_of_two){_mm_unpacklo_pd(of_a, of_b), _mm_unpackhi_pd(of_a, of_b),
                                     _mm_castsi128_ps(_mm_unpacklo_epi64(integers_a, integers_b))};
}

RHUMB__INLINE void constants_load(const uint8_t *const *codes, size_t offset, struct constants_of_four *constants) {
    const struct constants_of_two first = constants_load_two(codes[0] + offset, codes[1] + offset);
    const struct constants_of_two last = constants_load_two(codes[2] + offset, codes[3] + offset);
    const __m128i sums = _mm_castps_si128(_mm_shuffle_ps(first.integers, last.integers, _MM_SHUFFLE(2, 0, 2, 0)));
    const __m128i squares = _mm_castps_si128(_mm_shuffle_ps(first.integers, last.integers, _MM_SHUFFLE(3, 1, 3, 1)));
    constants->origin = (doubles_of_four)_mm256_set_m128d(last.origins, first.origins);
    constants->step = (doubles_of_four)_mm256_set_m128d(last.steps, first.steps);
    constants->sum = (doubles_of_four)_mm256_cvtepi32_pd(sums);
    constants->squares = (doubles_of_four)_mm256_cvtepi32_pd(squares);
}

/* ---- loops ---- */

/* Two sums take turns, so that an addition need not wait for the one before it. */
RHUMB__INLINE double dot_of_one(uint32_t bits, const rhumb__coder *coder, const uint8_t *query, const uint8_t *code) {
    const size_t bytes = coder->digits_bytes, step = vector_bytes(bits);
    struct dot_sum sum0 = dot_zero(), sum1 = sum0;
    size_t at = 0;
    for (; at + 2 * step <= bytes; at += 2 * step) {
        sum0 = dot_add(bits, sum0, digits_load(bits, code + at), weights_load(bits, query, coder->dim, at));
        sum1 =
            dot_add(bits, sum1, digits_load(bits, code + at + step), weights_load(bits, query, coder->dim, at + step));
    }
    for (; at < bytes; at += step) {
        const integers digits = digits_load_last(bits, code + at, coder->code_bytes - at);
        sum0 = dot_add(bits, sum0, digits, weights_load(bits, query, coder->dim, at));
    }
    return add_lanes(bits, dot_join(sum0, sum1));
}

RHUMB__INLINE void dots_of_four(uint32_t bits, const rhumb__coder *coder, const uint8_t *query,
                                const uint8_t *const *codes, const uint8_t *const *ahead, doubles_of_four *dots) {
    const size_t bytes = coder->digits_bytes, step = vector_bytes(bits);
    struct dot_sum sums[RHUMB__CODES_AT_ONCE] = {dot_zero(), dot_zero(), dot_zero(), dot_zero()};
    size_t at = 0;
    for (; at + LINE_BYTES <= bytes; at += LINE_BYTES) {
        for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) prefetch(ahead[i] + at);
        for (size_t part = at; part < at + LINE_BYTES; part += step) {
            const struct weights weights = weights_load(bits, query, coder->dim, part);
            for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++)
                sums[i] = dot_add(bits, sums[i], digits_load(bits, codes[i] + part), weights);
        }
    }
    for (int i = 0; i < RHUMB__CODES_AT_ONCE && at < bytes; i++) prefetch(ahead[i] + at);
    for (; at < bytes; at += step) {
        const struct weights weights = weights_load(bits, query, coder->dim, at);
        for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) {
            const integers digits = digits_load_last(bits, codes[i] + at, coder->code_bytes - at);
            sums[i] = dot_add(bits, sums[i], digits, weights);
        }
    }
    for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) prefetch(ahead[i] + coder->code_bytes - 1);
    add_lanes_of_four(bits, sums, dots);
}

#endif /* RHUMB_DISTANCES_CODE_DOT_X86_H */
