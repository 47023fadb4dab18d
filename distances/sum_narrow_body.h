/* sum_narrow_body.h - the kernels for components of 8 and 16 bits that are summed in narrow lanes: f16, bf16, i8 and
 * u8.
 *
 * f16 and bf16 become f32 and are summed as such (sum_lanes.h). Those of bf16 can leave the range of f32: sums that are
 * not safe (guard.h), and cosines whose norms are out of the range in which nothing overflows, are left to the kernels
 * that sum in double.
 *
 * i8 and u8 are summed exactly. They and their differences fit into 16 bits. Two products at a time, at most 130,050
 * together, are added to a lane of 32 bits; a lane receives at most 65,536 / 16 of these pairs, which is below 2^30.
 * Sums of |a - b|, and of smaller and larger components for jaccard, have lanes of 64 bits.
 *
 * What is left after the last whole vector is copied to two buffers of zeros: no byte after a row is read, and zeros
 * add nothing to any of these sums.
 *
 * The including file has named its kernels with RHUMB__SUM_NARROW(element, metric), those that sum in double with
 * RHUMB__WIDE(metric), and has included lanes_avx2.h or lanes_avx512.h. No state, no locks, no failures.
 */
#include "distances/guard.h"
#include "distances/link_kernels.h"
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_lanes.h"
#include "distances/sum_narrow_kernels.h"

/* ---- bytes ---- */

RHUMB__INLINE integers shorts_load(rhumb_element element, const char *from) {
    return element == RHUMB_ELEMENT_I8 ? shorts_load_i8(from) : shorts_load_u8(from);
}

RHUMB__INLINE integers byte_term(rhumb_element element, enum term term, integers sum, const char *a, const char *b) {
    const integers x = shorts_load(element, a), y = shorts_load(element, b);
    if (term == TERM_PRODUCT) return ints_add(sum, shorts_pair_products(x, y));
    const integers difference = shorts_subtract(x, y);
    return ints_add(sum, shorts_pair_products(difference, difference));
}

