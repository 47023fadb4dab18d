/* dispatch.c - the table of kernels: one row per metric and set of element types, one column per instruction set.
 *
 * To add a family, write its files (one per instruction set) and add its rows here. Immutable; fails by returning NULL.
 */
#include "distances/dispatch.h"

#include <stddef.h>

#include "distances/count_kernels.h"
#include "distances/edit_kernels.h"
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_narrow_kernels.h"

enum { TIER_COUNT = RHUMB__SIMD_AVX512 + 1 };

#if defined(__x86_64__)
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &scalar, &avx2, &avx512 }
#else
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &scalar, &scalar, &scalar }
#endif

/* The columns of a family whose kernels have the same name in all tiers. */
#define F32(name) TIERS(rhumb__f32_##name##_scalar, rhumb__f32_##name##_avx2, rhumb__f32_##name##_avx512)
#define WIDE(name) TIERS(rhumb__wide_##name##_scalar, rhumb__wide_##name##_avx2, rhumb__wide_##name##_avx512)
#define COUNT(name) TIERS(rhumb__count_##name##_scalar, rhumb__count_##name##_avx2, rhumb__count_##name##_avx512)
/* Without vector instructions small components, and l1 of f32, are summed in double like others. */
#define SMALL(element, name)                                                                                           \
    TIERS(rhumb__wide_##name##_scalar, rhumb__##element##_##name##_avx2, rhumb__##element##_##name##_avx512)
#define ANY(kernels)                                                                                                   \
    { &kernels, &kernels, &kernels }

struct entry {
    rhumb_metric metric;
    uint32_t elements;                         /* a set of element types: bits by their numbers */
    const rhumb__kernels *of_tier[TIER_COUNT]; /* by rhumb__simd */
};

#define E(name) (1u << RHUMB_ELEMENT_##name)

/* Sets of element types that several rows have. */
#define NUMBERS_FOR_DOT (E(F64) | E(U16) | E(I32) | E(I64))
#define NUMBERS (NUMBERS_FOR_DOT | E(I16) | E(U32))
#define PROBABILITIES (E(F32) | E(F64))
#define EVERYTHING (NUMBERS | E(F32) | E(F16) | E(BF16) | E(I8) | E(U8) | E(U64) | E(B1))

/* l2 stands beside l2sq with the same kernels where those give f32 squares: it differs in rhumb__space_finish alone.
 * The wider types have kernels that take the root, as the squares of their distances need not fit into an f32. */
static const struct entry TABLE[] = {
    {RHUMB_METRIC_L2SQ, E(F32), F32(l2sq)},
    {RHUMB_METRIC_L2SQ, E(F16), SMALL(f16, l2sq)},
    {RHUMB_METRIC_L2SQ, E(BF16), SMALL(bf16, l2sq)},
    {RHUMB_METRIC_L2SQ, E(I8), SMALL(i8, l2sq)},
    {RHUMB_METRIC_L2SQ, E(U8), SMALL(u8, l2sq)},
    {RHUMB_METRIC_L2SQ, NUMBERS, WIDE(l2sq)},

    {RHUMB_METRIC_L2, E(F32), F32(l2sq)},
    {RHUMB_METRIC_L2, E(F16), SMALL(f16, l2sq)},
    {RHUMB_METRIC_L2, E(BF16), SMALL(bf16, l2sq)},
    {RHUMB_METRIC_L2, E(I8), SMALL(i8, l2sq)},
    {RHUMB_METRIC_L2, E(U8), SMALL(u8, l2sq)},
    {RHUMB_METRIC_L2, NUMBERS, WIDE(l2)},

    {RHUMB_METRIC_IP, E(F32), F32(ip)},
    {RHUMB_METRIC_IP, E(F16), SMALL(f16, ip)},
    {RHUMB_METRIC_IP, E(BF16), SMALL(bf16, ip)},
    {RHUMB_METRIC_IP, E(I8), SMALL(i8, ip)},
    {RHUMB_METRIC_IP, E(U8), SMALL(u8, ip)},
    {RHUMB_METRIC_IP, NUMBERS_FOR_DOT, WIDE(ip)},

    {RHUMB_METRIC_COSINE, E(F32), F32(cosine)},
    {RHUMB_METRIC_COSINE, E(F16), SMALL(f16, cosine)},
    {RHUMB_METRIC_COSINE, E(BF16), SMALL(bf16, cosine)},
    {RHUMB_METRIC_COSINE, E(I8), SMALL(i8, cosine)},
    {RHUMB_METRIC_COSINE, E(U8), SMALL(u8, cosine)},
    {RHUMB_METRIC_COSINE, NUMBERS_FOR_DOT, WIDE(cosine)},

    {RHUMB_METRIC_L1, E(F32), SMALL(f32, l1)},
    {RHUMB_METRIC_L1, E(F16), SMALL(f16, l1)},
    {RHUMB_METRIC_L1, E(BF16), SMALL(bf16, l1)},
    {RHUMB_METRIC_L1, E(I8), SMALL(i8, l1)},
    {RHUMB_METRIC_L1, E(U8), SMALL(u8, l1)},
    {RHUMB_METRIC_L1, NUMBERS, WIDE(l1)},

    {RHUMB_METRIC_HAMMING, E(U8), COUNT(hamming8)},
    {RHUMB_METRIC_HAMMING, E(U16) | E(I16), COUNT(hamming16)},
    {RHUMB_METRIC_HAMMING, E(U32) | E(I32), COUNT(hamming32)},
    {RHUMB_METRIC_HAMMING, E(U64), COUNT(hamming64)},
    {RHUMB_METRIC_HAMMING, E(F32), COUNT(hamming_f32)},
    {RHUMB_METRIC_HAMMING, E(F64), COUNT(hamming_f64)},
    {RHUMB_METRIC_HAMMING, E(B1), COUNT(hamming_b1)},

    {RHUMB_METRIC_JACCARD, E(U8), SMALL(u8, jaccard)},
    {RHUMB_METRIC_JACCARD, E(U16) | E(U32) | E(F32), WIDE(jaccard)},
    {RHUMB_METRIC_JACCARD, E(B1), COUNT(jaccard_b1)},

    {RHUMB_METRIC_HELLINGER, PROBABILITIES, WIDE(hellinger)},
    {RHUMB_METRIC_JEFFREYS, PROBABILITIES, WIDE(jeffreys)},
    {RHUMB_METRIC_JENSEN_SHANNON, PROBABILITIES, WIDE(jensen_shannon)},

    {RHUMB_METRIC_LEVENSHTEIN, E(U8), ANY(rhumb__levenshtein_u8)},
    {RHUMB_METRIC_LEVENSHTEIN, E(U16), ANY(rhumb__levenshtein_u16)},

    {RHUMB_METRIC_CUSTOM, EVERYTHING, ANY(rhumb__custom)},
};

const rhumb__kernels *rhumb__kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element) {
    if ((unsigned)tier >= TIER_COUNT || (unsigned)element >= 32) return NULL;
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (TABLE[i].metric == metric && (TABLE[i].elements >> element & 1) != 0) return TABLE[i].of_tier[tier];
    }
    return NULL;
}
