/* link.c - linking distances under ip that plain sums cannot give, see link_kernels.h.
 *
 * The components of both vectors are divided by the largest of all, so that no square overflows and no sum that matters
 * underflows; as s is of the first degree, it is multiplied by that component in the end. The same code for every
 * instruction set, and the same bits.
 *
 * No state, no locks, no failures.
 */
#include "distances/element.h"
#include "distances/link_kernels.h"

static double largest_component(const rhumb__space *space, const void *row) {
    double values[RHUMB__BLOCK], largest = 0.0;
    for (uint32_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const uint32_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        rhumb__element_load(space->element, row, first, count, values);
        for (uint32_t i = 0; i < count; i++) {
            const double size = fabs(values[i]);
            largest = size > largest ? size : largest;
        }
    }
    return largest;
}

float rhumb__link_ip_extreme(const rhumb__space *space, const void *a, const void *b) {
    const double largest_a = largest_component(space, a), largest_b = largest_component(space, b);
    const double largest = largest_a > largest_b ? largest_a : largest_b;
    double x[RHUMB__BLOCK], y[RHUMB__BLOCK];
    rhumb__link_sums sums = {0.0, 0.0, 0.0};
    if (largest == 0.0) return 0.0f;
    for (uint32_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const uint32_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        rhumb__element_load(space->element, a, first, count, x);
        rhumb__element_load(space->element, b, first, count, y);
        for (uint32_t i = 0; i < count; i++) {
            const double p = x[i] / largest, q = y[i] / largest;
            sums.dot += p * q;
            sums.square_a += p * p;
            sums.square_b += q * q;
        }
    }
    return rhumb__link_raw(rhumb__link_ip_of(sums) * largest);
}
