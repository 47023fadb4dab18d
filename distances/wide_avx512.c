/* wide_avx512.c - the kernels that sum in double, for AVX-512; see wide_body.h. */
#define RHUMB_WIDE(name) rhumb__wide_##name##_avx512
#include "distances/wide_body.h"
