/* encode_avx2.c - rows into codes and queries, compiled for AVX2; see encode_body.h. */
#define RHUMB__CODE_ENCODERS rhumb__code_encoders_avx2

#include "distances/code/encode_body.h"
