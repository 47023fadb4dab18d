/* dispatch.c - the table of kernels: one entry per metric and set of element types, one column per instruction set. It
 * is also the list of the pairs of metric and element type that exist.
 *
 * A family is named after what it does with components; its kernels are written once and compiled for every instruction
 * set, in one of three ways:
 *
 *   recompiled   sum_double_body.h and count_body.h are plain C whose loops every compiler vectorises. One file per
 *                instruction set includes them; the files differ in their compiler flags alone. Little code serves most
 *                pairs, and all tiers give the same bits.
 *   in lanes     sum_narrow_body.h and sum_lanes.h are written in about thirty operations on vectors of lanes, which
 *                lanes_avx2.h and lanes_avx512.h define. Compilers do not find the instructions for narrow components
 *                (widening loads, sums of absolute differences) by themselves; the loops are the same for both sets.
 *   by hand      sum_f32_avx2.c and sum_f32_avx512.c are separate files. f32 is what most indexes hold, and how many
 *                rows are measured together and how they are prefetched depends on the number of registers.
 *
 * edit.c and custom.c are the same for every instruction set. To add a family, write its files and add its entries
 * here. The table is immutable; a look-up fails by returning NULL.
 */
#include "distances/dispatch.h"

#include <stddef.h>

#include "distances/count_kernels.h"
#include "distances/custom_kernels.h"
#include "distances/edit_kernels.h"
#include "distances/element.h"
#include "distances/sum_double_kernels.h"
#include "distances/sum_f32_kernels.h"
#include "distances/sum_narrow_kernels.h"

enum { TIER_COUNT = RHUMB__SIMD_AVX512 + 1 };

#if defined(__x86_64__)
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &(scalar), &(avx2), &(avx512) }
#else
#define TIERS(scalar, avx2, avx512)                                                                                    \
    { &(scalar), &(scalar), &(scalar) }
#endif

