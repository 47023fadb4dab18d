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
 * Raw linking distances are compared with each other only, never with those of the metric. A raw one is a
 * float of the sign and the upper bits that s has as a double: the order is that of s to 19 bits, and any finite
 * vectors of f64 have one.
 */
#ifndef RHUMB_DISTANCES_LINK_KERNELS_H
#define RHUMB_DISTANCES_LINK_KERNELS_H

#include <math.h>

#include "distances/kernel.h"
#include "distances/sum_narrow_kernels.h"

/* The squares of lengths for which sums in f32 are sound: no term overflows, and what underflow can take from 65,535
 * terms is below the last place. Zero vectors are outside, and pairs outside are measured by rhumb__link_ip_extreme. */
#define RHUMB__LINK_SQUARE_MIN 0x1p-96f
#define RHUMB__LINK_SQUARE_MAX 0x1p96f

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

/* s in double, not for two zero vectors. */
RHUMB__INLINE double rhumb__link_ip_of(rhumb__link_sums sums) {
    const double squares = sums.square_a + sums.square_b;
    return RHUMB__LINK_LENGTH_SHARE * sqrt(squares) - sums.dot * sqrt(sqrt(sums.square_a * sums.square_b)) / squares;
}

/* False for NaN. */
RHUMB__INLINE bool rhumb__link_is_sound(float square) {
    return (square >= RHUMB__LINK_SQUARE_MIN) & (square <= RHUMB__LINK_SQUARE_MAX);
}

/* The raw linking distance, as bits, from sums that are sound. In f32, and without a branch: for short rows, the roots
 * and the quotient cost as much as the sums do, and vectors of them a quarter. `length_a` is the root of square_a. */
RHUMB__INLINE uint32_t rhumb__link_sound_bits(float dot, float square_a, float length_a, float square_b) {
    const float squares = square_a + square_b, factor = sqrtf(length_a * sqrtf(square_b)) / squares;
    const float s = (float)RHUMB__LINK_LENGTH_SHARE * sqrtf(squares) - dot * factor;
    uint32_t bits;
    memcpy(&bits, &s, sizeof bits);
    /* As the upper bits of a double: a shorter fraction, and an exponent of 11 bits, which begins elsewhere. */
    return (bits & UINT32_C(0x80000000)) | (((bits & UINT32_C(0x7FFFFFFF)) >> 4) + ((UINT32_C(1023) - 127) << 19));
}

enum { RHUMB__LINK_ROWS = 4, RHUMB__LINK_SUMS = 16 };

/* The sums of up to 16 rows with a query, in groups of four. Those that no row has are sound. */
typedef struct rhumb__link_group {
    float dots[RHUMB__LINK_SUMS], squares[RHUMB__LINK_SUMS];
} rhumb__link_group;

/* Where four rows are, and the four after them, which are prefetched; at the end of a list its last row stands for
 * those that are missing. */
typedef struct rhumb__link_four {
    const void *rows[RHUMB__LINK_ROWS], *ahead[RHUMB__LINK_ROWS];
    size_t count;
} rhumb__link_four;

/* Chooses the rows from `i` on. */
RHUMB__INLINE rhumb__link_four rhumb__link_choose(const void *const *rows, size_t count, size_t i) {
    rhumb__link_four four;
    four.count = count - i < RHUMB__LINK_ROWS ? count - i : RHUMB__LINK_ROWS;
    for (size_t k = 0; k < RHUMB__LINK_ROWS; k++) {
        const size_t row = i + k, next = row + RHUMB__LINK_ROWS;
        four.rows[k] = rows[row < count ? row : count - 1];
        four.ahead[k] = rows[next < count ? next : count - 1];
    }
    return four;
}

/* Computes the first `width` of the group, a constant, and keeps `count` of them. Returns false if some sum is not
 * sound. */
RHUMB__INLINE bool rhumb__link_finish(const rhumb__link_group *group, size_t width, size_t count, float square,
                                      float *distances) {
    uint32_t bits[RHUMB__LINK_SUMS], unsound = !rhumb__link_is_sound(square);
    const float length = sqrtf(square);
#pragma GCC unroll 1 /* gcc makes vectors of a loop, not of what it has unrolled */
    for (size_t k = 0; k < width; k++) {
        unsound |= (uint32_t)!rhumb__link_is_sound(group->squares[k]);
        bits[k] = rhumb__link_sound_bits(group->dots[k], square, length, group->squares[k]);
    }
    memcpy(distances, bits, count * sizeof bits[0]);
    return unsound == 0;
}

