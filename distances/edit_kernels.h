/* edit_kernels.h - the kernels of edit distances, the same for every instruction set; see edit.c. */
#ifndef RHUMB_DISTANCES_EDIT_KERNELS_H
#define RHUMB_DISTANCES_EDIT_KERNELS_H

#include "distances/space.h"

/* Rows are a length (u32) and the elements. A length above the space's dim, which only a damaged file has, is taken as
 * dim. */
extern const rhumb__kernels rhumb__edit_u8;
extern const rhumb__kernels rhumb__edit_u16;

#endif /* RHUMB_DISTANCES_EDIT_KERNELS_H */
