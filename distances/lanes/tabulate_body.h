/* tabulate_body.h - the table of a query, in operations on 16 floats. Included after floats16_*.h.
 *
 * A scan is to find <z, y> for the rotated query y and any code z. Let the bits u of one plane stand for z = u - 1/2. A
 * component adds |y_j| / 2 where u_j is y_j's sign, and takes |y_j| / 2 away where it is not:
 *
 *   <z, y> = (the sum of |y_j| over the components whose sign u_j has) - |y|_1 / 2
 *
 * The first sum is what the table has, four components an entry. The second is the bias. With two bits, z is u - 1/2
 * twice and v - 1/2 once: the sum counts thrice in all, and so does the bias.
 *
 * Entries are numbers of steps, the step being delta. The two entries that a byte of codes selects are to fit 8 bits
 * together, so that a scan adds them before it widens them, which saves a seventh of its time. 254 steps are therefore
 * the largest sum of sizes of eight components; rounding adds one at most.
 *
 * Entries begin at 0 in each group. Counting from the smallest entry of all groups, as is usual, needs about twice the
 * range. That pays for the bit that the pairs take: what is left of the step's error is less than with 8 bits for each
 * entry and one origin for all. It shows where queries are much longer than the distances to be estimated. With two
 * bits, the mean relative errors are 2.28, 2.48 and (exact sums) 2.01% if all components lie around 10 with a deviation
 * of 1; 1.393, 1.410 and 1.381% of images (Fashion-MNIST); equal for embeddings of words.
 */
#ifndef RHUMB_DISTANCES_LANES_TABULATE_BODY_H
#define RHUMB_DISTANCES_LANES_TABULATE_BODY_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "distances/lanes/kernels.h"

/* Below, the number of steps a unit might overflow. Squares of such numbers are 0 in f32. */
#define RANGE_MIN 0x1p-100f

/* In the range of two groups. */
#define STEPS 254.0f

static void tabulate(const rhumb__lane_space *space, const float *rotated, uint8_t *table, rhumb__lane_query *query) {
    const uint32_t dim = space->rotation.padded_dim;
    floats16 sizes = floats16_all(0.0f), ranges = sizes;
    for (uint32_t i = 0; i < dim; i += 16) {
        const floats16 size = floats16_size(floats16_load(rotated + i));
        sizes = floats16_add(sizes, size);
        ranges = floats16_larger(floats16_sums_of_eight(size), ranges);
    }
    const float size = floats16_sum(sizes), range = floats16_largest(ranges);
    query->delta = range / STEPS;
    query->bias = size * (space->bits == 1 ? -0.5f : -1.5f);
    if (!(size <= FLT_MAX && range >= RANGE_MIN)) {
        memset(table, 0, space->table_bytes);
        query->delta = 0.0f;
        query->bias = size < 1.0f ? 0.0f : INFINITY; /* and NaN */
        return;
    }
    const floats16 scale = floats16_all(STEPS / range);
    uint8_t *even = table, *odd = table + space->plane_bytes;
    for (uint32_t i = 0; i < dim; i += 16, even += 32, odd += 32) {
        floats16_store_entries(floats16_multiply(floats16_load(rotated + i), scale), even, odd);
    }
}

#endif /* RHUMB_DISTANCES_LANES_TABULATE_BODY_H */
