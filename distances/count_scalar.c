/* count_scalar.c - the kernels that count, for the instruction set that every machine has; see count_body.h. */
#define RHUMB__COUNT(name) rhumb__count_##name##_scalar
#include "distances/count_body.h"
