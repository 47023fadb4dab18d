/* measure_kernels.h - the kernels that measure a query against codes, for each set of instructions and for digits of 8
 * and of 4 bits; see measure_body.h.
 */
#ifndef RHUMB_DISTANCES_CODE_MEASURE_KERNELS_H
#define RHUMB_DISTANCES_CODE_MEASURE_KERNELS_H

#include "distances/code/code.h"
#include "distances/code/coder.h"

#define RHUMB__DECLARE_CODE_KERNELS(set)                                                                               \
    extern const rhumb__code_kernels rhumb__code_measure_8_##set, rhumb__code_measure_4_##set;

RHUMB__DECLARE_CODE_KERNELS(scalar)
RHUMB__DECLARE_CODE_KERNELS(avx2)
RHUMB__DECLARE_CODE_KERNELS(avx2_vnni)
RHUMB__DECLARE_CODE_KERNELS(avx512)
RHUMB__DECLARE_CODE_KERNELS(avx512_vnni)

/* The estimate from the sum of digit * weight, in long double: for numbers of unusual size, on which arithmetic in
 * double may lose something, and for the bytes of damaged codes. Not for cosine. */
float rhumb__code_estimate_extreme(const rhumb__coder *coder, const rhumb__code_query *query, const void *code,
                                   double dot);

#endif /* RHUMB_DISTANCES_CODE_MEASURE_KERNELS_H */
