/* dispatch.h - which kernels measure for a metric, an element type and an instruction set.
 *
 * One table, filled at compile time; all of it is immutable and may be read by any thread.
 */
#ifndef RHUMB_DISTANCES_DISPATCH_H
#define RHUMB_DISTANCES_DISPATCH_H

#include "base/cpu.h"
#include "distances/space.h"
#include "include/rhumb_types.h"

/* The two forms of one kernel. They share their summation order, so they agree bit for bit. */
typedef struct rhumb__kernels {
    rhumb__distance_fn distance;
    rhumb__distance_many_fn distance_many;
} rhumb__kernels;

/* The kernels of `tier` for vectors of `element` under `metric`; those of the best lower tier where this build has none
 * for `tier` itself. NULL when the metric does not measure the element type. Does not check the processor: calling
 * the kernels is safe only where rhumb__cpu_simd_best() is at least `tier`. */
const rhumb__kernels *rhumb__kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element);

#endif /* RHUMB_DISTANCES_DISPATCH_H */
