/* count_avx2.c - the kernels that count, for AVX2; see count_body.h. */
#define RHUMB__COUNT(name) rhumb__count_##name##_avx2
#include "distances/count_body.h"
