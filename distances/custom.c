/* custom.c - the kernels of a custom metric: calls of the caller's function, whose answers are made to sort.
 *
 * What follows a row's components and the row's alignment are the space's; the function sees the components alone. No
 * state, no locks, no failures.
 */
#include "distances/edit_kernels.h"
#include "distances/kernel.h"

static float custom(const rhumb__space *space, const void *a, const void *b) {
    return rhumb__clamp((double)space->custom_distance(a, b, space->dim, space->custom_context), -FLT_MAX, FLT_MAX);
}

RHUMB_DEFINE_KERNELS(rhumb__custom, custom)
