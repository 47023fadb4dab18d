/* sum_narrow_avx2.c - the kernels of narrow components in the lanes of AVX2; see sum_narrow_body.h. */
#include "distances/lanes_avx2.h"

#define RHUMB__SUM_NARROW(element, metric) rhumb__sum_narrow_##element##_##metric##_avx2
#define RHUMB__WIDE(metric) rhumb__sum_double_##metric##_avx2

#include "distances/sum_narrow_body.h"
