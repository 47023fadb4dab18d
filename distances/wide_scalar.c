/* wide_scalar.c - the kernels that sum in double, for the instruction set that every machine has; see wide_body.h. */
#define RHUMB_WIDE(name) rhumb__wide_##name##_scalar
#include "distances/wide_body.h"
