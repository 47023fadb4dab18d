/* sum_double_avx512.c - the kernels that sum in double, for AVX-512; see sum_double_body.h. */
#define RHUMB__SUM_DOUBLE(name) rhumb__sum_double_##name##_avx512
#include "distances/sum_double_body.h"
