/* encode_scalar.c - rows into codes and queries, in plain C; see encode_body.h. */
#define RHUMB__CODE_ENCODERS rhumb__code_encoders_scalar

#include "distances/code/encode_body.h"
