/* sum_f32_kernels.h - the kernels for vectors of f32, one file per instruction set, and what those files share.
 *
 * A row is `dim` floats; under cosine one more float follows them, the inverse of the vector's Euclidean norm (0 for a
 * zero vector, never infinite). Kernels ask for 4-byte alignment, read row_bytes and no byte more, and accept any bits:
 * a sum that met a NaN comes out as FLT_MAX, under cosine as 2, which nothing exceeds (see distances/space.h).
 *
 * The kernels of l2 are those of l2sq: raw distances of l2 are squares. Tiers differ in their summation order, so the
 * last bits of their results may differ between machines; within a tier, the two forms of a kernel agree bit for bit.
 *
 * Range: a sum that is not of an ordinary size is taken again in double (guard.h); under cosine, a pair with a norm
 * outside of the range in which an f32 dot product is sound.
 */
#ifndef RHUMB_DISTANCES_SUM_F32_KERNELS_H
#define RHUMB_DISTANCES_SUM_F32_KERNELS_H

#include "distances/space.h"

/* The inverse norms for which the f32 dot product is sound: norms of 2^-50 to 2^60, about 1e-15 to 1e18. No sum of
 * |a[i]*b[i]| is larger than the product of the norms (Cauchy and Schwarz), so nothing overflows; and what 65,535 terms
 * can lose to underflow, 2^-133, is less than half a unit in the last place of the smallest product, 2^-100. Numbers
 * outside, zero and NaN among them, go to rhumb__sum_f32_cosine_extreme. */
#define RHUMB__SUM_F32_INVERSE_NORM_MIN 0x1p-60f
#define RHUMB__SUM_F32_INVERSE_NORM_MAX 0x1p50f

/* The raw cosine distance where an inverse norm is out of that range: 1 if one is 0, else computed in double from the
 * components alone; 2 where the bytes of a row make no cosine (NaN, infinities). */
float rhumb__sum_f32_cosine_extreme(const rhumb__space *space, const float *a, const float *b);

#define RHUMB__DECLARE_SUM_F32(tier)                                                                                   \
    extern const rhumb__kernels rhumb__sum_f32_l2sq_##tier, rhumb__sum_f32_ip_##tier, rhumb__sum_f32_cosine_##tier;

RHUMB__DECLARE_SUM_F32(scalar)
RHUMB__DECLARE_SUM_F32(avx2)
RHUMB__DECLARE_SUM_F32(avx512)

/* Without vector instructions l1 of f32 is summed in double. */
extern const rhumb__kernels rhumb__sum_f32_l1_avx2, rhumb__sum_f32_l1_avx512;

#endif /* RHUMB_DISTANCES_SUM_F32_KERNELS_H */
