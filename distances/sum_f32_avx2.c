/* sum_f32_avx2.c - kernels for f32 vectors with AVX2 and FMA.
 *
 * Summation order, the same in both forms: the components are taken in vectors of 8; four sums take turns (32
 * components a turn); of the vectors left over, the first three go to sums 0, 1 and 2 and the incomplete one to sum 3,
 * by a masked load that touches no byte after the row. Then (0+1)+(2+3), and halves are added until one number is
 * left.
 *
 * Four rows are measured together, as two pairs, since sixteen registers hold the sums of two rows. While they are
 * measured, the same places of the next four rows are prefetched: most rows of a large index are not in any cache, and
 * throughput depends on how many cache misses are in flight.
 *
 * No state, no locks, no failures.
 */
#include <immintrin.h>
#include <stddef.h>

#include "distances/lanes_avx2.h"
#include "distances/link_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_f32_x86.h"
#include "distances/sum_lanes.h"

enum { LANES = 8, TURN = 4 * LANES };

/* One sum of each of two rows. */
struct pair {
    __m256 row0, row1;
};

RHUMB__INLINE __m256 add_term(enum rhumb__sum_f32_term term, __m256 sum, __m256 a, __m256 b) {
    if (term == RHUMB__SUM_F32_PRODUCT) return _mm256_fmadd_ps(a, b, sum);
    __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sum);
}

