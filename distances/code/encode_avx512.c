/* encode_avx512.c - rows into codes and queries, compiled for AVX-512; see encode_body.h. */
#define RHUMB__CODE_ENCODERS rhumb__code_encoders_avx512

#include "distances/code/encode_body.h"
