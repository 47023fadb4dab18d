/* dispatch.c - the table of kernels: one row per metric and element type, one column per instruction set.
 *
 * To add a family, write its files (one per instruction set) and add its rows here. Immutable; fails by returning NULL.
 */
#include "distances/dispatch.h"

#include <stddef.h>

#include "distances/f32_kernels.h"

enum { TIER_COUNT = RHUMB__SIMD_AVX512 + 1 };

#if defined(__x86_64__)
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &scalar, &avx2, &avx512 }
#else
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &scalar, &scalar, &scalar }
#endif

struct entry {
    rhumb_metric metric;
    rhumb_element element;
    const rhumb__kernels *of_tier[TIER_COUNT]; /* by rhumb__simd */
};

/* l2 stands beside l2sq with the same kernels: it differs in rhumb__space_finish alone. */
static const struct entry TABLE[] = {
    {RHUMB_METRIC_L2SQ, RHUMB_ELEMENT_F32, TIERS(rhumb__f32_l2sq_scalar, rhumb__f32_l2sq_avx2, rhumb__f32_l2sq_avx512)},
    {RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, TIERS(rhumb__f32_l2sq_scalar, rhumb__f32_l2sq_avx2, rhumb__f32_l2sq_avx512)},
    {RHUMB_METRIC_IP, RHUMB_ELEMENT_F32, TIERS(rhumb__f32_ip_scalar, rhumb__f32_ip_avx2, rhumb__f32_ip_avx512)},
    {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F32,
     TIERS(rhumb__f32_cosine_scalar, rhumb__f32_cosine_avx2, rhumb__f32_cosine_avx512)},
};

const rhumb__kernels *rhumb__kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element) {
    if ((unsigned)tier >= TIER_COUNT) return NULL;
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (TABLE[i].metric == metric && TABLE[i].element == element) return TABLE[i].of_tier[tier];
    }
    return NULL;
}