RHUMB__INLINE float rhumb__link_ip(const rhumb__space *space, const void *a, const void *b, rhumb__link_sums sums) {
    const float square_a = (float)sums.square_a, square_b = (float)sums.square_b;
    if (__builtin_expect(!(rhumb__link_is_sound(square_a) && rhumb__link_is_sound(square_b)), 0))
        return rhumb__link_ip_extreme(space, a, b);
    const uint32_t bits = rhumb__link_sound_bits((float)sums.dot, square_a, sqrtf(square_a), square_b);
    float raw;
    memcpy(&raw, &bits, sizeof raw);
    return raw;
}

/* Writes the raw linking distances of the rows that a group has the sums of. */
RHUMB__INLINE void rhumb__link_ip_group(const rhumb__space *space, const void *query, const void *const *rows,
                                        size_t count, float square, const rhumb__link_group *group, float *distances) {
    bool are_sound;
    if (count <= RHUMB__LINK_ROWS) {
        are_sound = rhumb__link_finish(group, RHUMB__LINK_ROWS, count, square, distances);
    } else if (count <= 2 * RHUMB__LINK_ROWS) {
        are_sound = rhumb__link_finish(group, 2 * RHUMB__LINK_ROWS, count, square, distances);
    } else {
        are_sound = rhumb__link_finish(group, RHUMB__LINK_SUMS, count, square, distances);
    }
    for (size_t k = 0; __builtin_expect(!are_sound, 0) && k < count; k++) {
        distances[k] =
            rhumb__link_ip(space, query, rows[k],
                           (rhumb__link_sums){(double)group->dots[k], (double)square, (double)group->squares[k]});
    }
}

/* Defines the kernels `symbol`; `name` is that of the single form. `sums_of` gives dot and square_b for two rows,
 * `sums_of_four` the sums of four rows, with the same bits. The square of the query's length is summed once for all
 * rows. */
#define RHUMB__DEFINE_LINK_KERNELS(symbol, name, sums_of, sums_of_four)                                                \
    static float name(const rhumb__space *space, const void *a, const void *b) {                                       \
        rhumb__link_sums sums = sums_of(space, a, b);                                                                  \
        sums.square_a = sums_of(space, a, a).square_b;                                                                 \
        return rhumb__link_ip(space, a, b, sums);                                                                      \
    }                                                                                                                  \
    static void name##_many(const rhumb__space *space, const void *query, const void *const *rows, size_t count,       \
                            float *distances) {                                                                        \
        RHUMB_ASSERT_DEBUG(count == 0 || (query != NULL && rows != NULL));                                             \
        const float square = count > 0 ? (float)sums_of(space, query, query).square_b : 0.0f;                          \
        for (size_t i = 0; i < count; i += RHUMB__LINK_SUMS) {                                                         \
            const size_t group_count = count - i < RHUMB__LINK_SUMS ? count - i : RHUMB__LINK_SUMS;                    \
            rhumb__link_group group;                                                                                   \
            for (size_t k = 0; k < RHUMB__LINK_SUMS; k++) group.dots[k] = group.squares[k] = 1.0f;                     \
            for (size_t k = 0; k < group_count; k += RHUMB__LINK_ROWS) {                                               \
                const rhumb__link_four four = rhumb__link_choose(rows, count, i + k);                                  \
                sums_of_four(space, query, &four, group.dots + k, group.squares + k);                                  \
            }                                                                                                          \
            rhumb__link_ip_group(space, query, rows + i, group_count, square, &group, distances + i);                  \
        }                                                                                                              \
    }                                                                                                                  \
    const rhumb__kernels symbol = {name, name##_many};

/* Defines `sums_of_four` from a function for two rows. */
#define RHUMB__DEFINE_LINK_FOUR(sums_of_four, sums_of)                                                                 \
    RHUMB__INLINE void sums_of_four(const rhumb__space *space, const void *query, const rhumb__link_four *four,        \
                                    float *dots, float *squares) {                                                     \
        for (size_t k = 0; k < four->count; k++) {                                                                     \
            rhumb__prefetch_row(space, four->ahead[k]);                                                                \
            const rhumb__link_sums sums = sums_of(space, query, four->rows[k]);                                        \
            dots[k] = (float)sums.dot;                                                                                 \
            squares[k] = (float)sums.square_b;                                                                         \
        }                                                                                                              \
    }

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