RHUMB__INLINE double byte_sum(rhumb_element element, enum term term, size_t dim, const char *a, const char *b) {
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

RHUMB__INLINE uint64_t add_longs(integers sums) {
    uint64_t lanes[VECTOR_BYTES / sizeof(uint64_t)], sum = 0;
    integers_store(lanes, sums);
    for (size_t lane = 0; lane < VECTOR_BYTES / sizeof(uint64_t); lane++) sum += lanes[lane];
    return sum;
}

/* A vector of bytes of each of two rows. */
struct byte_vectors {
    integers x, y;
};

/* The bytes from `at` on; after the ends of the rows, zeros. */
RHUMB__INLINE struct byte_vectors bytes_load(size_t dim, size_t at, const char *a, const char *b) {
    if (at + VECTOR_BYTES <= dim) return (struct byte_vectors){integers_load(a + at), integers_load(b + at)};
    char last_a[VECTOR_BYTES] = {0}, last_b[VECTOR_BYTES] = {0};
    memcpy(last_a, a + at, dim - at);
    memcpy(last_b, b + at, dim - at);
    return (struct byte_vectors){integers_load(last_a), integers_load(last_b)};
}

RHUMB__INLINE double byte_size_sum(rhumb_element element, size_t dim, const char *a, const char *b) {
    integers sums = integers_zero();
    for (size_t at = 0; at < dim; at += VECTOR_BYTES) {
        struct byte_vectors bytes = bytes_load(dim, at, a, b);
        if (element == RHUMB_ELEMENT_I8) {
            bytes.x = bytes_shift_sign(bytes.x);
            bytes.y = bytes_shift_sign(bytes.y);
        }
        sums = longs_add(sums, bytes_differences(bytes.x, bytes.y));
    }
    return (double)add_longs(sums);
}

static float u8_jaccard(const rhumb__space *space, const void *a, const void *b) {
    integers smaller = integers_zero(), larger = smaller;
    const integers zero = integers_zero();
    for (size_t at = 0; at < space->dim; at += VECTOR_BYTES) {
        const struct byte_vectors bytes = bytes_load(space->dim, at, a, b);
        smaller = longs_add(smaller, bytes_differences(bytes_smaller(bytes.x, bytes.y), zero));
        larger = longs_add(larger, bytes_differences(bytes_larger(bytes.x, bytes.y), zero));
    }
    const uint64_t either = add_longs(larger);
    return either == 0 ? 0.0f : (float)(1.0 - (double)add_longs(smaller) / (double)either);
}

/* ---- from sums to distances ---- */

RHUMB__INLINE double sum_of(rhumb_element element, enum term term, size_t dim, const void *a, const void *b) {
    if (element != RHUMB_ELEMENT_I8 && element != RHUMB_ELEMENT_U8) return float_sum(element, term, dim, a, b);
    return term == TERM_SIZE ? byte_size_sum(element, dim, a, b) : byte_sum(element, term, dim, a, b);
}

RHUMB__INLINE bool is_sound(double inverse_norm) {
    return inverse_norm >= (double)RHUMB__SUM_F32_INVERSE_NORM_MIN &&
           inverse_norm <= (double)RHUMB__SUM_F32_INVERSE_NORM_MAX;
}

/* Sums over bytes are always safe, or exactly 0. */
RHUMB__INLINE float guarded(rhumb_element element, rhumb_metric metric, const rhumb__space *space, const void *a,
                            const void *b, double sum, const rhumb__kernels *wide) {
    if (element == RHUMB_ELEMENT_I8 || element == RHUMB_ELEMENT_U8) return (float)sum;
    return rhumb__guarded(space, metric, a, b, (float)sum, wide);
}

RHUMB__INLINE float measure(rhumb_element element, rhumb_metric metric, const rhumb__space *space, const void *a,
                            const void *b) {
    const size_t dim = space->dim;
    if (metric == RHUMB_METRIC_L2SQ) {
        const double sum = sum_of(element, TERM_SQUARE, dim, a, b);
        return guarded(element, metric, space, a, b, sum, &RHUMB__WIDE(l2sq));
    }
    if (metric == RHUMB_METRIC_L1) {
        const double sum = sum_of(element, TERM_SIZE, dim, a, b);
        return guarded(element, metric, space, a, b, sum, &RHUMB__WIDE(l1));
    }
    if (metric == RHUMB_METRIC_IP) {
        const double dot = sum_of(element, TERM_PRODUCT, dim, a, b);
        return guarded(element, metric, space, a, b, 0.0 - dot, &RHUMB__WIDE(ip));
    }
    const double inverse_a = rhumb__inverse_norm(space, a), inverse_b = rhumb__inverse_norm(space, b);
    if (!is_sound(inverse_a) || !is_sound(inverse_b)) return RHUMB__WIDE(cosine).distance(space, a, b);
    return rhumb__clamp(1.0 - sum_of(element, TERM_PRODUCT, dim, a, b) * (inverse_a * inverse_b), 0.0f, 2.0f);
}

#define DEFINE_SUM(element, number, name, metric)                                                                      \
    static float element##_##name(const rhumb__space *space, const void *a, const void *b) {                           \
        return measure(number, metric, space, a, b);                                                                   \
    }                                                                                                                  \
    RHUMB__DEFINE_KERNELS(RHUMB__SUM_NARROW(element, name), element##_##name)

RHUMB__INLINE rhumb__link_sums link_sums_of(rhumb_element element, size_t dim, const void *a, const void *b) {
    if (element != RHUMB_ELEMENT_I8 && element != RHUMB_ELEMENT_U8) return float_link_sums(element, dim, a, b);
    return (rhumb__link_sums){.dot = byte_sum(element, TERM_PRODUCT, dim, a, b),
                              .square_b = byte_sum(element, TERM_PRODUCT, dim, b, b)};
}

#define DEFINE_LINK(element, number)                                                                                   \
    RHUMB__INLINE rhumb__link_sums element##_link_sums(const rhumb__space *space, const void *a, const void *b) {      \
        return link_sums_of(number, space->dim, a, b);                                                                 \
    }                                                                                                                  \
    RHUMB__DEFINE_LINK_FOUR(element##_link_sums_of_four, element##_link_sums)                                          \
    RHUMB__DEFINE_LINK_KERNELS(RHUMB__SUM_NARROW(element, link_ip), element##_link_ip, element##_link_sums,            \
                               element##_link_sums_of_four)

#define DEFINE_ELEMENT(element, number, unused)                                                                        \
    DEFINE_SUM(element, RHUMB_ELEMENT_##number, l2sq, RHUMB_METRIC_L2SQ)                                               \
    DEFINE_SUM(element, RHUMB_ELEMENT_##number, ip, RHUMB_METRIC_IP)                                                   \
    DEFINE_SUM(element, RHUMB_ELEMENT_##number, cosine, RHUMB_METRIC_COSINE)                                           \
    DEFINE_SUM(element, RHUMB_ELEMENT_##number, l1, RHUMB_METRIC_L1)                                                   \
    DEFINE_LINK(element, RHUMB_ELEMENT_##number)

RHUMB__SUM_NARROW_ELEMENTS(DEFINE_ELEMENT, )
RHUMB__DEFINE_KERNELS(RHUMB__SUM_NARROW(u8, jaccard), u8_jaccard)
