/* raw.h - raw distances: the f32 that orders vectors as their exact distances do, over a range that f32 does not have.
 *
 * Sums of squares and of products leave the range of f32 long before the distances do, and those of f64 leave that of
 * double. A raw distance is therefore the sum itself only in the middle of f32's range, which ordinary vectors never
 * leave; outside, its exponent is *packed*: several binades (from one power of two to the next) share one binade of the
 * raw distance, at a loss of so many bits of precision. The function is monotone everywhere, so raw distances keep the
 * order; and it loses the fewest bits where f32 holds the metric's own value. raw.c has the tables.
 *
 * Pure functions; cannot fail.
 */
#ifndef RHUMB_DISTANCES_RAW_H
#define RHUMB_DISTANCES_RAW_H

#include <math.h>
#include <stdbool.h>

#include "base/inline.h"
#include "distances/space.h"

/* The sizes within which a sum is its own raw distance (not under RHUMB__RAW_WIDE_DOT), and an f32 sum is sound: no
 * term has overflowed, and what 65,535 terms can lose to underflow is below the last place. */
#define RHUMB__RAW_SAFE_MIN 0x1p-96
#define RHUMB__RAW_SAFE_MAX 0x1p96

/* Returns the raw distance of a value: the square of the distance under RHUMB__RAW_SQUARE, the dot product under
 * RHUMB__RAW_DOT and RHUMB__RAW_WIDE_DOT, else the distance. FLT_MAX for NaN. Not for RHUMB__RAW_VALUE. */
float rhumb__raw_pack(enum rhumb__raw_form form, long double value);

/* Returns the metric's own value for a raw distance that is not NaN; of the values that have it, one in the middle. */
long double rhumb__raw_unpack(enum rhumb__raw_form form, float raw);

/* Returns what rhumb__raw_pack would give that raw distance for, likewise one in the middle. */
long double rhumb__raw_sum(enum rhumb__raw_form form, float raw);

/* The same as rhumb__raw_pack, inlined for sums of an ordinary size. */
RHUMB__INLINE float rhumb__raw_of(enum rhumb__raw_form form, double value) {
    const double size = fabs(value);
    const bool is_itself = (size >= RHUMB__RAW_SAFE_MIN && size <= RHUMB__RAW_SAFE_MAX) || size == 0.0;
    if (is_itself && form == RHUMB__RAW_DOT) return (float)(0.0 - value);
    if (is_itself && form != RHUMB__RAW_WIDE_DOT && value >= 0.0) return (float)value;
    return rhumb__raw_pack(form, (long double)value);
}

#endif /* RHUMB_DISTANCES_RAW_H */
