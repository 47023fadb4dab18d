/* space.c - sets up a space, and translates between raw distances and a metric's own.
 *
 * A space is immutable once set up, so there are no locks. Fails only for invalid arguments.
 */
#include "distances/space.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/cpu.h"
#include "base/status.h"
#include "distances/element.h"
#include "distances/metric.h"

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

static rhumb_status check_spec(const rhumb__space_spec *spec) {
    const enum rhumb__domain domain = rhumb__metric_domain(spec->metric);
    const uint32_t dim_max = domain == RHUMB__DOMAIN_SEQUENCES ? RHUMB__SEQUENCE_LENGTH_MAX : RHUMB_DIM_MAX;
    if (rhumb__metric_name(spec->metric) == NULL)
        return rhumb__fail(RHUMB_E_INVALID, "metric %d does not exist", (int)spec->metric);
    if (rhumb__element_name(spec->element) == NULL)
        return rhumb__fail(RHUMB_E_INVALID, "element type %d does not exist", (int)spec->element);
    if (spec->dim < 1 || spec->dim > dim_max)
        return rhumb__fail(RHUMB_E_INVALID, "dim is %u, expected 1 to %u", (unsigned)spec->dim, dim_max);
    if (!rhumb__metric_supports(spec->metric, spec->element))
        return rhumb__fail(RHUMB_E_UNSUPPORTED, "metric %s does not measure vectors of %s",
                           rhumb__metric_name(spec->metric), rhumb__element_name(spec->element));
    if (spec->normalise && domain != RHUMB__DOMAIN_PROBABILITIES)
        return rhumb__fail(RHUMB_E_INVALID, "normalise is for metrics of probabilities, which %s is not",
                           rhumb__metric_name(spec->metric));
    if (spec->metric == RHUMB_METRIC_CUSTOM && spec->custom_distance == NULL)
        return rhumb__fail(RHUMB_E_METRIC, "a custom metric needs its function");
    return RHUMB_OK;
}

/* Lays a row out. Under cosine the inverse norm follows the components: an f32 after f32s, an f64 after all others. */
static void set_layout(rhumb__space *space) {
    space->vector_bytes = (uint32_t)(((uint64_t)space->dim * rhumb__element_bits(space->element) + 7) / 8);
    space->caller_bytes = space->vector_bytes;
    space->row_bytes = space->vector_bytes;
    if (space->of_sequences) {
        space->vector_bytes = space->row_bytes += (uint32_t)sizeof(uint32_t);
        space->caller_bytes = (uint32_t)sizeof(rhumb_sequence);
    } else if (space->metric == RHUMB_METRIC_COSINE) {
        const uint32_t norm_bytes = space->element == RHUMB_ELEMENT_F32 ? sizeof(float) : sizeof(double);
        space->norm_offset_bytes = (uint32_t)rhumb__round_up(space->vector_bytes, norm_bytes);
        space->row_bytes = space->norm_offset_bytes + norm_bytes;
    }
    space->row_stride_bytes = stride_of(space->row_bytes);
}

rhumb_status rhumb__space_init(rhumb__space *space, const rhumb__space_spec *spec) {
    const rhumb_status status = check_spec(spec);
    if (status != RHUMB_OK) return status;
    const rhumb__simd tier = rhumb__cpu_simd();
    const rhumb__kernels *kernels = rhumb__kernels_for(tier, spec->metric, spec->element);
    *space = (rhumb__space){
        .metric = spec->metric,
        .element = spec->element,
        .dim = spec->dim,
        .normalise = spec->normalise,
        .of_sequences = rhumb__metric_domain(spec->metric) == RHUMB__DOMAIN_SEQUENCES,
        .raw_is_square =
            spec->metric == RHUMB_METRIC_L2 && kernels == rhumb__kernels_for(tier, RHUMB_METRIC_L2SQ, spec->element),
        .distance = kernels->distance,
        .distance_many = kernels->distance_many,
        .custom_distance = spec->custom_distance,
        .custom_context = spec->custom_context,
    };
    set_layout(space);
    RHUMB_ASSERT_DEBUG(space->vector_bytes <= space->row_bytes && space->row_bytes <= space->row_stride_bytes);
    return RHUMB_OK;
}

float rhumb__space_finish(const rhumb__space *space, float raw_distance) {
    RHUMB_ASSERT_DEBUG(raw_distance == raw_distance); /* kernels never return NaN */
    return space->raw_is_square ? sqrtf(raw_distance) : raw_distance;
}

/* The float `steps` places above `value` (below, if `steps` is negative), for values from 0 up, where floats are
 * ordered as their bits are. */
static float step_float(float value, int steps) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (uint32_t)steps;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* For squares, the largest whose root is not above `distance`, so that "raw <= rhumb__space_raw(d)" and
 * "rhumb__space_finish(raw) <= d" are equivalent although both functions round. No square is below a negative distance,
 * and none is above a distance whose square f32 cannot hold. */
float rhumb__space_raw(const rhumb__space *space, float distance) {
    if (!space->raw_is_square || distance < 0.0f) return distance;
    double square = (double)distance * (double)distance;
    if (!(square < (double)FLT_MAX)) return FLT_MAX;
    float raw = (float)square;
    /* At most two or three steps: rounding the square moved it by half a place, and a root has half as many places. */
    while (raw > 0.0f && sqrtf(raw) > distance) raw = step_float(raw, -1);
    while (raw < FLT_MAX && sqrtf(step_float(raw, 1)) <= distance) raw = step_float(raw, 1);
    return raw;
}
