/* encode_body.h - how components become digits and weights (code.h), for every element type and both widths.
 *
 * encode_scalar.c, encode_avx2.c and encode_avx512.c each include this file, after naming its functions with
 * RHUMB__CODE_ENCODERS; they differ only in the instructions that the compiler may use. Components are numbered in
 * loops of a fixed length without branches, so that compilers vectorise them. Nothing is fused and all sums are of
 * integers, so all three give the same bits.
 *
 * A component of a vector whose largest is beyond 2^400 or below 2^-400 is first multiplied by a power of two, so that
 * neither differences nor squares leave the range of a double. Numbers of the type f64 alone can be of that size.
 *
 * No state, no locks, no failures.
 */
#include <float.h>
#include <math.h>

#include "base/assert.h"
#include "distances/code/code.h"
#include "distances/code/encode_kernels.h"
#include "distances/element.h"

/* The sizes of a largest component between which nothing is scaled, and the power of two for those outside. */
#define UNSCALED_MIN 0x1p-400
#define UNSCALED_MAX 0x1p400
#define SCALE 0x1p600

/* The ranges of f32 vectors between which neither differences nor the inverse of a step leave f32. */
#define IN_F32_MIN 0x1p-100
#define IN_F32_MAX 0x1p100

/* The least and the greatest component, and whether all are finite. */
struct range {
    double low, high;
    bool is_finite;
};

/* What numbers mean: component = origin + step * number, with numbers from -centre to top - centre; and how they are
 * assigned. Those behind the scale are in units of it. */
struct grid {
    int centre, top;
    double origin, step;
    double scale, low, scaled_origin, scaled_step, inverse_step;
    bool in_f32; /* whether f32 will do */
};

/* What the numbers of all components add up to. */
struct totals {
    int64_t sum, squares;
};

/* ---- components ---- */

/* Floats of any width are ordered as their bits are, read as a signed integer, if those behind the sign of negative
 * ones are inverted. So the least and the greatest are found among integers, which compilers vectorise, and infinities
 * and NaN are beyond all others. Doing it twice gives the bits again. */
#define DEFINE_RANGE(bits)                                                                                             \
    RHUMB__INLINE int##bits##_t order_##bits(int##bits##_t component) {                                                \
        return (int##bits##_t)(component ^ (component < 0 ? INT##bits##_MAX : 0));                                     \
    }                                                                                                                  \
    static bool range_##bits(const char *row, size_t dim, int##bits##_t exponent_mask, void *low_out,                  \
                             void *high_out) {                                                                         \
        int##bits##_t low = INT##bits##_MAX, high = INT##bits##_MIN;                                                   \
        for (size_t i = 0; i < dim; i++) {                                                                             \
            int##bits##_t component;                                                                                   \
            memcpy(&component, row + i * sizeof component, sizeof component);                                          \
            const int##bits##_t order = order_##bits(component);                                                       \
            low = order < low ? order : low;                                                                           \
            high = order > high ? order : high;                                                                        \
        }                                                                                                              \
        const bool is_finite = low > -exponent_mask - 1 && high < exponent_mask;                                       \
        low = order_##bits(low);                                                                                       \
        high = order_##bits(high);                                                                                     \
        memcpy(low_out, &low, sizeof low);                                                                             \
        memcpy(high_out, &high, sizeof high);                                                                          \
        return is_finite;                                                                                              \
    }

DEFINE_RANGE(16)
DEFINE_RANGE(32)
DEFINE_RANGE(64)

/* Loads `count` components, 1 to RHUMB__BLOCK, and zeros after them. */
static __attribute__((noinline)) void load_block(rhumb_element element, const void *row, uint32_t first, uint32_t count,
                                                 double *values) {
    rhumb__element_load(element, row, first, count, values);
}

static struct range range_of(const rhumb__coder *coder, const void *row) {
    const struct rhumb__element_info *info = coder->element_info;
    uint64_t ends[2] = {0, 0};
    void *low = ends, *high = (char *)ends + info->bits / 8;
    bool is_finite;
    switch (info->bits) {
    case 16: is_finite = range_16(row, coder->dim, (int16_t)info->exponent_mask, low, high); break;
    case 32: is_finite = range_32(row, coder->dim, (int32_t)info->exponent_mask, low, high); break;
    default: is_finite = range_64(row, coder->dim, (int64_t)info->exponent_mask, low, high); break;
    }
    double values[RHUMB__BLOCK];
    load_block(coder->element, ends, 0, 2, values);
    /* Adding 0 takes the sign from a zero. */
    return (struct range){.low = values[0] + 0.0, .high = values[1] + 0.0, .is_finite = is_finite};
}

/* ---- numbers ---- */

static double scale_for(struct range range) {
    const double largest = -range.low > range.high ? -range.low : range.high;
    if (largest > UNSCALED_MAX) return 1.0 / SCALE;
    return largest < UNSCALED_MIN ? SCALE : 1.0;
}