/* The low `count` lanes, 1 to 7. */
RHUMB__INLINE __m256i low_lanes(size_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The vector at component `i` of both rows. */
RHUMB__INLINE void add_vector(enum rhumb__sum_f32_term term, struct pair *sum, const float *query,
                              const float *const *rows, size_t i) {
    __m256 q = _mm256_loadu_ps(query + i);
    sum->row0 = add_term(term, sum->row0, q, _mm256_loadu_ps(rows[0] + i));
    sum->row1 = add_term(term, sum->row1, q, _mm256_loadu_ps(rows[1] + i));
}

/* Fetches the line at component `i` of both rows. */
RHUMB__INLINE void prefetch_pair(const float *const *ahead, size_t i) {
    rhumb__prefetch(ahead[0] + i);
    rhumb__prefetch(ahead[1] + i);
}

RHUMB__INLINE __m256 add_four(__m256 sum0, __m256 sum1, __m256 sum2, __m256 sum3) {
    return _mm256_add_ps(_mm256_add_ps(sum0, sum1), _mm256_add_ps(sum2, sum3));
}

/* The sum of the lanes, in lane 0. */
RHUMB__INLINE __m128 sum_lanes(__m256 v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 pair = _mm_add_ps(half, _mm_permute_ps(half, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_add_ps(pair, _mm_permute_ps(pair, _MM_SHUFFLE(2, 3, 0, 1)));
}

/* The same for four at once, adding in the same order. */
RHUMB__INLINE __m128 sum_lanes_of_four(struct pair v01, struct pair v23) {
    __m256 halves01 = _mm256_add_ps(_mm256_permute2f128_ps(v01.row0, v01.row1, 0x20),
                                    _mm256_permute2f128_ps(v01.row0, v01.row1, 0x31));
    __m256 halves23 = _mm256_add_ps(_mm256_permute2f128_ps(v23.row0, v23.row1, 0x20),
                                    _mm256_permute2f128_ps(v23.row0, v23.row1, 0x31));
    /* Low 128 bits: rows 0 and 2; high: rows 1 and 3. */
    __m256 pairs = _mm256_add_ps(_mm256_shuffle_ps(halves01, halves23, _MM_SHUFFLE(1, 0, 1, 0)),
                                 _mm256_shuffle_ps(halves01, halves23, _MM_SHUFFLE(3, 2, 3, 2)));
    __m256 sums = _mm256_add_ps(pairs, _mm256_permute_ps(pairs, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm_shuffle_ps(_mm_unpacklo_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)),
                          _mm_unpackhi_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)),
                          _MM_SHUFFLE(1, 0, 1, 0));
}

RHUMB__INLINE __m256 add_vector_of_one(enum rhumb__sum_f32_term term, __m256 sum, const float *a, const float *b,
                                       size_t i) {
    return add_term(term, sum, _mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
}

/* One row; `ahead` is the next row, or the constant NULL. */
RHUMB__INLINE float measure_one(const rhumb__space *space, rhumb_metric metric, const float *a, const float *b,
                                const float *ahead) {
    enum rhumb__sum_f32_term term = rhumb__sum_f32_term_of(metric);
    size_t dim = space->dim;
    __m256 sum0 = _mm256_setzero_ps(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t i = 0;
    for (; i + TURN <= dim; i += TURN) {
        if (ahead != NULL) rhumb__prefetch(ahead + i);
        sum0 = add_vector_of_one(term, sum0, a, b, i);
        sum1 = add_vector_of_one(term, sum1, a, b, i + LANES);
        if (ahead != NULL) rhumb__prefetch(ahead + i + 2 * LANES);
        sum2 = add_vector_of_one(term, sum2, a, b, i + 2 * LANES);
        sum3 = add_vector_of_one(term, sum3, a, b, i + 3 * LANES);
    }
    size_t left = dim - i;
    if (ahead != NULL) rhumb__prefetch(ahead + i);
    if (left >= LANES) sum0 = add_vector_of_one(term, sum0, a, b, i);
    if (left >= 2 * LANES) sum1 = add_vector_of_one(term, sum1, a, b, i + LANES);
    if (left >= 3 * LANES) sum2 = add_vector_of_one(term, sum2, a, b, i + 2 * LANES);
    if (left % LANES != 0) {
        size_t end = dim - left % LANES;
        __m256i lanes = low_lanes(left % LANES);
        sum3 = add_term(term, sum3, _mm256_maskload_ps(a + end, lanes), _mm256_maskload_ps(b + end, lanes));
    }
    if (ahead != NULL) rhumb__prefetch_last(space, ahead);
    return rhumb__sum_f32_finish_one(space, metric, a, b, sum_lanes(add_four(sum0, sum1, sum2, sum3)));
}

/* The sums of two rows, not yet added across lanes; `ahead` are two of the rows to prefetch. */
RHUMB__INLINE struct pair measure_pair(const rhumb__space *space, enum rhumb__sum_f32_term term, const float *query,
                                       const float *const *rows, const float *const *ahead) {
    size_t dim = space->dim;
    struct pair sum0 = {_mm256_setzero_ps(), _mm256_setzero_ps()}, sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t i = 0;
    for (; i + TURN <= dim; i += TURN) {
        prefetch_pair(ahead, i);
        add_vector(term, &sum0, query, rows, i);
        add_vector(term, &sum1, query, rows, i + LANES);
        prefetch_pair(ahead, i + 2 * LANES);
        add_vector(term, &sum2, query, rows, i + 2 * LANES);
        add_vector(term, &sum3, query, rows, i + 3 * LANES);
    }
    size_t left = dim - i;
    prefetch_pair(ahead, i);
    if (left >= LANES) add_vector(term, &sum0, query, rows, i);
    if (left >= 2 * LANES) add_vector(term, &sum1, query, rows, i + LANES);
    if (left >= 3 * LANES) add_vector(term, &sum2, query, rows, i + 2 * LANES);
    if (left % LANES != 0) {
        size_t end = dim - left % LANES;
        __m256i lanes = low_lanes(left % LANES);
        __m256 q = _mm256_maskload_ps(query + end, lanes);
        sum3.row0 = add_term(term, sum3.row0, q, _mm256_maskload_ps(rows[0] + end, lanes));
        sum3.row1 = add_term(term, sum3.row1, q, _mm256_maskload_ps(rows[1] + end, lanes));
    }
    rhumb__prefetch_last(space, ahead[0]);
    rhumb__prefetch_last(space, ahead[1]);
    return (struct pair){add_four(sum0.row0, sum1.row0, sum2.row0, sum3.row0),
                         add_four(sum0.row1, sum1.row1, sum2.row1, sum3.row1)};
}

RHUMB__INLINE void measure_many(const rhumb__space *space, rhumb_metric metric, const float *query,
                                const void *const *rows, size_t count, float *distances) {
    enum rhumb__sum_f32_term term = rhumb__sum_f32_term_of(metric);
    size_t i = 0;
    for (; i + RHUMB__ROWS_AT_ONCE <= count; i += RHUMB__ROWS_AT_ONCE) {
        const float *four[RHUMB__ROWS_AT_ONCE], *ahead[RHUMB__ROWS_AT_ONCE];
        rhumb__sum_f32_choose_rows(rows, count, i, four, ahead);
        struct pair sums01 = measure_pair(space, term, query, four, ahead);
        struct pair sums23 = measure_pair(space, term, query, four + 2, ahead + 2);
        rhumb__sum_f32_finish_four(space, metric, query, four, sum_lanes_of_four(sums01, sums23), distances + i);
    }
    for (; i < count; i++) {
        distances[i] = measure_one(space, metric, query, rows[i], rows[i + 1 < count ? i + 1 : i]);
    }
}

RHUMB__SUM_F32_DEFINE_KERNELS(l2sq, RHUMB_METRIC_L2SQ, avx2)
RHUMB__SUM_F32_DEFINE_KERNELS(ip, RHUMB_METRIC_IP, avx2)
RHUMB__SUM_F32_DEFINE_KERNELS(cosine, RHUMB_METRIC_COSINE, avx2)
RHUMB__SUM_F32_DEFINE_L1(avx2)

/* ---- linking: two sums of products and two of squares take turns; what is left over goes to sum 0 but for an
 * incomplete vector, which goes to sum 1. Eight registers hold the sums of two rows. ---- */

/* One sum of products with the query and one of squares. */
struct link_sum {
    __m256 dots, squares;
};

RHUMB__INLINE void link_add_row(struct link_sum *sum, __m256 q, __m256 row) {
    sum->dots = _mm256_fmadd_ps(q, row, sum->dots);
    sum->squares = _mm256_fmadd_ps(row, row, sum->squares);
}

RHUMB__INLINE rhumb__link_sums link_sums(const rhumb__space *space, const void *a, const void *b) {
    const float *query = a, *row = b;
    const size_t dim = space->dim;
    struct link_sum sum0 = {_mm256_setzero_ps(), _mm256_setzero_ps()}, sum1 = sum0;
    size_t i = 0;
    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        link_add_row(&sum0, _mm256_loadu_ps(query + i), _mm256_loadu_ps(row + i));
        link_add_row(&sum1, _mm256_loadu_ps(query + i + LANES), _mm256_loadu_ps(row + i + LANES));
    }
    if (dim - i >= LANES) {
        link_add_row(&sum0, _mm256_loadu_ps(query + i), _mm256_loadu_ps(row + i));
        i += LANES;
    }
    if (i < dim) {
        const __m256i lanes = low_lanes(dim - i);
        link_add_row(&sum1, _mm256_maskload_ps(query + i, lanes), _mm256_maskload_ps(row + i, lanes));
    }
    return (rhumb__link_sums){.dot = (double)_mm_cvtss_f32(sum_lanes(_mm256_add_ps(sum0.dots, sum1.dots))),
                              .square_b = (double)_mm_cvtss_f32(sum_lanes(_mm256_add_ps(sum0.squares, sum1.squares)))};
}

/* The sums of two rows, not yet added across lanes. */
struct link_pair {
    struct pair dots, squares;
};

RHUMB__INLINE void link_add_vector(struct link_sum *sum0, struct link_sum *sum1, const float *query,
                                   const void *const *rows, size_t i) {
    const __m256 q = _mm256_loadu_ps(query + i);
    link_add_row(sum0, q, _mm256_loadu_ps((const float *)rows[0] + i));
    link_add_row(sum1, q, _mm256_loadu_ps((const float *)rows[1] + i));
}

/* `ahead` are two of the rows to prefetch. */
RHUMB__INLINE struct link_pair link_measure_pair(const rhumb__space *space, const float *query, const void *const *rows,
                                                 const void *const *ahead) {
    const size_t dim = space->dim;
    const struct link_sum zero = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    struct link_sum row0 = zero, row0_turn = zero, row1 = zero, row1_turn = zero;
    size_t i = 0;
    for (; i + 2 * LANES <= dim; i += 2 * LANES) {
        rhumb__prefetch((const float *)ahead[0] + i);
        rhumb__prefetch((const float *)ahead[1] + i);
        link_add_vector(&row0, &row1, query, rows, i);
        link_add_vector(&row0_turn, &row1_turn, query, rows, i + LANES);
    }
    if (dim - i >= LANES) {
        link_add_vector(&row0, &row1, query, rows, i);
        i += LANES;
    }
    if (i < dim) {
        const __m256i lanes = low_lanes(dim - i);
        const __m256 q = _mm256_maskload_ps(query + i, lanes);
        link_add_row(&row0_turn, q, _mm256_maskload_ps((const float *)rows[0] + i, lanes));
        link_add_row(&row1_turn, q, _mm256_maskload_ps((const float *)rows[1] + i, lanes));
    }
    rhumb__prefetch_last(space, ahead[0]);
    rhumb__prefetch_last(space, ahead[1]);
    return (struct link_pair){
        {_mm256_add_ps(row0.dots, row0_turn.dots), _mm256_add_ps(row1.dots, row1_turn.dots)},
        {_mm256_add_ps(row0.squares, row0_turn.squares), _mm256_add_ps(row1.squares, row1_turn.squares)}};
}

RHUMB__INLINE void link_sums_of_four(const rhumb__space *space, const void *query, const rhumb__link_four *four,
                                     float *dots_out, float *squares_out) {
    const struct link_pair pair01 = link_measure_pair(space, query, four->rows, four->ahead);
    const struct link_pair pair23 =
        four->count > 2 ? link_measure_pair(space, query, four->rows + 2, four->ahead + 2) : pair01;
    _mm_storeu_ps(dots_out, sum_lanes_of_four(pair01.dots, pair23.dots));
    _mm_storeu_ps(squares_out, sum_lanes_of_four(pair01.squares, pair23.squares));
}

RHUMB__DEFINE_LINK_KERNELS(rhumb__sum_f32_link_ip_avx2, link_ip, link_sums, link_sums_of_four)
