/* sum_double_scalar.c - the kernels that sum in double, for the instruction set that every machine has; see sum_double_body.h. */
#define RHUMB_WIDE(name) rhumb__wide_##name##_scalar
#include "distances/sum_double_body.h"
