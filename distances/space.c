/* space.c - sets up a space, prepares the rows that live in it, and translates between raw distances and a metric's
 * own.
 *
 * Owns the layout of a row: the components, and under cosine one float behind them, the inverse of the vector's
 * Euclidean norm. A space is immutable once set up, so there is nothing to lock. Failures are those of arguments
 * (rhumb__space_init) and of components that are not finite (rhumb__space_prepare).
 */
#include "distances/space.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/bits.h"
#include "base/cpu.h"
#include "base/status.h"
#include "distances/dispatch.h"

#define F32_EXPONENT_BITS UINT32_C(0x7F800000)

enum { FLOATS_PER_CHECK = 16 };

/* Rounds up to `unit` where that wastes at most an eighth of the row. */
static bool stride_fits(uint32_t row_bytes, uint32_t unit, uint32_t *stride_bytes) {
    uint64_t rounded = rhumb__round_up(row_bytes, unit);
    *stride_bytes = (uint32_t)rounded;
    return (rounded - row_bytes) * 8 <= row_bytes;
}

/* 64 lets a row begin with a cache line, 16 keeps it from straddling more lines than it must, 4 suffices. */
static uint32_t stride_of(uint32_t row_bytes) {
    uint32_t stride_bytes;
    if (!stride_fits(row_bytes, 64, &stride_bytes) && !stride_fits(row_bytes, 16, &stride_bytes)) {
        stride_bytes = (uint32_t)rhumb__round_up(row_bytes, 4);
    }
    return stride_bytes;
}

rhumb_status rhumb__space_init(rhumb__space *space, rhumb_metric metric, rhumb_element element, uint32_t dim) {
    if (rhumb__metric_name(metric) == NULL)
        return rhumb__fail(RHUMB_E_INVALID, "metric %d does not exist", (int)metric);
    if (rhumb__element_name(element) == NULL)
        return rhumb__fail(RHUMB_E_INVALID, "element type %d does not exist", (int)element);
    if (dim < 1 || dim > RHUMB_DIM_MAX)
        return rhumb__fail(RHUMB_E_INVALID, "dim is %u, expected 1 to %u", (unsigned)dim, RHUMB_DIM_MAX);
    const rhumb__kernels *kernels = rhumb__kernels_for(rhumb__cpu_simd(), metric, element);
    if (kernels == NULL)
        return rhumb__fail(RHUMB_E_UNSUPPORTED, "metric %s does not measure vectors of %s", rhumb__metric_name(metric),
                           rhumb__element_name(element));

    uint32_t vector_bytes = dim * (uint32_t)sizeof(float);
    uint32_t row_bytes = vector_bytes + (metric == RHUMB_METRIC_COSINE ? (uint32_t)sizeof(float) : 0);
    *space = (rhumb__space){
        .metric = metric,
        .element = element,
        .dim = dim,
        .vector_bytes = vector_bytes,
        .row_bytes = row_bytes,
        .row_stride_bytes = stride_of(row_bytes),
        .distance = kernels->distance,
        .distance_many = kernels->distance_many,
    };
    return RHUMB_OK;
}

static bool is_finite(float component) {
    uint32_t bits;
    memcpy(&bits, &component, sizeof bits);
    return (bits & F32_EXPONENT_BITS) != F32_EXPONENT_BITS;
}

/* The index of the first component that is NaN or infinite, or `dim`. Looks at exponents as integers, a fixed number at
 * a time and without leaving early among them, which compilers turn into vector code. */
static uint32_t first_not_finite(const float *components, uint32_t dim) {
    uint32_t i = 0;
    for (; i + FLOATS_PER_CHECK <= dim; i += FLOATS_PER_CHECK) {
        uint32_t bits[FLOATS_PER_CHECK];
        uint32_t bad = 0;
        memcpy(bits, components + i, sizeof bits);
        for (int j = 0; j < FLOATS_PER_CHECK; j++) bad |= (bits[j] & F32_EXPONENT_BITS) == F32_EXPONENT_BITS;
        if (bad != 0) break;
    }
    while (i < dim && is_finite(components[i])) i++;
    return i;
}

/* 1/|v|, 0 for a zero vector. The squares are summed in double, which neither overflows nor underflows for any f32. The
 * smallest norms have an inverse that f32 cannot hold; it becomes FLT_MAX. Kernels trust no inverse of that size. */
static float inverse_norm(const float *components, uint32_t dim) {
    double sums[4] = {0.0, 0.0, 0.0, 0.0};
    uint32_t i = 0;
    for (; i + 4 <= dim; i += 4) {
        for (uint32_t lane = 0; lane < 4; lane++) {
            sums[lane] += (double)components[i + lane] * (double)components[i + lane];
        }
    }
    for (; i < dim; i++) sums[0] += (double)components[i] * (double)components[i];
    double squares = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    if (squares == 0.0) return 0.0f;
    double inverse = 1.0 / sqrt(squares);
    return inverse < (double)FLT_MAX ? (float)inverse : FLT_MAX;
}

rhumb_status rhumb__space_prepare(const rhumb__space *space, const void *vector, void *row) {
    float *components = row;
    memcpy(components, vector, space->vector_bytes);
    uint32_t bad = first_not_finite(components, space->dim);
    if (bad < space->dim) {
        const char *what = isnan(components[bad]) ? "NaN" : components[bad] > 0.0f ? "infinity" : "-infinity";
        return rhumb__fail(RHUMB_E_NOT_FINITE, "component %u of %u is %s, expected a finite number", (unsigned)bad,
                           (unsigned)space->dim, what);
    }
    if (space->metric == RHUMB_METRIC_COSINE) components[space->dim] = inverse_norm(components, space->dim);
    return RHUMB_OK;
}

float rhumb__space_finish(const rhumb__space *space, float raw_distance) {
    return space->metric == RHUMB_METRIC_L2 ? sqrtf(raw_distance) : raw_distance;
}

/* The float that is `steps` places above `value` (below, if negative), for values from 0 up: there floats are ordered
 * as their bits are. */
static float step_float(float value, int steps) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (uint32_t)steps;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* For l2 the largest square whose root is not above `distance`, so that "raw <= rhumb__space_raw(d)" and
 * "rhumb__space_finish(raw) <= d" say the same although both roundings lose bits. No square is below a negative
 * distance, nor above one whose square f32 cannot hold. */
float rhumb__space_raw(const rhumb__space *space, float distance) {
    if (space->metric != RHUMB_METRIC_L2 || distance < 0.0f) return distance;
    double square = (double)distance * (double)distance;
    if (!(square < (double)FLT_MAX)) return FLT_MAX;
    float raw = (float)square;
    /* Two or three steps at most: rounding the square moved it by half a place, and a root has half as many places. */
    while (raw > 0.0f && sqrtf(raw) > distance) raw = step_float(raw, -1);
    while (raw < FLT_MAX && sqrtf(step_float(raw, 1)) <= distance) raw = step_float(raw, 1);
    return raw;
}
