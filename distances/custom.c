/* custom.c - the kernels of a custom metric: calls of the caller's function, whose results are clamped so that they
 * sort.
 *
 * The function sees the components of a row alone, at the row's alignment. No state, no locks, no failures.
 */
#include "distances/custom_kernels.h"
#include "distances/kernel.h"

static float custom(const rhumb__space *space, const void *a, const void *b) {
    return rhumb__clamp((double)space->custom_distance(a, b, space->dim, space->custom_context), -FLT_MAX, FLT_MAX);
}

RHUMB__DEFINE_KERNELS(rhumb__custom, custom)
