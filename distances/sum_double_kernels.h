/* sum_double_kernels.h - the kernels that sum in double; see sum_double_body.h. */
#ifndef RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H
#define RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H

#include "distances/dispatch.h"

#define RHUMB__DECLARE_SUM_DOUBLE(tier)                                                                                \
    extern const rhumb__kernels rhumb__sum_double_l2sq_##tier, rhumb__sum_double_l2_##tier,                            \
        rhumb__sum_double_l1_##tier, rhumb__sum_double_ip_##tier, rhumb__sum_double_cosine_##tier,                     \
        rhumb__sum_double_jaccard_##tier, rhumb__sum_double_hellinger_##tier, rhumb__sum_double_jeffreys_##tier,       \
        rhumb__sum_double_jensen_shannon_##tier;

RHUMB__DECLARE_SUM_DOUBLE(scalar)
RHUMB__DECLARE_SUM_DOUBLE(avx2)
RHUMB__DECLARE_SUM_DOUBLE(avx512)

#endif /* RHUMB_DISTANCES_SUM_DOUBLE_KERNELS_H */
