/* sum_double_kernels.h - the metrics that are sums in double, one line for each; see sum_double_body.h. */
#ifndef RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H
#define RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H

#include "distances/space.h"

/* X(name, NAME, term, distance, low, high) for each: the term that components a and b add to the sum, 0 when both are
 * 0; the distance that becomes of the sum; and the range to which it is clamped. Under cosine `sum` has been divided by
 * both norms, under jaccard by the sum of the larger components. The kernels are rhumb__sum_double_<name>_<tier>. Only
 * sum_double_body.h expands terms and distances, and has the functions that occur in them. */
/* clang-format off */
#define RHUMB__SUM_DOUBLE_METRICS(X)                                                                                   \
    X(l2sq, L2SQ,                     square(a - b),             sum,               0.0f, FLT_MAX)                     \
    X(l2, L2,                         square(a - b),             sqrt(sum),         0.0f, FLT_MAX)                     \
    X(l1, L1,                         fabs(a - b),               sum,               0.0f, FLT_MAX)                     \
    X(ip, IP,                         a * b,                     1.0 - sum,         -FLT_MAX, FLT_MAX)                 \
    X(cosine, COSINE,                 a * b,                     1.0 - sum,         0.0f, 2.0f)                        \
    X(jaccard, JACCARD,               smaller(a, b),             1.0 - sum,         0.0f, 1.0f)                        \
    X(hellinger, HELLINGER,           square(root(a) - root(b)), root_of_half(sum), 0.0f, FLT_MAX)                     \
    X(jeffreys, JEFFREYS,             jeffreys_term(a, b),       sum,               0.0f, FLT_MAX)                     \
    X(jensen_shannon, JENSEN_SHANNON, jensen_shannon_term(a, b), root_of_half(sum), 0.0f, FLT_MAX)
/* clang-format on */

#define RHUMB__DECLARE_SUM_DOUBLE(name, ...)                                                                           \
    extern const rhumb__kernels rhumb__sum_double_##name##_scalar, rhumb__sum_double_##name##_avx2,                    \
        rhumb__sum_double_##name##_avx512;

RHUMB__SUM_DOUBLE_METRICS(RHUMB__DECLARE_SUM_DOUBLE)

#endif /* RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H */
