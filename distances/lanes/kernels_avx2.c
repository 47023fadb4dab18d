/* kernels_avx2.c - the kernels of lanes with AVX2.
 *
 * The bodies say what they do; scans are in scan_avx2.c. No state, no locks, no failures.
 */
#include "distances/lanes/floats16_avx2.h"

#include "distances/lanes/encode_body.h"
#include "distances/lanes/kernels.h"
#include "distances/lanes/rotate_body.h"
#include "distances/lanes/tabulate_body.h"

const rhumb__lane_kernels rhumb__lane_kernels_avx2 = {
    rotate, encode, tabulate, {rhumb__lane_scan1_avx2, rhumb__lane_scan2_avx2}};
