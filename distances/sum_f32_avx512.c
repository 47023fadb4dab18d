/* sum_f32_avx512.c - kernels for f32 vectors with AVX-512 (F, BW, DQ, VL) and FMA.
 *
 * Summation order, the same in both forms: the components are taken in vectors of 16; four sums take turns (64
 * components a turn); of the vectors left over, the first three go to sums 0, 1 and 2 and the incomplete one to sum 3,
 * by a masked load that touches no byte after the row. Then (0+1)+(2+3), and halves are added until one number is
 * left.
 *
 * Four rows are measured at once: each vector of the query is loaded once for all four, and sixteen independent sums
 * keep the multipliers busy. While they are measured, the same places of the next four rows are prefetched: most rows
 * of a large index are not in any cache, and throughput depends on how many cache misses are in flight.
 *
 * No state, no locks, no failures.
 */
#include <immintrin.h>
#include <stddef.h>

#include "distances/lanes_avx512.h"
#include "distances/link_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_f32_x86.h"
#include "distances/sum_lanes.h"

enum { LANES = 16, TURN = 4 * LANES };

/* One sum of each of four rows. */
struct quad {
    __m512 row0, row1, row2, row3;
};

RHUMB__INLINE __m512 add_term(enum rhumb__sum_f32_term term, __m512 sum, __m512 a, __m512 b) {
    if (term == RHUMB__SUM_F32_PRODUCT) return _mm512_fmadd_ps(a, b, sum);
    __m512 difference = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(difference, difference, sum);
}

/* The low `count` lanes, 1 to 15. */
RHUMB__INLINE __mmask16 low_lanes(size_t count) { return (__mmask16)((1u << count) - 1u); }

RHUMB__INLINE __m512 load_low(const float *from, __mmask16 lanes) { return _mm512_maskz_loadu_ps(lanes, from); }

/* Adds the vector at component `i` of all four rows; prefetches the same place of the rows `ahead`. */
RHUMB__INLINE void add_vector(enum rhumb__sum_f32_term term, struct quad *sum, const float *query,
                              const float *const *rows, const float *const *ahead, size_t i) {
    __m512 q = _mm512_loadu_ps(query + i);
    rhumb__prefetch(ahead[0] + i);
    rhumb__prefetch(ahead[1] + i);
    rhumb__prefetch(ahead[2] + i);
    rhumb__prefetch(ahead[3] + i);
    sum->row0 = add_term(term, sum->row0, q, _mm512_loadu_ps(rows[0] + i));
    sum->row1 = add_term(term, sum->row1, q, _mm512_loadu_ps(rows[1] + i));
    sum->row2 = add_term(term, sum->row2, q, _mm512_loadu_ps(rows[2] + i));
    sum->row3 = add_term(term, sum->row3, q, _mm512_loadu_ps(rows[3] + i));
}

/* The same for the incomplete vector at the end. */
RHUMB__INLINE void add_end(enum rhumb__sum_f32_term term, struct quad *sum, const float *query,
                           const float *const *rows, size_t i, size_t left) {
    __mmask16 lanes = low_lanes(left);
    __m512 q = load_low(query + i, lanes);
    sum->row0 = add_term(term, sum->row0, q, load_low(rows[0] + i, lanes));
    sum->row1 = add_term(term, sum->row1, q, load_low(rows[1] + i, lanes));
    sum->row2 = add_term(term, sum->row2, q, load_low(rows[2] + i, lanes));
    sum->row3 = add_term(term, sum->row3, q, load_low(rows[3] + i, lanes));
}

RHUMB__INLINE __m512 add_four(__m512 sum0, __m512 sum1, __m512 sum2, __m512 sum3) {
    return _mm512_add_ps(_mm512_add_ps(sum0, sum1), _mm512_add_ps(sum2, sum3));
}

