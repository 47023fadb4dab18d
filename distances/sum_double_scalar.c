/* sum_double_scalar.c - the kernels that sum in double, for the instruction set that every machine has; see
 * sum_double_body.h. */
#define RHUMB__SUM_DOUBLE(name) rhumb__sum_double_##name##_scalar
#include "distances/sum_double_body.h"
