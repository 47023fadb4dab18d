/* rotation.h - a random rotation of vectors, computed from a seed.
 *
 * The estimates of lanes are right on average over rotations, and a rotated vector has components of about equal sizes,
 * whatever the vector. The rotation is not a matrix, whose product would cost D^2: it is four rounds of random signs
 * and a fast Hadamard transform, of time D log D.
 *
 * A vector is padded with zeros to D components, a multiple of 16; T is the largest power of two that is at most D.
 * Round i = 0, 1, 2, 3:
 *
 *   1. negate the components whose sign bit is set (below);
 *   2. transform the first T components in rounds 0 and 2, the last T in rounds 1 and 3: times the Hadamard matrix of
 *      T in natural order, times 1/sqrt(T);
 *   3. in rounds 1 and 3, if T < D, replace the components a of the first half and b of the second by a + b and a - b;
 *      in round 1 times 1/2, which makes up for both rounds.
 *
 * The sign bit of component j in round i is bit j % 64 of the word i * ceil(D / 64) + j / 64 of the stream that
 * SplitMix64 makes of the seed (Steele, Lea and Flood, OOPSLA 2014): word k is rhumb__mix64(seed + k * 0x9E37...).
 *
 * The construction is that of the RaBitQ library (Gao and others; "FHT and Kac's walk"), with one change: there, halves
 * are mixed after every round. Of what has not been in a transform after round 0, mixing moves a half to where the
 * transform of round 1 does not reach, and so on. Of a vector with one component that is not 0, a single component may
 * so keep a third of the length (D = 800): ten times the mean size. After rounds 0 and 1 everything has been in a
 * transform; mixed only then, no component is larger than five times the mean, as in a random rotation.
 *
 * All instruction sets give the same bits: each addition has the same two operands everywhere, and nothing is fused.
 * Scaling comes before additions, so that nothing overflows unless the norm, doubled, does.
 */
#ifndef RHUMB_DISTANCES_LANES_ROTATION_H
#define RHUMB_DISTANCES_LANES_ROTATION_H

#include <stdint.h>

#include "base/bits.h"

/* Of what the padded dimension is a multiple: 16 components of 16 lanes fill 32 bytes, the smallest register that a
 * scan uses. */
enum { RHUMB__ROTATION_UNIT = 16, RHUMB__ROTATION_ROUNDS = 4 };

/* Immutable once set up by rhumb__lane_space_init. */
typedef struct rhumb__rotation {
    uint64_t seed;
    uint32_t dim;           /* components of a vector */
    uint32_t padded_dim;    /* D: components of a rotated vector */
    uint32_t transform_dim; /* T */
    float transform_scale;  /* 1 / sqrt(T) */
} rhumb__rotation;

/* The sign bits of 64 components: of those from 64 * `word` on, in a round. */
static inline uint64_t rhumb__rotation_signs(const rhumb__rotation *rotation, uint32_t round, uint32_t word) {
    const uint64_t words = rhumb__divide_up(rotation->padded_dim, 64);
    return rhumb__mix64(rotation->seed + (round * words + word) * UINT64_C(0x9E3779B97F4A7C15));
}

#endif /* RHUMB_DISTANCES_LANES_ROTATION_H */
