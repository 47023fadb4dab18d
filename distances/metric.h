/* metric.h - the metrics: one table of their names, of the vectors that they are defined for, and of the kernels that
 * measure each element type.
 *
 * Filled at compile time; all of it is immutable and may be read by any thread. Cannot fail.
 */
#ifndef RHUMB_DISTANCES_METRIC_H
#define RHUMB_DISTANCES_METRIC_H

#include <stdbool.h>

#include "base/cpu.h"
#include "distances/space.h"
#include "include/rhumb_types.h"

enum rhumb__domain {
    RHUMB__DOMAIN_ALL,           /* any finite numbers */
    RHUMB__DOMAIN_NOT_NEGATIVE,  /* numbers from 0 up */
    RHUMB__DOMAIN_PROBABILITIES, /* numbers from 0 up that sum to 1 */
    RHUMB__DOMAIN_SEQUENCES      /* sequences of up to dim elements */
};

/* The largest dim of a metric between sequences; of all others it is RHUMB_DIM_MAX. */
#define RHUMB__SEQUENCE_LENGTH_MAX 16384u

/* The vectors of a metric; RHUMB__DOMAIN_ALL for a number that is not a metric. */
enum rhumb__domain rhumb__metric_domain(rhumb_metric metric);

/* Whether there are kernels for vectors of `element` under `metric`. False for numbers that name nothing. */
bool rhumb__metric_supports(rhumb_metric metric, rhumb_element element);

/* "l2sq", "cosine"...; NULL for a number that is not a metric. */
const char *rhumb__metric_name(rhumb_metric metric);

/* The inverse; 0 for a text that is not a name. Accepts "euclidean" for l2, "angular" for cosine, "dot" for ip and
 * "manhattan" for l1 as well, the names that ann-benchmarks and hnsw_rs use. */
rhumb_metric rhumb__metric_from_name(const char *name);

/* The kernels of `tier` for vectors of `element` under `metric`; those of the best lower tier where this build has none
 * for `tier` itself. NULL when the metric does not measure the element type. Does not check the processor: calling
 * the kernels is safe only where rhumb__cpu_simd_best() is at least `tier`. */
const rhumb__kernels *rhumb__kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element);

/* What the raw distances of these kernels are, whatever the tier. */
enum rhumb__raw_form rhumb__metric_raw_form(rhumb_metric metric, rhumb_element element);

/* The kernels by which nodes are linked, likewise: those of the metric itself, except under ip (link_kernels.h). */
const rhumb__kernels *rhumb__link_kernels_for(rhumb__simd tier, rhumb_metric metric, rhumb_element element);

#endif /* RHUMB_DISTANCES_METRIC_H */
