/* kernel.h - what kernels of all families share: how a sum becomes a raw distance, and the form for many rows.
 *
 * Everything is inlined into its caller, so that the linker cannot pick a function that was compiled for a newer
 * processor than the one that runs it.
 */
#ifndef RHUMB_DISTANCES_KERNEL_H
#define RHUMB_DISTANCES_KERNEL_H

#include <float.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/inline.h"
#include "distances/space.h"

/* Bytes of a coming row that are prefetched; the processor's own prefetching continues from there. */
enum { RHUMB__PREFETCH_BYTES = 512, RHUMB__LINE_BYTES = 64 };

/* The comparisons are false for a NaN, which therefore becomes `high`. */
RHUMB__INLINE float rhumb__clamp(double value, float low, float high) {
    if (!(value <= (double)high)) return high;
    return value >= (double)low ? (float)value : low;
}

/* The inverse norm after the components of a row whose element type is not f32. */
RHUMB__INLINE double rhumb__inverse_norm(const rhumb__space *space, const void *row) {
    double inverse;
    memcpy(&inverse, (const char *)row + space->norm_offset_bytes, sizeof inverse);
    return inverse;
}

RHUMB__INLINE void rhumb__prefetch_row(const rhumb__space *space, const void *row) {
    size_t bytes = space->row_bytes < RHUMB__PREFETCH_BYTES ? space->row_bytes : RHUMB__PREFETCH_BYTES;
    for (size_t offset = 0; offset < bytes; offset += RHUMB__LINE_BYTES) __builtin_prefetch((const char *)row + offset);
}

/* Defines the kernels `symbol` from the function `measure` for two rows. A row is prefetched while the two before it
 * are measured. */
#define RHUMB__DEFINE_KERNELS(symbol, measure)                                                                         \
    static void measure##_many(const rhumb__space *space, const void *query, const void *const *rows, size_t count,    \
                               float *distances) {                                                                     \
        RHUMB_ASSERT_DEBUG(count == 0 || (query != NULL && rows != NULL));                                             \
        if (count > 1) rhumb__prefetch_row(space, rows[1]);                                                            \
        for (size_t i = 0; i < count; i++) {                                                                           \
            if (i + 2 < count) rhumb__prefetch_row(space, rows[i + 2]);                                                \
            distances[i] = measure(space, query, rows[i]);                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    const rhumb__kernels symbol = {measure, measure##_many};

#endif /* RHUMB_DISTANCES_KERNEL_H */
