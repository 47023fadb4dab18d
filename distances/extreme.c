/* extreme.c - sums over f64 that leave the range of double, in long double, whose exponent has four bits more. Slow,
 * and the same for every instruction set.
 *
 * No state, no locks, no failures.
 */
#include "distances/extreme.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "distances/raw.h"

static_assert(LDBL_MAX_EXP > 2 * DBL_MAX_EXP + 32, "a long double holds sums of squares of doubles");

static long double term(rhumb_metric metric, long double a, long double b) {
    switch (metric) {
    case RHUMB_METRIC_IP: return a * b;
    case RHUMB_METRIC_L1: return fabsl(a - b);
    default: return (a - b) * (a - b);
    }
}

float rhumb__extreme_measure(const rhumb__space *space, const void *a, const void *b) {
    RHUMB_ASSERT_DEBUG(space->element == RHUMB_ELEMENT_F64);
    long double sum = 0.0L;
    for (size_t i = 0; i < space->dim; i++) {
        double x, y;
        memcpy(&x, (const char *)a + i * sizeof x, sizeof x);
        memcpy(&y, (const char *)b + i * sizeof y, sizeof y);
        sum += term(space->metric, (long double)x, (long double)y);
    }
    return rhumb__raw_pack(space->raw_form, space->metric == RHUMB_METRIC_L2 ? sqrtl(sum) : sum);
}
