/* extreme.h - distances of f64 vectors whose sums leave the range of double; see extreme.c. */
#ifndef RHUMB_DISTANCES_EXTREME_H
#define RHUMB_DISTANCES_EXTREME_H

#include "distances/space.h"

/* Returns the raw distance of two f64 rows under l2sq, l2, ip or l1, summed in long double. FLT_MAX where the bytes
 * make no number. */
float rhumb__extreme_measure(const rhumb__space *space, const void *a, const void *b);

#endif /* RHUMB_DISTANCES_EXTREME_H */
