/* sum_narrow_body.h - the kernels for vectors of f16, bf16, i8 and u8, and l1 of f32 and jaccard of u8, in the vector
 * operations that the including file has named after one instruction set.
 *
 * f16 and bf16 become f32, and are summed as such by four sums that take turns, whose lanes are then added in double.
 * A sum that overflows is clamped; a cosine whose norms are out of the range in which nothing overflows (bf16 only) is
 * left to the kernels that sum in double.
 *
 * i8 and u8 are summed exactly. Their differences and they themselves fit into 16 bits; two products are added to a
 * lane of 32 bits at a time, at most 130,050 a time, and a lane gets at most 65,536 / 16 times that, which is below
 * 2^30. Sums of |a - b| have lanes of 64 bits.
 *
 * What is left behind the last whole vector is copied to two buffers of zeros: nothing is read behind a row, and zeros
 * add nothing to any of these sums.
 *
 * No state, no locks, no failures.
 */
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_narrow_kernels.h"

enum term { TERM_SQUARE, TERM_PRODUCT, TERM_SIZE };

/* ---- f32 lanes ---- */

RHUMB_INLINE size_t float_bytes(rhumb_element element) { return element == RHUMB_ELEMENT_F32 ? 4 : 2; }

RHUMB_INLINE floats floats_load(rhumb_element element, const char *from) {
    if (element == RHUMB_ELEMENT_F16) return floats_load_f16(from);
    if (element == RHUMB_ELEMENT_BF16) return floats_load_bf16(from);
    return floats_load_f32(from);
}

RHUMB_INLINE floats float_term(rhumb_element element, enum term term, floats sum, const char *a, const char *b) {
    const floats x = floats_load(element, a), y = floats_load(element, b);
    if (term == TERM_PRODUCT) return floats_add_product(sum, x, y);
    const floats difference = floats_subtract(x, y);
    if (term == TERM_SQUARE) return floats_add_product(sum, difference, difference);
    return floats_add(sum, floats_size(difference));
}

