/* kernels_scalar.c - the kernels of lanes in plain C, for machines without AVX2 and as the reference of the others.
 *
 * The bodies say what they do; scans are in scan_scalar.c. No state, no locks, no failures.
 */
#include "distances/lanes/floats16_scalar.h"

#include "distances/lanes/encode_body.h"
#include "distances/lanes/kernels.h"
#include "distances/lanes/rotate_body.h"
#include "distances/lanes/tabulate_body.h"

const rhumb__lane_kernels rhumb__lane_kernels_scalar = {
    rotate, encode, tabulate, {rhumb__lane_scan1_scalar, rhumb__lane_scan2_scalar}};
