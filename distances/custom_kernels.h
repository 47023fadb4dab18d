/* custom_kernels.h - the kernels of custom metrics; see custom.c. */
#ifndef RHUMB_DISTANCES_CUSTOM_KERNELS_H
#define RHUMB_DISTANCES_CUSTOM_KERNELS_H

#include "distances/space.h"

/* Calls the function of the space. */
extern const rhumb__kernels rhumb__custom;

#endif /* RHUMB_DISTANCES_CUSTOM_KERNELS_H */