/* The columns of a family whose kernels have the same name in all tiers. */
#define SUM_F32(name)                                                                                                  \
    TIERS(rhumb__sum_f32_##name##_scalar, rhumb__sum_f32_##name##_avx2, rhumb__sum_f32_##name##_avx512)
#define SUM_DOUBLE(name)                                                                                               \
    TIERS(rhumb__sum_double_##name##_scalar, rhumb__sum_double_##name##_avx2, rhumb__sum_double_##name##_avx512)
#define COUNT(name) TIERS(rhumb__count_##name##_scalar, rhumb__count_##name##_avx2, rhumb__count_##name##_avx512)
#define ANY(kernels)                                                                                                   \
    { &(kernels), &(kernels), &(kernels) }

/* Without vector instructions narrow components, and |a-b| of f32, are summed in double. */
#define SUM_NARROW(element, name)                                                                                      \
    TIERS(rhumb__sum_double_##name##_scalar, rhumb__sum_narrow_##element##_##name##_avx2,                              \
          rhumb__sum_narrow_##element##_##name##_avx512)
#define SUM_F32_L1 TIERS(rhumb__sum_double_l1_scalar, rhumb__sum_f32_l1_avx2, rhumb__sum_f32_l1_avx512)

struct entry {
    rhumb_metric metric;
    uint32_t elements;                         /* a set of element types: bits by their numbers */
    const rhumb__kernels *of_tier[TIER_COUNT]; /* by rhumb__simd */
};

#define E(name) (1u << RHUMB_ELEMENT_##name)

/* The entries of a metric for the element types of the narrow family. */
#define NARROW_ENTRY(element, number, metric, name) {metric, E(number), SUM_NARROW(element, name)},
#define NARROW_ENTRIES(metric, name) RHUMB__SUM_NARROW_ELEMENTS(NARROW_ENTRY, metric, name)

/* Sets of element types that several entries have. */
#define NUMBERS_FOR_DOT (E(F64) | E(U16) | E(I32) | E(I64))
#define NUMBERS (NUMBERS_FOR_DOT | E(I16) | E(U32))
#define PROBABILITIES (E(F32) | E(F64))
#define EVERYTHING UINT32_MAX

/* The formatter does not know that a macro is an entry. l2 has the kernels of l2sq where those return squares as f32:
 * the two differ in rhumb__space_finish alone. For wider types there are kernels that take the root, as the squares of
 * their distances need not fit into an f32. */
/* clang-format off */
static const struct entry TABLE[] = {
    {RHUMB_METRIC_L2SQ, E(F32), SUM_F32(l2sq)},
    NARROW_ENTRIES(RHUMB_METRIC_L2SQ, l2sq)
    {RHUMB_METRIC_L2SQ, NUMBERS, SUM_DOUBLE(l2sq)},

    {RHUMB_METRIC_L2, E(F32), SUM_F32(l2sq)},
    NARROW_ENTRIES(RHUMB_METRIC_L2, l2sq)
    {RHUMB_METRIC_L2, NUMBERS, SUM_DOUBLE(l2)},

    {RHUMB_METRIC_IP, E(F32), SUM_F32(ip)},
    NARROW_ENTRIES(RHUMB_METRIC_IP, ip)
    {RHUMB_METRIC_IP, NUMBERS_FOR_DOT, SUM_DOUBLE(ip)},

    {RHUMB_METRIC_COSINE, E(F32), SUM_F32(cosine)},
    NARROW_ENTRIES(RHUMB_METRIC_COSINE, cosine)
    {RHUMB_METRIC_COSINE, NUMBERS_FOR_DOT, SUM_DOUBLE(cosine)},

    {RHUMB_METRIC_L1, E(F32), SUM_F32_L1},
    NARROW_ENTRIES(RHUMB_METRIC_L1, l1)
    {RHUMB_METRIC_L1, NUMBERS, SUM_DOUBLE(l1)},

    {RHUMB_METRIC_HAMMING, E(U8), COUNT(hamming8)},
    {RHUMB_METRIC_HAMMING, E(U16) | E(I16), COUNT(hamming16)},
    {RHUMB_METRIC_HAMMING, E(U32) | E(I32), COUNT(hamming32)},
    {RHUMB_METRIC_HAMMING, E(U64), COUNT(hamming64)},
    {RHUMB_METRIC_HAMMING, E(F32), COUNT(hamming_f32)},
    {RHUMB_METRIC_HAMMING, E(F64), COUNT(hamming_f64)},
    {RHUMB_METRIC_HAMMING, E(B1), COUNT(hamming_b1)},

    {RHUMB_METRIC_JACCARD, E(U8), SUM_NARROW(u8, jaccard)},
    {RHUMB_METRIC_JACCARD, E(U16) | E(U32) | E(F32), SUM_DOUBLE(jaccard)},
    {RHUMB_METRIC_JACCARD, E(B1), COUNT(jaccard_b1)},

    {RHUMB_METRIC_HELLINGER, PROBABILITIES, SUM_DOUBLE(hellinger)},
    {RHUMB_METRIC_JEFFREYS, PROBABILITIES, SUM_DOUBLE(jeffreys)},
    {RHUMB_METRIC_JENSEN_SHANNON, PROBABILITIES, SUM_DOUBLE(jensen_shannon)},

    {RHUMB_METRIC_LEVENSHTEIN, E(U8), ANY(rhumb__edit_u8)},
    {RHUMB_METRIC_LEVENSHTEIN, E(U16), ANY(rhumb__edit_u16)},

    {RHUMB_METRIC_CUSTOM, EVERYTHING, ANY(rhumb__custom)},
};
/* clang-format on */

const rhumb__kernels *rhumb__kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element) {
    if ((unsigned)tier >= TIER_COUNT || rhumb__element_bits(element) == 0) return NULL;
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        if (TABLE[i].metric == metric && (TABLE[i].elements >> element & 1) != 0) return TABLE[i].of_tier[tier];
    }
    return NULL;
}
