/* encode_rules.h - what the encoders in f32 (encode_body.h) and in double (encode_extreme.c) have in common. */
#ifndef RHUMB_DISTANCES_LANES_ENCODE_RULES_H
#define RHUMB_DISTANCES_LANES_ENCODE_RULES_H

#include <float.h>
#include <stdbool.h>

#include "base/inline.h"
#include "distances/lanes/kernels.h"

/* The first scale of a code of two bits, in mean sizes: sqrt(pi / 2) of them are the deviation of a normal
 * distribution. */
#define RHUMB__LANE_FIRST_SCALE 1.25f

/* |z|^2 of two bits with `count` large components: 1/4 each, and 2 more for the large ones. */
RHUMB__INLINE double rhumb__lane_code_square(uint32_t dim, uint32_t count) {
    return 0.25 * (double)dim + 2.0 * (double)count;
}

/* The bits of plane 1: z = 2 u + v - 3/2 is large where v equals the bit u of the sign. */
RHUMB__INLINE uint32_t rhumb__lane_second_bits(uint32_t positive, uint32_t large) { return ~(positive ^ large); }

/* Whether a sum of squares in f32 has lost nothing, to infinity or to underflow: 65,536 terms lose less than 2^-133.
 * Then the other sums have not either, or the factors are larger than f32. False for NaN. */
RHUMB__INLINE bool rhumb__lane_square_is_sound(double square) { return square >= 0x1p-96 && square <= FLT_MAX; }

#endif /* RHUMB_DISTANCES_LANES_ENCODE_RULES_H */
