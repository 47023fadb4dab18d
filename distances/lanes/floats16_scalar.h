/* floats16_scalar.h - 16 floats, and what rotation, codes and tables do with them, in plain C.
 *
 * floats16_avx2.h and floats16_avx512.h define the same names with the same results, bit for bit. What is said here
 * about an operation holds for all three. Comparisons with NaN are false.
 */
#ifndef RHUMB_DISTANCES_LANES_FLOATS16_SCALAR_H
#define RHUMB_DISTANCES_LANES_FLOATS16_SCALAR_H

#include <stdint.h>
#include <string.h>

#include "base/inline.h"

typedef struct floats16 {
    float at[16];
} floats16;

#define FOR_16(i) for (int i = 0; i < 16; i++)

RHUMB__INLINE floats16 floats16_load(const float *from) {
    floats16 v;
    memcpy(v.at, from, sizeof v.at);
    return v;
}

RHUMB__INLINE void floats16_store(float *to, floats16 v) { memcpy(to, v.at, sizeof v.at); }

RHUMB__INLINE floats16 floats16_all(float value) {
    floats16 v;
    FOR_16(i) v.at[i] = value;
    return v;
}

RHUMB__INLINE floats16 floats16_add(floats16 a, floats16 b) {
    FOR_16(i) a.at[i] += b.at[i];
    return a;
}

RHUMB__INLINE floats16 floats16_subtract(floats16 a, floats16 b) {
    FOR_16(i) a.at[i] -= b.at[i];
    return a;
}

RHUMB__INLINE floats16 floats16_multiply(floats16 a, floats16 b) {
    FOR_16(i) a.at[i] *= b.at[i];
    return a;
}

RHUMB__INLINE floats16 floats16_size(floats16 v) {
    FOR_16(i) v.at[i] = __builtin_fabsf(v.at[i]);
    return v;
}

/* a where a > b, else b. */
RHUMB__INLINE floats16 floats16_larger(floats16 a, floats16 b) {
    FOR_16(i) a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i];
    return a;
}

/* Negates the floats whose bit is set. */
RHUMB__INLINE floats16 floats16_negate(floats16 v, uint32_t bits) {
    FOR_16(i) v.at[i] = bits >> i & 1 ? -v.at[i] : v.at[i];
    return v;
}

/* Bits that are set where v > limit. */
RHUMB__INLINE uint32_t floats16_above(floats16 v, floats16 limit) {
    uint32_t bits = 0;
    FOR_16(i) bits |= (uint32_t)(v.at[i] > limit.at[i]) << i;
    return bits;
}

/* `kept` where v > limit, else 0. */
RHUMB__INLINE floats16 floats16_keep_above(floats16 kept, floats16 v, floats16 limit) {
    FOR_16(i) kept.at[i] = v.at[i] > limit.at[i] ? kept.at[i] : 0.0f;
    return kept;
}

/* v where `sign` > 0, else -v. */
RHUMB__INLINE floats16 floats16_signed_like(floats16 v, floats16 sign) {
    FOR_16(i) v.at[i] = sign.at[i] > 0.0f ? v.at[i] : -v.at[i];
    return v;
}

/* The sum of all: halves are added until one number is left. */
RHUMB__INLINE float floats16_sum(floats16 v) {
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) v.at[i] += v.at[i + half];
    }
    return v.at[0];
}

/* The largest of all; of finite numbers only. */
RHUMB__INLINE float floats16_largest(floats16 v) {
    for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) v.at[i] = v.at[i] > v.at[i + half] ? v.at[i] : v.at[i + half];
    }
    return v.at[0];
}

/* Each float becomes ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7)) of the eight that it is one of. */
RHUMB__INLINE floats16 floats16_sums_of_eight(floats16 v) {
    for (int i = 0; i < 16; i += 8) {
        const float first = (v.at[i] + v.at[i + 1]) + (v.at[i + 2] + v.at[i + 3]);
        const float second = (v.at[i + 4] + v.at[i + 5]) + (v.at[i + 6] + v.at[i + 7]);
        for (int j = 0; j < 8; j++) v.at[i + j] = first + second;
    }
    return v;
}

/* Times the Hadamard matrix of 16: for h = 1, 2, 4, 8, pairs a and b at a distance of h become a + b and a - b. */
RHUMB__INLINE floats16 floats16_hadamard(floats16 v) {
    for (int h = 1; h < 16; h *= 2) {
        floats16 next;
        FOR_16(i) next.at[i] = i & h ? v.at[i ^ h] - v.at[i] : v.at[i] + v.at[i ^ h];
        v = next;
    }
    return v;
}

/* Writes the tables of four groups, 16 entries each: those of groups 0 and 2 to `even`, of 1 and 3 to `odd`. Entry n of
 * a group is the sum of the sizes of its components whose sign agrees with n, in which a bit stands for "positive";
 * added as (y0 + y1) + ((y2 + y3) + 1/2) and cut off, that is, rounded. Sums must be less than 255. */
RHUMB__INLINE void floats16_store_entries(floats16 v, uint8_t *even, uint8_t *odd) {
    for (int group = 0; group < 4; group++) {
        uint8_t *to = (group % 2 == 0 ? even : odd) + group / 2 * 16;
        float size[4][2]; /* that counts where the bit is 0, and where it is 1 */
        for (int j = 0; j < 4; j++) {
            const float component = v.at[4 * group + j];
            size[j][0] = -component > 0.0f ? -component : 0.0f;
            size[j][1] = component > 0.0f ? component : 0.0f;
        }
        FOR_16(n) {
            const float low = size[0][n & 1] + size[1][n >> 1 & 1];
            const float high = size[2][n >> 2 & 1] + size[3][n >> 3];
            to[n] = (uint8_t)(low + (high + 0.5f));
        }
    }
}

#endif /* RHUMB_DISTANCES_LANES_FLOATS16_SCALAR_H */
