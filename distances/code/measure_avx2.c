/* measure_avx2.c - codes measured with AVX2; see measure_body.h and dot_widening.h. */
#include "distances/code/code_lanes_avx2.h"
#include "distances/code/dot_widening.h"
#include "distances/code/dot_x86.h"

#define RHUMB__CODE_KERNELS(bits) rhumb__code_measure_##bits##_avx2

#include "distances/code/measure_body.h"
