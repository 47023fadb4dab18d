/* guard.h - which sums a fast kernel may return, and what becomes of the others.
 *
 * Kernels that sum in f32 are right where the sum is of an ordinary size. One that is NaN, infinite, very large, very
 * small or 0 may have lost terms, and the pair is measured again by the kernel that sums in double, whose result does
 * not. An exact 0 is common (equal vectors, sparse ones under ip) and is first looked at more closely.
 *
 * The same is done one step up: f64 sums that leave the range of double are taken again in long double (extreme.c).
 *
 * Everything is inlined into its caller, as in kernel.h.
 */
#ifndef RHUMB_DISTANCES_GUARD_H
#define RHUMB_DISTANCES_GUARD_H

#include <stdbool.h>

#include "distances/element.h"
#include "distances/kernel.h"
#include "distances/raw.h"

/* ---- zeros ---- */

/* Whether a component is so small that its product with another of its kind can be lost: under 2^-48 of floats with the
 * exponent of f32, under 2^-450 of f64. Not 0 itself. `limit` has the bits of that power. */
#define RHUMB__DEFINE_HAS_TINY(name, type, limit)                                                                      \
    RHUMB__INLINE bool name(const char *components, size_t dim) {                                                      \
        type smallest = (type)-1; /* of sizes without the sign, less 1, which makes 0 the largest */                   \
        for (size_t i = 0; i < dim; i++) {                                                                             \
            type bits;                                                                                                 \
            memcpy(&bits, components + i * sizeof bits, sizeof bits);                                                  \
            const type size = (type)((type)(bits << 1) - 1);                                                           \
            smallest = size < smallest ? size : smallest;                                                              \
        }                                                                                                              \
        return smallest < (type)(2 * (limit)-1);                                                                       \
    }

RHUMB__DEFINE_HAS_TINY(rhumb__has_tiny_bf16, uint16_t, 79 << 7)
RHUMB__DEFINE_HAS_TINY(rhumb__has_tiny_f32, uint32_t, UINT32_C(79) << 23)
RHUMB__DEFINE_HAS_TINY(rhumb__has_tiny_f64, uint64_t, UINT64_C(573) << 52)

RHUMB__INLINE bool rhumb__has_tiny(const rhumb__space *space, const void *row) {
    switch (space->element) {
    case RHUMB_ELEMENT_F32: return rhumb__has_tiny_f32(row, space->dim);
    case RHUMB_ELEMENT_F64: return rhumb__has_tiny_f64(row, space->dim);
    case RHUMB_ELEMENT_BF16: return rhumb__has_tiny_bf16(row, space->dim);
    default: return false;
    }
}

/* Whether a sum that came out as 0 is one, up to rounding. `a_has_tiny` is rhumb__has_tiny of `a`; used under ip only.
 * A sum of sizes loses nothing to underflow, as a difference of floats that are not equal is not 0. */
RHUMB__INLINE bool rhumb__is_zero(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b,
                                  bool a_has_tiny) {
    if (metric == RHUMB_METRIC_L1) return true;
    if (metric == RHUMB_METRIC_IP) return !a_has_tiny && !rhumb__has_tiny(space, b);
    return memcmp(a, b, space->vector_bytes) == 0;
}

/* ---- sums in f32 ---- */

/* False for NaN. */
RHUMB__INLINE bool rhumb__is_safe(float raw) {
    const uint32_t low = UINT32_C(31) << 23, high = UINT32_C(223) << 23; /* 2^-96 and 2^96 */
    uint32_t bits;
    memcpy(&bits, &raw, sizeof bits);
    return (bits & UINT32_C(0x7FFFFFFF)) - low <= high - low;
}

RHUMB__INLINE bool rhumb__are_safe(const float *distances, size_t count) {
    unsigned unsafe = 0;
    for (size_t i = 0; i < count; i++) unsafe |= !rhumb__is_safe(distances[i]);
    return unsafe == 0;
}

/* The raw distance of a pair whose sum is not safe; `wide` has the kernels of the metric that sum in double. */
RHUMB__INLINE float rhumb__measure_again(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b,
                                         float raw, bool a_has_tiny, const rhumb__kernels *wide) {
    if (raw == 0.0f && rhumb__is_zero(space, metric, a, b, a_has_tiny)) return 0.0f;
    return wide->distance(space, a, b);
}

/* `raw` where it is safe, else what the above makes of it. */
RHUMB__INLINE float rhumb__guarded(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b,
                                   float raw, const rhumb__kernels *wide) {
    if (__builtin_expect(rhumb__is_safe(raw), 1)) return raw;
    const bool a_has_tiny = metric == RHUMB_METRIC_IP && raw == 0.0f && rhumb__has_tiny(space, a);
    return rhumb__measure_again(space, metric, a, b, raw, a_has_tiny, wide);
}

#endif /* RHUMB_DISTANCES_GUARD_H */
