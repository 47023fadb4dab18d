/* link_kernels.h - the distance by which nodes are linked under ip, and what its kernels share.
 *
 * A graph whose links are chosen by inner products alone leads to the longest vectors only: every list fills with them,
 * and a short vector is in no list. One whose links are chosen by Euclidean distance cannot be walked by inner products
 * where lengths differ: long vectors are far from everything. The linking distance lies between the two,
 *
 *     s(a, b) = -(a . b) sqrt(|a| |b|) / (|a|^2 + |b|^2) + sqrt(|a|^2 + |b|^2) / 1000.
 *
 * From a fixed a, in a fixed direction at less than a right angle, the first term is least where |b| = sqrt(3) |a|:
 * links lead outwards, as a search by inner products goes, but by a limited step, so that there are links to vectors
 * of every length. The second term matters where the first is near 0 only: it makes the short vectors the nearest to a
 * zero vector, and another zero vector the nearest of all. Where all lengths are equal, s orders as a . b does. It
 * needs no bound on the lengths, is symmetric, and is of the first degree: a and b times c have c times the distance.
 * docs/architecture.md has what else was tried.
 *
 * Raw linking distances are compared with each other only, never with those of the metric. A raw one has the sign and
 * the upper bits of the double s as a float: the order is that of s to 19 bits, and any finite vectors of f64 have one.
 */
#ifndef RHUMB_DISTANCES_LINK_KERNELS_H
#define RHUMB_DISTANCES_LINK_KERNELS_H

#include <math.h>

#include "distances/kernel.h"
#include "distances/sum_narrow_kernels.h"

/* The squares of lengths for which sums in f32 are sound: no term overflows, and what underflow can take from 65,535
 * terms is below the last place. Zero vectors are outside, and pairs outside are measured by rhumb__link_ip_extreme. */
#define RHUMB__LINK_SQUARE_MIN 0x1p-96
#define RHUMB__LINK_SQUARE_MAX 0x1p96

/* The factor of the second term. Ten times as much keeps links from the longest vectors where the longest is a hundred
 * times as long as most. */
#define RHUMB__LINK_LENGTH_SHARE 0.001

/* The sums that a linking distance is made of. */
typedef struct rhumb__link_sums {
    double dot, square_a, square_b;
} rhumb__link_sums;

/* The raw linking distance for vectors that are too long or too short for plain sums, in double and scaled. */
float rhumb__link_ip_extreme(const rhumb__space *space, const void *a, const void *b);

/* The raw linking distance of s. NaN comes last. */
RHUMB__INLINE float rhumb__link_raw(double s) {
    if (!(s <= DBL_MAX)) s = DBL_MAX;
    if (s < -DBL_MAX) s = -DBL_MAX;
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    const uint32_t sign = (uint32_t)(bits >> 32) & UINT32_C(0x80000000);
    const uint32_t high = (uint32_t)(bits >> 33) & UINT32_C(0x3FFFFFFF); /* the largest is 2 as a float */
    const uint32_t raw_bits = sign | high;
    float raw;
    memcpy(&raw, &raw_bits, sizeof raw);
    return raw;
}

/* s for sums that are sound; not for two zero vectors. */
RHUMB__INLINE double rhumb__link_ip_of(rhumb__link_sums sums) {
    const double squares = sums.square_a + sums.square_b;
    return RHUMB__LINK_LENGTH_SHARE * sqrt(squares) - sums.dot * sqrt(sqrt(sums.square_a * sums.square_b)) / squares;
}

/* False for NaN. */
RHUMB__INLINE bool rhumb__link_is_sound(double square) {
    return square >= RHUMB__LINK_SQUARE_MIN && square <= RHUMB__LINK_SQUARE_MAX;
}

RHUMB__INLINE float rhumb__link_ip(const rhumb__space *space, const void *a, const void *b, rhumb__link_sums sums) {
    if (__builtin_expect(rhumb__link_is_sound(sums.square_a) && rhumb__link_is_sound(sums.square_b), 1))
        return rhumb__link_raw(rhumb__link_ip_of(sums));
    return rhumb__link_ip_extreme(space, a, b);
}

/* Defines the kernels `symbol` from a function `sums_of` for two rows, which gives dot and square_b; `name` is that of
 * the single form. The square of the query's length is summed once for all rows. */
#define RHUMB__DEFINE_LINK_KERNELS(symbol, name, sums_of)                                                              \
    static float name(const rhumb__space *space, const void *a, const void *b) {                                       \
        rhumb__link_sums sums = sums_of(space, a, b);                                                                  \
        sums.square_a = sums_of(space, a, a).square_b;                                                                 \
        return rhumb__link_ip(space, a, b, sums);                                                                      \
    }                                                                                                                  \
    static void name##_many(const rhumb__space *space, const void *query, const void *const *rows, size_t count,       \
                            float *distances) {                                                                        \
        RHUMB_ASSERT_DEBUG(count == 0 || (query != NULL && rows != NULL));                                             \
        if (count > 1) rhumb__prefetch_row(space, rows[1]);                                                            \
        const double square = count > 0 ? sums_of(space, query, query).square_b : 0.0;                                 \
        for (size_t i = 0; i < count; i++) {                                                                           \
            if (i + 2 < count) rhumb__prefetch_row(space, rows[i + 2]);                                                \
            rhumb__link_sums sums = sums_of(space, query, rows[i]);                                                    \
            sums.square_a = square;                                                                                    \
            distances[i] = rhumb__link_ip(space, query, rows[i], sums);                                                \
        }                                                                                                              \
    }                                                                                                                  \
    const rhumb__kernels symbol = {name, name##_many};

#define RHUMB__DECLARE_LINK(tier)                                                                                      \
    extern const rhumb__kernels rhumb__sum_f32_link_ip_##tier, rhumb__sum_double_link_ip_##tier;
#define RHUMB__DECLARE_LINK_NARROW(element, number, tier)                                                              \
    extern const rhumb__kernels rhumb__sum_narrow_##element##_link_ip_##tier;

RHUMB__DECLARE_LINK(scalar)
RHUMB__DECLARE_LINK(avx2)
RHUMB__DECLARE_LINK(avx512)
RHUMB__SUM_NARROW_ELEMENTS(RHUMB__DECLARE_LINK_NARROW, avx2)
RHUMB__SUM_NARROW_ELEMENTS(RHUMB__DECLARE_LINK_NARROW, avx512)

#endif /* RHUMB_DISTANCES_LINK_KERNELS_H */
