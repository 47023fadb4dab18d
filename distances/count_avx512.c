/* count_avx512.c - the kernels that count, for AVX-512; see count_body.h. */
#define RHUMB__COUNT(name) rhumb__count_##name##_avx512
#include "distances/count_body.h"
