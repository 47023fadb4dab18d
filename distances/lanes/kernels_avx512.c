/* kernels_avx512.c - the kernels of lanes with AVX-512.
 *
 * The bodies say what they do; scans are in scan_avx512.c. No state, no locks, no failures.
 */
#include "distances/lanes/floats16_avx512.h"

#include "distances/lanes/encode_body.h"
#include "distances/lanes/kernels.h"
#include "distances/lanes/rotate_body.h"
#include "distances/lanes/tabulate_body.h"

const rhumb__lane_kernels rhumb__lane_kernels_avx512 = {
    rotate, encode, tabulate, {rhumb__lane_scan1_avx512, rhumb__lane_scan2_avx512}};
