/* sum_double_kernels.h - the kernels that sum in double; see sum_double_body.h. */
#ifndef RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H
#define RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H

#include "distances/dispatch.h"

#define RHUMB_DECLARE_WIDE(tier)                                                                                       \
    extern const rhumb__kernels rhumb__wide_l2sq_##tier, rhumb__wide_l2_##tier, rhumb__wide_l1_##tier,                 \
        rhumb__wide_ip_##tier, rhumb__wide_cosine_##tier, rhumb__wide_jaccard_##tier, rhumb__wide_hellinger_##tier,    \
        rhumb__wide_jeffreys_##tier, rhumb__wide_jensen_shannon_##tier;

RHUMB_DECLARE_WIDE(scalar)
RHUMB_DECLARE_WIDE(avx2)
RHUMB_DECLARE_WIDE(avx512)

#endif /* RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H */
