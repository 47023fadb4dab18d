/* estimate_extreme.c - estimates of unusual size, in long double, whose exponent has four bits more than that of
 * double: squares of f64 that double does not hold, sums that are nearly or exactly 0, and the bytes of damaged codes.
 * Slow, and the same for every instruction set.
 *
 * No state, no locks, no failures.
 */
#include <assert.h>
#include <float.h>
#include <math.h>

#include "distances/code/measure_kernels.h"
#include "distances/raw.h"

static_assert(LDBL_MAX_EXP > 2 * DBL_MAX_EXP + 64, "a long double holds sums of squares of doubles");

/* The formulas are those of measure_body.h. */
float rhumb__code_estimate_extreme(const rhumb__coder *coder, const rhumb__code_query *query, const void *code,
                                   double dot) {
    const rhumb__code_constants constants = rhumb__code_read_constants(code, coder->constants_offset_bytes);
    const long double dim = coder->dim, step = constants.step, query_step = query->step;
    const long double weighted = query_step * (long double)(dot - query->centres), sum = constants.sum;
    const long double weight_sum = query_step * (long double)query->sum;
    if (coder->metric == RHUMB_METRIC_IP) {
        const long double component_sum = dim * (long double)query->origin + weight_sum;
        const long double rest = step * ((long double)query->origin * sum + weighted);
        return rhumb__raw_pack(coder->raw_form, (long double)constants.origin * component_sum + rest);
    }
    const long double apart = (long double)query->origin - (long double)constants.origin;
    const long double across = dim * apart + 2.0L * (weight_sum - step * sum);
    const long double squares = step * (step * (long double)constants.squares - 2.0L * weighted) +
                                query_step * query_step * (long double)query->squares;
    const long double square = apart * across + squares;
    const bool has_root = coder->metric == RHUMB_METRIC_L2 && coder->raw_form == RHUMB__RAW_WIDE_SUM;
    return rhumb__raw_pack(coder->raw_form, has_root ? sqrtl(square < 0.0L ? 0.0L : square) : square); /* NaN stays */
}
