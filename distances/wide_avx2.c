/* wide_avx2.c - the kernels that sum in double, for AVX2; see wide_body.h. */
#define RHUMB_WIDE(name) rhumb__wide_##name##_avx2
#include "distances/wide_body.h"
