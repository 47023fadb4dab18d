/* count_kernels.h - the kernels that count: hamming of every element type, and jaccard of bits. See count_body.h. */
#ifndef RHUMB_DISTANCES_COUNT_KERNELS_H
#define RHUMB_DISTANCES_COUNT_KERNELS_H

#include "distances/space.h"

#define RHUMB__DECLARE_COUNT(tier)                                                                                     \
    extern const rhumb__kernels rhumb__count_hamming8_##tier, rhumb__count_hamming16_##tier,                           \
        rhumb__count_hamming32_##tier, rhumb__count_hamming64_##tier, rhumb__count_hamming_f32_##tier,                 \
        rhumb__count_hamming_f64_##tier, rhumb__count_hamming_b1_##tier, rhumb__count_jaccard_b1_##tier;

RHUMB__DECLARE_COUNT(scalar)
RHUMB__DECLARE_COUNT(avx2)
RHUMB__DECLARE_COUNT(avx512)

#endif /* RHUMB_DISTANCES_COUNT_KERNELS_H */
