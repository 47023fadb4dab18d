/* measure_avx512_vnni.c - codes measured with AVX-512 and its VNNI; see measure_body.h and dot_vnni.h. */
#include "distances/code/code_lanes_avx512.h"

RHUMB__INLINE integers ints_add_byte_products(integers sums, integers digits, integers weights) {
    return _mm512_dpbusd_epi32(sums, digits, weights);
}

#include "distances/code/dot_vnni.h"
#include "distances/code/dot_x86.h"

#define RHUMB__CODE_KERNELS(bits) rhumb__code_measure_##bits##_avx512_vnni

#include "distances/code/measure_body.h"