/* The sum of the lanes, in lane 0. */
RHUMB__INLINE __m128 sum_lanes(__m512 v) {
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    __m128 pair = _mm_add_ps(quarter, _mm_permute_ps(quarter, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_add_ps(pair, _mm_permute_ps(pair, _MM_SHUFFLE(2, 3, 0, 1)));
}

/* The same for four at once, adding in the same order: two vectors share each addition of halves, then four of
 * quarters. */
RHUMB__INLINE __m128 sum_lanes_of_four(const struct quad *v) {
    __m512 halves01 = _mm512_add_ps(_mm512_shuffle_f32x4(v->row0, v->row1, _MM_SHUFFLE(1, 0, 1, 0)),
                                    _mm512_shuffle_f32x4(v->row0, v->row1, _MM_SHUFFLE(3, 2, 3, 2)));
    __m512 halves23 = _mm512_add_ps(_mm512_shuffle_f32x4(v->row2, v->row3, _MM_SHUFFLE(1, 0, 1, 0)),
                                    _mm512_shuffle_f32x4(v->row2, v->row3, _MM_SHUFFLE(3, 2, 3, 2)));
    __m512 quarters = _mm512_add_ps(_mm512_shuffle_f32x4(halves01, halves23, _MM_SHUFFLE(2, 0, 2, 0)),
                                    _mm512_shuffle_f32x4(halves01, halves23, _MM_SHUFFLE(3, 1, 3, 1)));
    __m512 pairs = _mm512_add_ps(quarters, _mm512_permute_ps(quarters, _MM_SHUFFLE(1, 0, 3, 2)));
    __m512 sums = _mm512_add_ps(pairs, _mm512_permute_ps(pairs, _MM_SHUFFLE(2, 3, 0, 1)));
    __m512i first_of_each = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(first_of_each, sums));
}

/* Adds the vector at component `i` of one row; prefetches the same place of the row `ahead`. */
RHUMB__INLINE __m512 add_vector_of_one(enum rhumb__sum_f32_term term, __m512 sum, const float *a, const float *b,
                                       const float *ahead, size_t i) {
    if (ahead != NULL) rhumb__prefetch(ahead + i);
    return add_term(term, sum, _mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
}

/* One row; `ahead` is the next row, or the constant NULL. */
RHUMB__INLINE float measure_one(const rhumb__space *space, rhumb_metric metric, const float *a, const float *b,
                                const float *ahead) {
    enum rhumb__sum_f32_term term = rhumb__sum_f32_term_of(metric);
    size_t dim = space->dim;
    __m512 sum0 = _mm512_setzero_ps(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t i = 0;
    for (; i + TURN <= dim; i += TURN) {
        sum0 = add_vector_of_one(term, sum0, a, b, ahead, i);
        sum1 = add_vector_of_one(term, sum1, a, b, ahead, i + LANES);
        sum2 = add_vector_of_one(term, sum2, a, b, ahead, i + 2 * LANES);
        sum3 = add_vector_of_one(term, sum3, a, b, ahead, i + 3 * LANES);
    }
    size_t left = dim - i;
    if (left >= LANES) sum0 = add_vector_of_one(term, sum0, a, b, ahead, i);
    if (left >= 2 * LANES) sum1 = add_vector_of_one(term, sum1, a, b, ahead, i + LANES);
    if (left >= 3 * LANES) sum2 = add_vector_of_one(term, sum2, a, b, ahead, i + 2 * LANES);
    if (left % LANES != 0) {
        size_t end = dim - left % LANES;
        __mmask16 lanes = low_lanes(left % LANES);
        sum3 = add_term(term, sum3, load_low(a + end, lanes), load_low(b + end, lanes));
    }
    if (ahead != NULL) rhumb__prefetch_last(space, ahead);
    return rhumb__sum_f32_finish_one(space, metric, a, b, sum_lanes(add_four(sum0, sum1, sum2, sum3)));
}

/* Four rows; `ahead` are the next four. */
RHUMB__INLINE void measure_four(const rhumb__space *space, rhumb_metric metric, const float *query,
                                const float *const *rows, const float *const *ahead, float *distances) {
    enum rhumb__sum_f32_term term = rhumb__sum_f32_term_of(metric);
    size_t dim = space->dim;
    __m512 zero = _mm512_setzero_ps();
    struct quad sum0 = {zero, zero, zero, zero}, sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t i = 0;
    for (; i + TURN <= dim; i += TURN) {
        add_vector(term, &sum0, query, rows, ahead, i);
        add_vector(term, &sum1, query, rows, ahead, i + LANES);
        add_vector(term, &sum2, query, rows, ahead, i + 2 * LANES);
        add_vector(term, &sum3, query, rows, ahead, i + 3 * LANES);
    }
    size_t left = dim - i;
    if (left >= LANES) add_vector(term, &sum0, query, rows, ahead, i);
    if (left >= 2 * LANES) add_vector(term, &sum1, query, rows, ahead, i + LANES);
    if (left >= 3 * LANES) add_vector(term, &sum2, query, rows, ahead, i + 2 * LANES);
    if (left % LANES != 0) add_end(term, &sum3, query, rows, dim - left % LANES, left % LANES);
    rhumb__prefetch_last(space, ahead[0]);
    rhumb__prefetch_last(space, ahead[1]);
    rhumb__prefetch_last(space, ahead[2]);
    rhumb__prefetch_last(space, ahead[3]);

    struct quad sum = {
        add_four(sum0.row0, sum1.row0, sum2.row0, sum3.row0), add_four(sum0.row1, sum1.row1, sum2.row1, sum3.row1),
        add_four(sum0.row2, sum1.row2, sum2.row2, sum3.row2), add_four(sum0.row3, sum1.row3, sum2.row3, sum3.row3)};
    rhumb__sum_f32_finish_four(space, metric, query, rows, sum_lanes_of_four(&sum), distances);
}

RHUMB__INLINE void measure_many(const rhumb__space *space, rhumb_metric metric, const float *query,
                                const void *const *rows, size_t count, float *distances) {
    size_t i = 0;
    for (; i + RHUMB__ROWS_AT_ONCE <= count; i += RHUMB__ROWS_AT_ONCE) {
        const float *four[RHUMB__ROWS_AT_ONCE], *ahead[RHUMB__ROWS_AT_ONCE];
        rhumb__sum_f32_choose_rows(rows, count, i, four, ahead);
        measure_four(space, metric, query, four, ahead, distances + i);
    }
    for (; i < count; i++) {
        distances[i] = measure_one(space, metric, query, rows[i], rows[i + 1 < count ? i + 1 : i]);
    }
}

RHUMB__SUM_F32_DEFINE_KERNELS(l2sq, RHUMB_METRIC_L2SQ, avx512)
RHUMB__SUM_F32_DEFINE_KERNELS(ip, RHUMB_METRIC_IP, avx512)
RHUMB__SUM_F32_DEFINE_KERNELS(cosine, RHUMB_METRIC_COSINE, avx512)
RHUMB__SUM_F32_DEFINE_L1(avx512)

/* ---- linking: two sums of products and two of squares take turns; what is left over goes to sum 0 but for an
 * incomplete vector, which goes to sum 1. Sixteen registers hold the sums of four rows. ---- */

/* One sum of products with the query and one of squares. */
struct link_sum {
    __m512 dots, squares;
};

/* One of each of four rows. */
struct link_quad {
    struct link_sum row0, row1, row2, row3;
};

RHUMB__INLINE struct link_sum link_zero(void) { return (struct link_sum){_mm512_setzero_ps(), _mm512_setzero_ps()}; }

RHUMB__INLINE void link_add_row(struct link_sum *sum, __m512 q, __m512 row) {
    sum->dots = _mm512_fmadd_ps(q, row, sum->dots);
    sum->squares = _mm512_fmadd_ps(row, row, sum->squares);
}

RHUMB__INLINE rhumb__link_sums link_sums(const rhumb__space *space, const void *a, const void *b) {
    const float *query = a, *row = b;
    const size_t dim = space->dim;
    struct link_sum sum0 = link_zero(), sum1 = sum0;
    size_t i = 0;
    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        link_add_row(&sum0, _mm512_loadu_ps(query + i), _mm512_loadu_ps(row + i));
        link_add_row(&sum1, _mm512_loadu_ps(query + i + LANES), _mm512_loadu_ps(row + i + LANES));
    }
    if (dim - i >= LANES) {
        link_add_row(&sum0, _mm512_loadu_ps(query + i), _mm512_loadu_ps(row + i));
        i += LANES;
    }
    if (i < dim) {
        const __mmask16 lanes = low_lanes(dim - i);
        link_add_row(&sum1, load_low(query + i, lanes), load_low(row + i, lanes));
    }
    return (rhumb__link_sums){.dot = (double)_mm_cvtss_f32(sum_lanes(_mm512_add_ps(sum0.dots, sum1.dots))),
                              .square_b = (double)_mm_cvtss_f32(sum_lanes(_mm512_add_ps(sum0.squares, sum1.squares)))};
}

/* Adds the vector at component `i` of all four rows; prefetches the same place of the rows ahead. */
RHUMB__INLINE void link_add_vector(struct link_quad *sum, const float *query, const rhumb__link_four *four, size_t i) {
    const __m512 q = _mm512_loadu_ps(query + i);
    for (size_t k = 0; k < RHUMB__LINK_ROWS; k++) rhumb__prefetch((const float *)four->ahead[k] + i);
    link_add_row(&sum->row0, q, _mm512_loadu_ps((const float *)four->rows[0] + i));
    link_add_row(&sum->row1, q, _mm512_loadu_ps((const float *)four->rows[1] + i));
    link_add_row(&sum->row2, q, _mm512_loadu_ps((const float *)four->rows[2] + i));
    link_add_row(&sum->row3, q, _mm512_loadu_ps((const float *)four->rows[3] + i));
}

/* The same for the incomplete vector at the end. */
RHUMB__INLINE void link_add_end(struct link_quad *sum, const float *query, const rhumb__link_four *four, size_t i,
                                size_t left) {
    const __mmask16 lanes = low_lanes(left);
    const __m512 q = load_low(query + i, lanes);
    link_add_row(&sum->row0, q, load_low((const float *)four->rows[0] + i, lanes));
    link_add_row(&sum->row1, q, load_low((const float *)four->rows[1] + i, lanes));
    link_add_row(&sum->row2, q, load_low((const float *)four->rows[2] + i, lanes));
    link_add_row(&sum->row3, q, load_low((const float *)four->rows[3] + i, lanes));
}

RHUMB__INLINE void link_sums_of_four(const rhumb__space *space, const void *a, const rhumb__link_four *four,
                                     float *dots_out, float *squares_out) {
    const float *query = a;
    const size_t dim = space->dim;
    if (four->count == 1) {
        const rhumb__link_sums sums = link_sums(space, query, four->rows[0]);
        *dots_out = (float)sums.dot;
        *squares_out = (float)sums.square_b;
        return;
    }
    struct link_quad sum0 = {link_zero(), link_zero(), link_zero(), link_zero()}, sum1 = sum0;
    size_t i = 0;
    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        link_add_vector(&sum0, query, four, i);
        link_add_vector(&sum1, query, four, i + LANES);
    }
    if (dim - i >= LANES) {
        link_add_vector(&sum0, query, four, i);
        i += LANES;
    }
    if (i < dim) link_add_end(&sum1, query, four, i, dim - i);
    for (size_t k = 0; k < RHUMB__LINK_ROWS; k++) rhumb__prefetch_last(space, four->ahead[k]);
    const struct quad dots = {
        _mm512_add_ps(sum0.row0.dots, sum1.row0.dots), _mm512_add_ps(sum0.row1.dots, sum1.row1.dots),
        _mm512_add_ps(sum0.row2.dots, sum1.row2.dots), _mm512_add_ps(sum0.row3.dots, sum1.row3.dots)};
    const struct quad squares = {
        _mm512_add_ps(sum0.row0.squares, sum1.row0.squares), _mm512_add_ps(sum0.row1.squares, sum1.row1.squares),
        _mm512_add_ps(sum0.row2.squares, sum1.row2.squares), _mm512_add_ps(sum0.row3.squares, sum1.row3.squares)};
    _mm_storeu_ps(dots_out, sum_lanes_of_four(&dots));
    _mm_storeu_ps(squares_out, sum_lanes_of_four(&squares));
}

RHUMB__DEFINE_LINK_KERNELS(rhumb__sum_f32_link_ip_avx512, link_ip, link_sums, link_sums_of_four)