/* A step that is subnormal is rounded up, so that numbers still reach the greatest component. The origin is found from
 * the step that results, as both and the least component are then multiples of the smallest double, and exact. */
static struct grid grid_of(const rhumb__coder *coder, struct range range, int centre, int top) {
    const double scale = scale_for(range), low = range.low * scale, high = range.high * scale;
    const double step = (high - low) / (double)top;
    struct grid grid = {.centre = centre, .top = top, .scale = scale, .low = low, .step = step / scale};
    if (grid.step * scale < step) grid.step += DBL_TRUE_MIN;
    grid.scaled_step = grid.step * scale;
    grid.origin = (low + (double)centre * grid.scaled_step) / scale;
    grid.scaled_origin = grid.origin * scale;
    grid.inverse_step = grid.step > 0.0 ? 1.0 / grid.scaled_step : 0.0;
    grid.in_f32 = coder->element == RHUMB_ELEMENT_F32 && high - low >= IN_F32_MIN && high - low <= IN_F32_MAX;
    return grid;
}

/* Rounds to the nearest number, which is at least -centre, as nothing is below the least component. */
RHUMB__INLINE void number_block(const rhumb__coder *coder, const void *row, uint32_t first, uint32_t count,
                                const struct grid *grid, int32_t *numbers) {
    const double scale = grid->scale, low = grid->low, inverse_step = grid->inverse_step, top = (double)grid->top;
    const int centre = grid->centre;
    double values[RHUMB__BLOCK];
    load_block(coder->element, row, first, count, values);
    for (uint32_t i = count; i < RHUMB__BLOCK; i++) values[i] = values[0];
    for (int i = 0; i < RHUMB__BLOCK; i++) {
        const double place = (values[i] * scale - low) * inverse_step + 0.5;
        numbers[i] = (int32_t)(place < top ? place : top) - centre;
    }
}

/* The same for a block of RHUMB__CODE_BLOCK components of f32. The difference from the least component is right to
 * 2^-24 of the range, and so the place to a few of these, far less than a step. */
RHUMB__INLINE void number_f32_block(const float *components, const struct grid *grid, int32_t *numbers) {
    const float low = (float)grid->low, inverse_step = (float)grid->inverse_step, top = (float)grid->top;
    const int centre = grid->centre;
    for (int i = 0; i < RHUMB__CODE_BLOCK; i++) {
        const float place = (components[i] - low) * inverse_step + 0.5f;
        numbers[i] = (int32_t)(place < top ? place : top) - centre;
    }
}

/* Numbers the components of a row from `first` on, RHUMB__CODE_BLOCK of them or as many as there are, and zeros after
 * them. Returns how many there are. */
static uint32_t number_components(const rhumb__coder *coder, const void *row, uint32_t first, const struct grid *grid,
                                  int32_t *numbers, struct totals *totals) {
    const uint32_t left = coder->dim - first, count = left < RHUMB__CODE_BLOCK ? left : RHUMB__CODE_BLOCK;
    if (grid->in_f32) {
        float components[RHUMB__CODE_BLOCK];
        memcpy(components, (const char *)row + first * sizeof(float), count * sizeof(float));
        for (uint32_t i = count; i < RHUMB__CODE_BLOCK; i++) components[i] = components[0];
        number_f32_block(components, grid, numbers);
    }
    for (uint32_t done = 0; !grid->in_f32 && done < count; done += RHUMB__BLOCK) {
        const uint32_t rest = count - done;
        number_block(coder, row, first + done, rest < RHUMB__BLOCK ? rest : RHUMB__BLOCK, grid, numbers + done);
    }
    for (uint32_t i = count; i < RHUMB__CODE_BLOCK; i++) numbers[i] = 0;
    int32_t sum = 0, squares = 0;
    for (int i = 0; i < RHUMB__CODE_BLOCK; i++) {
        sum += numbers[i];
        squares += numbers[i] * numbers[i];
    }
    totals->sum += sum;
    totals->squares += squares;
    return count;
}

/* What the decoded origin and step are divided by: the length of the decoded vector under cosine, else 1. The ratio
 * of a vector of zeros to its length is 0. */
static void normalise(const rhumb__coder *coder, struct totals totals, struct grid *grid) {
    if (coder->metric != RHUMB_METRIC_COSINE) return;
    const double origin = grid->scaled_origin, step = grid->scaled_step;
    const double length = sqrt((double)coder->dim * (origin * origin) + 2.0 * (origin * step) * (double)totals.sum +
                               step * step * (double)totals.squares);
    grid->origin = length > 0.0 ? origin / length : 0.0;
    grid->step = length > 0.0 ? step / length : 0.0;
}

/* ---- codes ---- */

/* Returns where the next digits go. */
RHUMB__INLINE uint8_t *write_digits(uint32_t bits, const int32_t *numbers, uint32_t count, uint8_t *digits) {
    const uint32_t bytes = rhumb__code_digits_bytes(bits, count);
    const int centre = rhumb__code_centre(bits);
    for (uint32_t i = 0; i < bytes; i++) {
        const int low = numbers[i] + centre;
        const int high = bits == 4 && i + bytes < count ? numbers[i + bytes] + centre : 0;
        digits[i] = (uint8_t)(low | high << 4);
    }
    return digits + bytes;
}

