/* sum_narrow_avx512.c - the kernels of narrow components in the lanes of AVX-512; see sum_narrow_body.h. */
#include "distances/lanes_avx512.h"

#define RHUMB__SUM_NARROW(element, metric) rhumb__sum_narrow_##element##_##metric##_avx512
#define RHUMB__WIDE(metric) rhumb__sum_double_##metric##_avx512

#include "distances/sum_narrow_body.h"
