/* sum_double_kernels.h - the metrics that are sums in double, one line for each; see sum_double_body.h. */
#ifndef RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H
#define RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H

#include "distances/space.h"

/* X(name, NAME, term, raw) for each: the term that components a and b add to the sum, 0 when both are 0; and the raw
 * distance that becomes of the sum, where `form` is the space's. Under cosine `sum` has been divided by both norms,
 * under jaccard by the sum of the larger components. The kernels are rhumb__sum_double_<name>_<tier>. Only
 * sum_double_body.h expands terms and distances, and has the functions that occur in them. */
/* clang-format off */
#define RHUMB__SUM_DOUBLE_METRICS(X)                                                                                   \
    X(l2sq, L2SQ,                     square(a - b),             rhumb__raw_of(form, sum))                             \
    X(l2, L2,                         square(a - b),             rhumb__raw_of(form, sqrt(sum)))                       \
    X(l1, L1,                         fabs(a - b),               rhumb__raw_of(form, sum))                             \
    X(ip, IP,                         a * b,                     rhumb__raw_of(form, sum))                             \
    X(cosine, COSINE,                 a * b,                     rhumb__clamp(1.0 - sum, 0.0f, 2.0f))                  \
    X(jaccard, JACCARD,               smaller(a, b),             rhumb__clamp(1.0 - sum, 0.0f, 1.0f))                  \
    X(hellinger, HELLINGER,           square(root(a) - root(b)), rhumb__raw_of(form, root_of_half(sum)))               \
    X(jeffreys, JEFFREYS,             jeffreys_term(a, b),       rhumb__raw_of(form, sum))                             \
    X(jensen_shannon, JENSEN_SHANNON, jensen_shannon_term(a, b), rhumb__raw_of(form, root_of_half(sum)))
/* clang-format on */

#define RHUMB__DECLARE_SUM_DOUBLE(name, ...)                                                                           \
    extern const rhumb__kernels rhumb__sum_double_##name##_scalar, rhumb__sum_double_##name##_avx2,                    \
        rhumb__sum_double_##name##_avx512;

RHUMB__SUM_DOUBLE_METRICS(RHUMB__DECLARE_SUM_DOUBLE)

#endif /* RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H */
