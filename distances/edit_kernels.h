/* edit_kernels.h - the kernels of levenshtein and of custom metrics, which know no instruction sets. */
#ifndef RHUMB_DISTANCES_EDIT_KERNELS_H
#define RHUMB_DISTANCES_EDIT_KERNELS_H

#include "distances/dispatch.h"

/* Rows are a length (u32) and the elements; a length from a damaged file is taken as the largest there can be. */
extern const rhumb__kernels rhumb__levenshtein_u8;
extern const rhumb__kernels rhumb__levenshtein_u16;

/* Calls the function of the space. */
extern const rhumb__kernels rhumb__custom;

#endif /* RHUMB_DISTANCES_EDIT_KERNELS_H */
