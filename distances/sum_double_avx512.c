/* sum_double_avx512.c - the kernels that sum in double, for AVX-512; see sum_double_body.h. */
#define RHUMB_WIDE(name) rhumb__wide_##name##_avx512
#include "distances/sum_double_body.h"
