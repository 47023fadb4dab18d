/* sum_narrow_kernels.h - the kernels that sum narrow components in lanes; see sum_narrow_body.h. */
#ifndef RHUMB_DISTANCES_SUM_NARROW_KERNELS_H
#define RHUMB_DISTANCES_SUM_NARROW_KERNELS_H

#include "distances/space.h"

/* The element types of the family: X(name, NAME, ...) for each. */
#define RHUMB__SUM_NARROW_ELEMENTS(X, ...)                                                                             \
    X(f16, F16, __VA_ARGS__)                                                                                           \
    X(bf16, BF16, __VA_ARGS__)                                                                                         \
    X(i8, I8, __VA_ARGS__)                                                                                             \
    X(u8, U8, __VA_ARGS__)

#define RHUMB__DECLARE_SUM_NARROW(element, number, tier)                                                               \
    extern const rhumb__kernels rhumb__sum_narrow_##element##_l2sq_##tier, rhumb__sum_narrow_##element##_ip_##tier,    \
        rhumb__sum_narrow_##element##_cosine_##tier, rhumb__sum_narrow_##element##_l1_##tier;

RHUMB__SUM_NARROW_ELEMENTS(RHUMB__DECLARE_SUM_NARROW, avx2)
RHUMB__SUM_NARROW_ELEMENTS(RHUMB__DECLARE_SUM_NARROW, avx512)
extern const rhumb__kernels rhumb__sum_narrow_u8_jaccard_avx2, rhumb__sum_narrow_u8_jaccard_avx512;

#endif /* RHUMB_DISTANCES_SUM_NARROW_KERNELS_H */