RHUMB_INLINE double float_sum(rhumb_element element, enum term term, size_t dim, const char *a, const char *b) {
    const size_t step = FLOAT_LANES * float_bytes(element), end = dim * float_bytes(element);
    floats sum0 = floats_zero(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    size_t at = 0;
    for (; at + 4 * step <= end; at += 4 * step) {
        sum0 = float_term(element, term, sum0, a + at, b + at);
        sum1 = float_term(element, term, sum1, a + at + step, b + at + step);
        sum2 = float_term(element, term, sum2, a + at + 2 * step, b + at + 2 * step);
        sum3 = float_term(element, term, sum3, a + at + 3 * step, b + at + 3 * step);
    }
    for (; at + step <= end; at += step) sum0 = float_term(element, term, sum0, a + at, b + at);
    if (at < end) {
        char last_a[VECTOR_BYTES] = {0}, last_b[VECTOR_BYTES] = {0};
        memcpy(last_a, a + at, end - at);
        memcpy(last_b, b + at, end - at);
        sum1 = float_term(element, term, sum1, last_a, last_b);
    }
    float lanes[FLOAT_LANES];
    floats_store(lanes, floats_add(floats_add(sum0, sum1), floats_add(sum2, sum3)));
    double sum = 0.0;
    for (size_t lane = 0; lane < FLOAT_LANES; lane++) sum += (double)lanes[lane];
    return sum;
}

/* ---- bytes ---- */

RHUMB_INLINE integers shorts_load(rhumb_element element, const char *from) {
    return element == RHUMB_ELEMENT_I8 ? shorts_load_i8(from) : shorts_load_u8(from);
}

RHUMB_INLINE integers byte_term(rhumb_element element, enum term term, integers sum, const char *a, const char *b) {
    const integers x = shorts_load(element, a), y = shorts_load(element, b);
    if (term == TERM_PRODUCT) return ints_add(sum, shorts_pair_products(x, y));
    const integers difference = shorts_subtract(x, y);
    return ints_add(sum, shorts_pair_products(difference, difference));
}

RHUMB_INLINE double byte_sum(rhumb_element element, enum term term, size_t dim, const char *a, const char *b) {
    integers sum0 = integers_zero(), sum1 = sum0;
    size_t at = 0;
    for (; at + 2 * SHORT_LANES <= dim; at += 2 * SHORT_LANES) {
        sum0 = byte_term(element, term, sum0, a + at, b + at);
        sum1 = byte_term(element, term, sum1, a + at + SHORT_LANES, b + at + SHORT_LANES);
    }
    for (; at < dim; at += SHORT_LANES) {
        if (at + SHORT_LANES <= dim) {
            sum0 = byte_term(element, term, sum0, a + at, b + at);
            continue;
        }
        char last_a[SHORT_LANES] = {0}, last_b[SHORT_LANES] = {0};
        memcpy(last_a, a + at, dim - at);
        memcpy(last_b, b + at, dim - at);
        sum1 = byte_term(element, term, sum1, last_a, last_b);
    }
    int32_t lanes[INT_LANES];
    integers_store(lanes, ints_add(sum0, sum1));
    int64_t sum = 0;
    for (size_t lane = 0; lane < INT_LANES; lane++) sum += lanes[lane];
    return (double)sum;
}

RHUMB_INLINE uint64_t add_longs(integers sums) {
    uint64_t lanes[VECTOR_BYTES / sizeof(uint64_t)], sum = 0;
    integers_store(lanes, sums);
    for (size_t lane = 0; lane < VECTOR_BYTES / sizeof(uint64_t); lane++) sum += lanes[lane];
    return sum;
}

/* A vector of bytes of both rows; behind their ends, zeros. */
RHUMB_INLINE void bytes_load(size_t dim, size_t at, const char *a, const char *b, integers *x, integers *y) {
    if (at + VECTOR_BYTES <= dim) {
        *x = integers_load(a + at);
        *y = integers_load(b + at);
        return;
    }
    char last_a[VECTOR_BYTES] = {0}, last_b[VECTOR_BYTES] = {0};
    memcpy(last_a, a + at, dim - at);
    memcpy(last_b, b + at, dim - at);
    *x = integers_load(last_a);
    *y = integers_load(last_b);
}

RHUMB_INLINE double byte_size_sum(rhumb_element element, size_t dim, const char *a, const char *b) {
    integers sums = integers_zero();
    for (size_t at = 0; at < dim; at += VECTOR_BYTES) {
        integers x, y;
        bytes_load(dim, at, a, b, &x, &y);
        if (element == RHUMB_ELEMENT_I8) {
            x = bytes_shift_sign(x);
            y = bytes_shift_sign(y);
        }
        sums = longs_add(sums, bytes_differences(x, y));
    }
    return (double)add_longs(sums);
}

static float u8_jaccard(const rhumb__space *space, const void *a, const void *b) {
    integers smaller = integers_zero(), larger = smaller;
    const integers zero = integers_zero();
    for (size_t at = 0; at < space->dim; at += VECTOR_BYTES) {
        integers x, y;
        bytes_load(space->dim, at, a, b, &x, &y);
        smaller = longs_add(smaller, bytes_differences(bytes_smaller(x, y), zero));
        larger = longs_add(larger, bytes_differences(bytes_larger(x, y), zero));
    }
    const uint64_t either = add_longs(larger);
    return either == 0 ? 0.0f : (float)(1.0 - (double)add_longs(smaller) / (double)either);
}

/* ---- from sums to distances ---- */

RHUMB_INLINE double sum_of(rhumb_element element, enum term term, size_t dim, const void *a, const void *b) {
    if (element != RHUMB_ELEMENT_I8 && element != RHUMB_ELEMENT_U8) return float_sum(element, term, dim, a, b);
    return term == TERM_SIZE ? byte_size_sum(element, dim, a, b) : byte_sum(element, term, dim, a, b);
}

RHUMB_INLINE bool is_sound(double inverse_norm) {
    return inverse_norm >= (double)RHUMB_F32_INVERSE_NORM_MIN && inverse_norm <= (double)RHUMB_F32_INVERSE_NORM_MAX;
}

RHUMB_INLINE float measure(rhumb_element element, rhumb_metric metric, const rhumb__space *space, const void *a,
                           const void *b) {
    const size_t dim = space->dim;
    if (metric == RHUMB_METRIC_L2SQ) return rhumb__clamp(sum_of(element, TERM_SQUARE, dim, a, b), 0.0f, FLT_MAX);
    if (metric == RHUMB_METRIC_L1) return rhumb__clamp(sum_of(element, TERM_SIZE, dim, a, b), 0.0f, FLT_MAX);
    if (metric == RHUMB_METRIC_IP)
        return rhumb__clamp(1.0 - sum_of(element, TERM_PRODUCT, dim, a, b), -FLT_MAX, FLT_MAX);
    const double inverse_a = rhumb__inverse_norm(space, a), inverse_b = rhumb__inverse_norm(space, b);
    if (!is_sound(inverse_a) || !is_sound(inverse_b)) return rhumb__wide_cosine_scalar.distance(space, a, b);
    return rhumb__clamp(1.0 - sum_of(element, TERM_PRODUCT, dim, a, b) * (inverse_a * inverse_b), 0.0f, 2.0f);
}

#define DEFINE_SMALL(element, number, name, metric)                                                                    \
    static float element##_##name(const rhumb__space *space, const void *a, const void *b) {                           \
        return measure(number, metric, space, a, b);                                                                   \
    }                                                                                                                  \
    RHUMB_DEFINE_KERNELS(RHUMB_SMALL(element, name), element##_##name)

#define DEFINE_ELEMENT(element, number)                                                                                \
    DEFINE_SMALL(element, number, l2sq, RHUMB_METRIC_L2SQ)                                                             \
    DEFINE_SMALL(element, number, ip, RHUMB_METRIC_IP)                                                                 \
    DEFINE_SMALL(element, number, cosine, RHUMB_METRIC_COSINE)                                                         \
    DEFINE_SMALL(element, number, l1, RHUMB_METRIC_L1)

DEFINE_ELEMENT(f16, RHUMB_ELEMENT_F16)
DEFINE_ELEMENT(bf16, RHUMB_ELEMENT_BF16)
DEFINE_ELEMENT(i8, RHUMB_ELEMENT_I8)
DEFINE_ELEMENT(u8, RHUMB_ELEMENT_U8)
DEFINE_SMALL(f32, RHUMB_ELEMENT_F32, l1, RHUMB_METRIC_L1)
RHUMB_DEFINE_KERNELS(RHUMB_SMALL(u8, jaccard), u8_jaccard)