static void encode(const rhumb__coder *coder, const void *row, void *code) {
    const int centre = rhumb__code_centre(coder->bits);
    const struct range range = range_of(coder, row);
    rhumb__code_constants constants = {.origin = NAN, .step = NAN};
    memset(code, 0, coder->constants_offset_bytes);
    if (range.is_finite) {
        struct grid grid = grid_of(coder, range, centre, 2 * centre - 1);
        struct totals totals = {0, 0};
        uint8_t *digits = code;
        for (uint32_t first = 0; first < coder->dim; first += RHUMB__CODE_BLOCK) {
            int32_t numbers[RHUMB__CODE_BLOCK];
            const uint32_t count = number_components(coder, row, first, &grid, numbers, &totals);
            digits =
                coder->bits == 8 ? write_digits(8, numbers, count, digits) : write_digits(4, numbers, count, digits);
        }
        RHUMB_ASSERT_DEBUG(digits == (uint8_t *)code + coder->digits_bytes);
        normalise(coder, totals, &grid);
        constants = (rhumb__code_constants){grid.origin, grid.step, (int32_t)totals.sum, (int32_t)totals.squares};
    }
    memcpy((char *)code + coder->constants_offset_bytes, &constants, sizeof constants);
}

/* ---- queries ---- */

/* Writes the weights of one block of components. */
static void write_weights_of_8(const int32_t *numbers, int16_t *shorts, int8_t *bytes) {
    for (int i = 0; i < RHUMB__CODE_BLOCK; i++) shorts[i] = (int16_t)numbers[i];
    for (int half = 0; half < RHUMB__CODE_BLOCK; half += RHUMB__CODE_HALF_BLOCK) {
        for (int i = 0; i < RHUMB__CODE_HALF_BLOCK; i++) {
            /* Rounded to the nearest, as a number that is not negative, whose division is a shift. */
            const int weight = numbers[half + i], offset = 64 * RHUMB__CODE_WEIGHT_PART + RHUMB__CODE_WEIGHT_PART / 2;
            const int high = (weight + offset) / RHUMB__CODE_WEIGHT_PART - 64;
            bytes[2 * half + i] = (int8_t)high;
            bytes[2 * half + RHUMB__CODE_HALF_BLOCK + i] = (int8_t)(weight - RHUMB__CODE_WEIGHT_PART * high);
        }
    }
}

static void write_weights_of_4(const int32_t *numbers, uint32_t count, int8_t *bytes) {
    const uint32_t half = rhumb__code_digits_bytes(4, count);
    memset(bytes, 0, RHUMB__CODE_BLOCK);
    for (uint32_t i = 0; i < half; i++) bytes[i] = (int8_t)numbers[i];
    for (uint32_t i = half; i < count; i++) bytes[RHUMB__CODE_HALF_BLOCK - half + i] = (int8_t)numbers[i];
}

static void write_weights(const rhumb__coder *coder, const void *row, const struct grid *grid, void *query,
                          struct totals *totals) {
    int16_t *shorts = (int16_t *)((char *)query + rhumb__code_shorts_offset());
    int8_t *bytes = (int8_t *)query + rhumb__code_bytes_offset(coder->bits, coder->dim);
    for (uint32_t first = 0; first < coder->dim; first += RHUMB__CODE_BLOCK) {
        int32_t numbers[RHUMB__CODE_BLOCK];
        const uint32_t count = number_components(coder, row, first, grid, numbers, totals);
        if (coder->bits == 8) {
            write_weights_of_8(numbers, shorts + first, bytes + 2 * (size_t)first);
        } else {
            write_weights_of_4(numbers, count, bytes + first);
        }
    }
}

static void prepare(const rhumb__coder *coder, const void *row, void *query) {
    const int weight_max = rhumb__code_weight_max(coder->bits);
    const struct range range = range_of(coder, row);
    struct grid grid = {.origin = NAN, .step = NAN};
    struct totals totals = {0, 0};
    if (range.is_finite) {
        grid = grid_of(coder, range, weight_max, 2 * weight_max);
        write_weights(coder, row, &grid, query, &totals);
        normalise(coder, totals, &grid);
    } else {
        memset(query, 0, coder->query_bytes);
    }
    rhumb__code_query *head = query;
    *head = (rhumb__code_query){.origin = grid.origin,
                                .step = grid.step,
                                .sum = (double)totals.sum,
                                .squares = (double)totals.squares,
                                .scaled_sum = grid.step * (double)totals.sum,
                                .scaled_squares = grid.step * grid.step * (double)totals.squares,
                                .centres = (double)rhumb__code_centre(coder->bits) * (double)totals.sum};
    head->component_sum = (double)coder->dim * head->origin + head->scaled_sum;
}

const rhumb__code_encoders RHUMB__CODE_ENCODERS = {encode, prepare};
