/* error.h - how far an estimate may be from the distance that it stands for, by which a search decides which of its
 * candidates to measure by their rows.
 *
 * Rounding to digits moves each component by up to half a step, by an amount that has little to do with the component:
 * as if by a random number between -step/2 and step/2. So errors add up as those of dim such numbers do. Vectors that
 * do not look random at the scale of a step deviate from that: the errors of pictures, whose components are small
 * integers with many zeros, are up to 1.5 times as large as this says, those of sparse vectors smaller.
 *
 * Pure functions; cannot fail.
 */
#ifndef RHUMB_DISTANCES_CODE_ERROR_H
#define RHUMB_DISTANCES_CODE_ERROR_H

#include "distances/code/coder.h"

/* What to expect of an estimate, less the exact distance between the rows. In terms of what the metric sums up: the
 * squared distance under l2 and l2sq, minus the dot product under ip, the metric's value under cosine. */
typedef struct rhumb__code_error {
    long double bias;      /* the mean */
    long double deviation; /* the standard deviation */
} rhumb__code_error;

/* The expected error of the estimate of a query and a code. Reads the code's constants. NaN for damaged codes. */
rhumb__code_error rhumb__code_error_of(const rhumb__coder *coder, const void *query, const void *code, float estimate);

/* The raw distance that the rows are at least at, unless the error is more than `deviations` standard deviations from
 * its mean. A candidate for which this is above the exact raw distance of another is not the nearer one of the two,
 * with the confidence that comes with this number. Never above the estimate, and never NaN: a damaged code excludes
 * nothing. */
float rhumb__code_least(const rhumb__coder *coder, const void *query, const void *code, float estimate,
                        double deviations);

#endif /* RHUMB_DISTANCES_CODE_ERROR_H */
