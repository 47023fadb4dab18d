/* measure_four.h - numbers of four codes, in the form that compilers turn into whatever vectors there are.
 *
 * Passed by address, as not all instruction sets have registers for them.
 */
#ifndef RHUMB_DISTANCES_CODE_MEASURE_FOUR_H
#define RHUMB_DISTANCES_CODE_MEASURE_FOUR_H

#include <stdint.h>

enum { RHUMB__CODES_AT_ONCE = 4 };

typedef double doubles_of_four __attribute__((vector_size(RHUMB__CODES_AT_ONCE * sizeof(double))));
typedef float floats_of_four __attribute__((vector_size(RHUMB__CODES_AT_ONCE * sizeof(float))));
typedef uint32_t uints_of_four __attribute__((vector_size(RHUMB__CODES_AT_ONCE * sizeof(uint32_t))));

/* Their constants, as doubles. */
struct constants_of_four {
    doubles_of_four origin, step, sum, squares;
};

#endif /* RHUMB_DISTANCES_CODE_MEASURE_FOUR_H */
