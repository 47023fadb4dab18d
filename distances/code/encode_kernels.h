/* encode_kernels.h - what turns rows into codes and queries, for each instruction set; see encode_body.h. */
#ifndef RHUMB_DISTANCES_CODE_ENCODE_KERNELS_H
#define RHUMB_DISTANCES_CODE_ENCODE_KERNELS_H

#include "distances/code/coder.h"

extern const rhumb__code_encoders rhumb__code_encoders_scalar, rhumb__code_encoders_avx2, rhumb__code_encoders_avx512;

#endif /* RHUMB_DISTANCES_CODE_ENCODE_KERNELS_H */
