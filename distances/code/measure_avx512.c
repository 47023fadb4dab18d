/* measure_avx512.c - codes measured with AVX-512 (F, BW, DQ, VL); see measure_body.h and dot_widening.h. */
#include "distances/code/code_lanes_avx512.h"
#include "distances/code/dot_widening.h"
#include "distances/code/dot_x86.h"

#define RHUMB__CODE_KERNELS(bits) rhumb__code_measure_##bits##_avx512

#include "distances/code/measure_body.h"
