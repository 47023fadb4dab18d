/* sum_narrow_kernels.h - the kernels for components of 8 and 16 bits, and l1 of f32; see sum_narrow_body.h. */
#ifndef RHUMB_DISTANCES_SUM_NARROW_KERNELS_H
#define RHUMB_DISTANCES_SUM_NARROW_KERNELS_H

#include "distances/dispatch.h"

#define RHUMB_DECLARE_SMALL(element, tier)                                                                             \
    extern const rhumb__kernels rhumb__##element##_l2sq_##tier, rhumb__##element##_ip_##tier,                          \
        rhumb__##element##_cosine_##tier, rhumb__##element##_l1_##tier;

RHUMB_DECLARE_SMALL(f16, avx2)
RHUMB_DECLARE_SMALL(bf16, avx2)
RHUMB_DECLARE_SMALL(i8, avx2)
RHUMB_DECLARE_SMALL(u8, avx2)
extern const rhumb__kernels rhumb__f32_l1_avx2, rhumb__u8_jaccard_avx2;

RHUMB_DECLARE_SMALL(f16, avx512)
RHUMB_DECLARE_SMALL(bf16, avx512)
RHUMB_DECLARE_SMALL(i8, avx512)
RHUMB_DECLARE_SMALL(u8, avx512)
extern const rhumb__kernels rhumb__f32_l1_avx512, rhumb__u8_jaccard_avx512;

#endif /* RHUMB_DISTANCES_SUM_NARROW_KERNELS_H */
