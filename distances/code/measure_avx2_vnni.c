/* measure_avx2_vnni.c - codes measured with AVX2 and AVX-VNNI; see measure_body.h and dot_vnni.h. */
#include "distances/code/code_lanes_avx2.h"

RHUMB__INLINE integers ints_add_byte_products(integers sums, integers digits, integers weights) {
    return _mm256_dpbusd_avx_epi32(sums, digits, weights);
}

#include "distances/code/dot_vnni.h"
#include "distances/code/dot_x86.h"

#define RHUMB__CODE_KERNELS(bits) rhumb__code_measure_##bits##_avx2_vnni

#include "distances/code/measure_body.h"
