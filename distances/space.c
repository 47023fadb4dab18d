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
#include "distances/raw.h"

/* Rounds up to `unit` where that wastes at most an eighth of the row. */
static bool stride_fits(uint32_t row_bytes, uint32_t unit, uint32_t *stride_bytes) {
    uint64_t rounded = rhumb__round_up(row_bytes, unit);
    *stride_bytes = (uint32_t)rounded;
    return (rounded - row_bytes) * 8 <= row_bytes;
}

uint32_t rhumb__stride_of(uint32_t row_bytes) {
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
    space->row_stride_bytes = rhumb__stride_of(space->row_bytes);
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
        .raw_form = rhumb__metric_raw_form(spec->metric, spec->element),
        .distance = kernels->distance,
        .distance_many = kernels->distance_many,
        .link = *rhumb__link_kernels_for(tier, spec->metric, spec->element),
        .custom_distance = spec->custom_distance,
        .custom_context = spec->custom_context,
    };
    set_layout(space);
    RHUMB_ASSERT_DEBUG(space->vector_bytes <= space->row_bytes && space->row_bytes <= space->row_stride_bytes);
    return RHUMB_OK;
}

float rhumb__space_finish(const rhumb__space *space, float raw_distance) {
    RHUMB_ASSERT_DEBUG(raw_distance == raw_distance); /* kernels never return NaN */
    const long double value = rhumb__raw_unpack(space->raw_form, raw_distance);
    if (value >= (long double)FLT_MAX) return FLT_MAX;
    return value <= -(long double)FLT_MAX ? -FLT_MAX : (float)value;
}

/* Floats are ordered as their bits are, those of negative ones backwards. */
static float float_of_order(int64_t order) {
    const uint32_t bits = order < 0 ? (uint32_t)-order | UINT32_C(0x80000000) : (uint32_t)order;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* By bisection over all floats, as finishing is monotone and rounds. */
float rhumb__space_raw(const rhumb__space *space, float distance) {
    const enum rhumb__raw_form form = space->raw_form;
    if (form == RHUMB__RAW_VALUE) return distance;
    const bool may_be_negative = form == RHUMB__RAW_DOT || form == RHUMB__RAW_WIDE_DOT;
    const int64_t largest = INT64_C(0x7F7FFFFF);
    int64_t within = may_be_negative ? -largest : 0, outside = largest + 1;
    if (rhumb__space_finish(space, float_of_order(within)) > distance) return -INFINITY;
    while (outside - within > 1) {
        const int64_t middle = within + (outside - within) / 2;
        if (rhumb__space_finish(space, float_of_order(middle)) <= distance) {
            within = middle;
        } else {
            outside = middle;
        }
    }
    return float_of_order(within);
}
