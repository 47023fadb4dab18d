/* sum_double_avx2.c - the kernels that sum in double, for AVX2; see sum_double_body.h. */
#define RHUMB_WIDE(name) rhumb__wide_##name##_avx2
#include "distances/sum_double_body.h"
