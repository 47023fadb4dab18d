/* rotate_body.h - rotation.h's rotation, in operations on 16 floats. Included after floats16_*.h. */
#ifndef RHUMB_DISTANCES_LANES_ROTATE_BODY_H
#define RHUMB_DISTANCES_LANES_ROTATE_BODY_H

#include "distances/lanes/kernels.h"

/* Steps 1 and 2 up to pairs at a distance of 8, which are in one register. The transformed part begins at `first`. */
RHUMB__INLINE void flip_and_begin(const rhumb__rotation *rotation, uint32_t round, uint32_t first, float *values) {
    const floats16 scale = floats16_all(rotation->transform_scale);
    const uint32_t limit = first + rotation->transform_dim;
    uint64_t signs = 0;
    for (uint32_t i = 0; i < rotation->padded_dim; i += 16, signs >>= 16) {
        if (i % 64 == 0) signs = rhumb__rotation_signs(rotation, round, i / 64);
        floats16 v = floats16_negate(floats16_load(values + i), (uint32_t)signs & 0xFFFFu);
        if (i >= first && i < limit) v = floats16_hadamard(floats16_multiply(v, scale));
        floats16_store(values + i, v);
    }
}

/* Pairs at a distance of h. */
RHUMB__INLINE void transform_pairs(float *values, uint32_t dim, uint32_t h) {
    for (uint32_t begin = 0; begin < dim; begin += 2 * h) {
        for (uint32_t i = begin; i < begin + h; i += 16) {
            const floats16 a = floats16_load(values + i), b = floats16_load(values + i + h);
            floats16_store(values + i, floats16_add(a, b));
            floats16_store(values + i + h, floats16_subtract(a, b));
        }
    }
}

/* Pairs at a distance of h, then those at 2 h: each value is loaded and stored once for both. */
RHUMB__INLINE void transform_pairs_twice(float *values, uint32_t dim, uint32_t h) {
    for (uint32_t begin = 0; begin < dim; begin += 4 * h) {
        for (uint32_t i = begin; i < begin + h; i += 16) {
            const floats16 a = floats16_load(values + i), b = floats16_load(values + i + h);
            const floats16 c = floats16_load(values + i + 2 * h), d = floats16_load(values + i + 3 * h);
            const floats16 sum_ab = floats16_add(a, b), difference_ab = floats16_subtract(a, b);
            const floats16 sum_cd = floats16_add(c, d), difference_cd = floats16_subtract(c, d);
            floats16_store(values + i, floats16_add(sum_ab, sum_cd));
            floats16_store(values + i + h, floats16_add(difference_ab, difference_cd));
            floats16_store(values + i + 2 * h, floats16_subtract(sum_ab, sum_cd));
            floats16_store(values + i + 3 * h, floats16_subtract(difference_ab, difference_cd));
        }
    }
}

RHUMB__INLINE void transform_rest(float *values, uint32_t dim) {
    uint32_t h = 16;
    for (; 2 * h < dim; h *= 4) transform_pairs_twice(values, dim, h);
    if (h < dim) transform_pairs(values, dim, h);
}

/* Step 3. Halves need not be multiples of 16 components; the compiler vectorises this as it likes. */
RHUMB__INLINE void mix_halves(float *restrict first, float *restrict second, uint32_t half, float scale) {
    for (uint32_t i = 0; i < half; i++) {
        const float a = first[i], b = second[i];
        first[i] = (a + b) * scale;
        second[i] = (a - b) * scale;
    }
}

static void rotate(const rhumb__rotation *rotation, float *values) {
    const uint32_t dim = rotation->padded_dim, transform_dim = rotation->transform_dim;
    for (uint32_t round = 0; round < RHUMB__ROTATION_ROUNDS; round++) {
        const uint32_t first = round % 2 == 0 ? 0 : dim - transform_dim;
        flip_and_begin(rotation, round, first, values);
        transform_rest(values + first, transform_dim);
        if (transform_dim < dim && round % 2 == 1)
            mix_halves(values, values + dim / 2, dim / 2, round == 1 ? 0.5f : 1.0f);
    }
}

#endif /* RHUMB_DISTANCES_LANES_ROTATE_BODY_H */
