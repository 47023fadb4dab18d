/* sum_double_avx2.c - the kernels that sum in double, for AVX2; see sum_double_body.h. */
#define RHUMB__SUM_DOUBLE(name) rhumb__sum_double_##name##_avx2
#include "distances/sum_double_body.h"
