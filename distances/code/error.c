/* error.c - the expected errors of estimates, from the steps of query and code.
 *
 * The errors of components, a for the code's and b for the query's, are uniform and independent of each other and of
 * the components; their variances are step^2 / 12. Then, with d = query - vector,
 *
 *     l2       |d + b - a|^2 - |d|^2 = 2 d.(b - a) + |b - a|^2      mean dim (v + w), variance 4 |d|^2 (v + w) + ...
 *     ip       q.a + y.b, nearly                                    mean 0, variance |q|^2 v + |y|^2 w
 *     cosine   lengths are 1 before and after, so only what is at right angles to a vector moves it: the cosine shrinks
 *              by half of the squared size of that, and varies by its part in the direction of the other vector
 *
 * v and w being the variances of code and query, and the dots the variance of |b - a|^2 itself, which matters near 0.
 *
 * Computed in long double, which holds squares of doubles. No state, no locks, no failures.
 */
#include "distances/code/error.h"

#include <float.h>
#include <math.h>

#include "distances/code/code.h"
#include "distances/kernel.h"
#include "distances/raw.h"

/* The variance of the square of a uniform number, in units of the square of the number's own variance: that is 1/12,
 * and that of the square 1/80 - 1/144, if the number lies between -1/2 and 1/2. */
#define SQUARE_VARIANCE 0.8L

static long double square(long double a) { return a * a; }

/* The sum of the squares of origin + step * number, over all components. */
static long double decoded_square(const rhumb__coder *coder, long double origin, long double step, long double sum,
                                  long double squares) {
    return (long double)coder->dim * square(origin) + 2.0L * origin * step * sum + square(step) * squares;
}

/* Whether raw distances are roots of what is summed. */
static bool has_root(const rhumb__coder *coder) {
    return coder->metric == RHUMB_METRIC_L2 && coder->raw_form == RHUMB__RAW_WIDE_SUM;
}

/* The estimate in the units of rhumb__code_error. */
static long double sum_of(const rhumb__coder *coder, float estimate) {
    const long double sum = rhumb__raw_sum(coder->raw_form, estimate);
    if (coder->metric == RHUMB_METRIC_IP) return -sum;
    return has_root(coder) ? square(sum) : sum;
}

rhumb__code_error rhumb__code_error_of(const rhumb__coder *coder, const void *query, const void *code, float estimate) {
    const rhumb__code_query *head = query;
    const rhumb__code_constants constants = rhumb__code_read_constants(code, coder->constants_offset_bytes);
    const long double of_code = square(constants.step) / 12.0L, of_query = square(head->step) / 12.0L;
    const long double both = of_code + of_query, dim = coder->dim, sum = sum_of(coder, estimate);
    if (coder->metric == RHUMB_METRIC_IP) {
        const long double code_square =
            decoded_square(coder, constants.origin, constants.step, constants.sum, constants.squares);
        const long double query_square = decoded_square(coder, head->origin, head->step, head->sum, head->squares);
        return (rhumb__code_error){0.0L, sqrtl(query_square * of_code + fmaxl(code_square, 0.0L) * of_query)};
    }
    if (coder->metric == RHUMB_METRIC_COSINE) {
        const long double bias = (1.0L - sum) * (dim - 1.0L) * both / 2.0L;
        const long double distance = fmaxl(sum - bias, 0.0L), sine_square = fmaxl(distance * (2.0L - distance), 0.0L);
        return (rhumb__code_error){bias, sqrtl(sine_square * both + SQUARE_VARIANCE * dim * square(both) / 4.0L)};
    }
    const long double bias = dim * both, distance_square = fmaxl(sum - bias, 0.0L);
    return (rhumb__code_error){bias, sqrtl(4.0L * distance_square * both + SQUARE_VARIANCE * dim * square(both))};
}

/* The raw distance that is `least` in the units of rhumb__code_error. */
static float raw_of(const rhumb__coder *coder, long double least) {
    if (coder->metric == RHUMB_METRIC_IP) return isnan(least) ? -FLT_MAX : rhumb__raw_pack(coder->raw_form, -least);
    if (!(least > 0.0L)) return 0.0f;
    if (coder->metric == RHUMB_METRIC_COSINE) return rhumb__clamp((double)least, 0.0f, 2.0f);
    return rhumb__raw_pack(coder->raw_form, has_root(coder) ? sqrtl(least) : least);
}

float rhumb__code_least(const rhumb__coder *coder, const void *query, const void *code, float estimate,
                        double deviations) {
    const rhumb__code_error error = rhumb__code_error_of(coder, query, code, estimate);
    const float least = raw_of(coder, sum_of(coder, estimate) - error.bias - (long double)deviations * error.deviation);
    return least < estimate ? least : estimate; /* some estimates of damaged codes are no packed numbers */
}
