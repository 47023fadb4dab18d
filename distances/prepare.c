/* prepare.c - turns vectors into rows and rows into vectors: which vectors an index accepts, and how it stores them.
 *
 * Owns the rules on components: floats are finite; under jaccard none is negative; probabilities are not negative and
 * sum to 1. Every byte of a row up to row_bytes is written, gaps with zeros, so that equal vectors have equal rows. No
 * state, no locks. Fails with the statuses of space.h; the message names the component.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "distances/element.h"
#include "distances/metric.h"
#include "distances/space.h"

/* Components that are checked together, without a branch between them, so that compilers vectorise the loop. */
enum { CHECKED_TOGETHER = 16 };

/* ---- components ---- */

/* Defines a function that finds the first component whose exponent is that of infinities and NaN, or returns `dim`. */
#define DEFINE_FIRST_NOT_FINITE(name, type)                                                                            \
    static uint32_t name(const void *components, uint32_t dim, type exponent) {                                        \
        const char *bytes = components;                                                                                \
        uint32_t i = 0;                                                                                                \
        for (; i + CHECKED_TOGETHER <= dim; i += CHECKED_TOGETHER) {                                                   \
            type bits[CHECKED_TOGETHER];                                                                               \
            unsigned bad = 0;                                                                                          \
            memcpy(bits, bytes + i * sizeof(type), sizeof bits);                                                       \
            for (int j = 0; j < CHECKED_TOGETHER; j++) bad |= (bits[j] & exponent) == exponent;                        \
            if (bad != 0) break;                                                                                       \
        }                                                                                                              \
        for (; i < dim; i++) {                                                                                         \
            type bits;                                                                                                 \
            memcpy(&bits, bytes + i * sizeof bits, sizeof bits);                                                       \
            if ((bits & exponent) == exponent) break;                                                                  \
        }                                                                                                              \
        return i;                                                                                                      \
    }

DEFINE_FIRST_NOT_FINITE(first_not_finite_16, uint16_t)
DEFINE_FIRST_NOT_FINITE(first_not_finite_32, uint32_t)
DEFINE_FIRST_NOT_FINITE(first_not_finite_64, uint64_t)

static uint32_t first_not_finite(const struct rhumb__element_info *info, const void *components, uint32_t dim) {
    if (info->kind != RHUMB__FLOAT) return dim;
    RHUMB_ASSERT(info->bits == 16 || info->bits == 32 || info->bits == 64);
    switch (info->bits) {
    case 16: return first_not_finite_16(components, dim, (uint16_t)info->exponent_mask);
    case 32: return first_not_finite_32(components, dim, (uint32_t)info->exponent_mask);
    default: return first_not_finite_64(components, dim, info->exponent_mask);
    }
}

/* "NaN", "infinity" or "-infinity": the number that the bits of component i, which is not finite, are. */
static const char *not_finite_name(const struct rhumb__element_info *info, const void *components, uint32_t i) {
    uint64_t bits = 0;
    memcpy(&bits, (const char *)components + (size_t)i * (info->bits / 8), info->bits / 8);
    const uint64_t sign_mask = UINT64_C(1) << (info->bits - 1);
    if ((bits & ~(sign_mask | info->exponent_mask)) != 0) return "NaN";
    return (bits & sign_mask) != 0 ? "-infinity" : "infinity";
}

static rhumb_status check_finite(const rhumb__space *space, const void *components) {
    const struct rhumb__element_info *info = rhumb__element_info(space->element);
    const uint32_t bad = first_not_finite(info, components, space->dim);
    if (bad == space->dim) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOT_FINITE, "component %u of %u is %s, expected a finite number", (unsigned)bad,
                       (unsigned)space->dim, not_finite_name(info, components, bad));
}

/* ---- the domain of a metric ---- */

/* Rejects negative components; *sum_out is the sum of all. */
static rhumb_status check_not_negative(const rhumb__space *space, const void *components, double *sum_out) {
    double values[RHUMB__BLOCK], sum = 0.0;
    for (uint32_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const uint32_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        rhumb__element_load(space->element, components, first, count, values);
        for (uint32_t i = 0; i < count; i++) {
            if (values[i] < 0.0) {
                return rhumb__fail(RHUMB_E_DOMAIN, "component %u of %u is %g, expected none below 0 under %s",
                                   (unsigned)(first + i), (unsigned)space->dim, values[i],
                                   rhumb__metric_name(space->metric));
            }
            sum += values[i];
        }
    }
    *sum_out = sum;
    return RHUMB_OK;
}

static void divide_by(const rhumb__space *space, void *components, double sum) {
    RHUMB_ASSERT_DEBUG(space->element == RHUMB_ELEMENT_F32 || space->element == RHUMB_ELEMENT_F64);
    for (uint32_t i = 0; i < space->dim; i++) {
        if (space->element == RHUMB_ELEMENT_F32) {
            float *value = (float *)components + i;
            *value = (float)((double)*value / sum);
        } else {
            double *value = (double *)components + i;
            *value /= sum;
        }
    }
}

static rhumb_status check_domain(const rhumb__space *space, void *components, bool normalise) {
    const enum rhumb__domain domain = rhumb__metric_domain(space->metric);
    const enum rhumb__element_kind kind = rhumb__element_info(space->element)->kind;
    double sum = 0.0;
    const bool may_be_negative = kind == RHUMB__SIGNED || kind == RHUMB__FLOAT;
    if (domain == RHUMB__DOMAIN_ALL || (domain == RHUMB__DOMAIN_NOT_NEGATIVE && !may_be_negative)) return RHUMB_OK;
    const rhumb_status status = check_not_negative(space, components, &sum);
    if (status != RHUMB_OK || domain != RHUMB__DOMAIN_PROBABILITIES) return status;
    if (normalise) {
        if (!(sum > 0.0) || !isfinite(sum))
            return rhumb__fail(RHUMB_E_DOMAIN, "the components sum to %g, which cannot be normalised to 1", sum);
        divide_by(space, components, sum);
        return RHUMB_OK;
    }
    if (fabs(sum - 1.0) <= RHUMB__PROBABILITY_TOLERANCE) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_DOMAIN, "the components sum to %.9g, expected 1 (give or take %g) under %s", sum,
                       RHUMB__PROBABILITY_TOLERANCE, rhumb__metric_name(space->metric));
}

/* ---- inverse norms ---- */

/* 1/|v|, 0 for a zero vector. The squares are summed in double, which neither overflows nor underflows for any f32. The
 * smallest norms have an inverse that f32 cannot hold; it becomes FLT_MAX. No kernel uses an inverse of that size. */
static float inverse_norm_f32(const float *components, uint32_t dim) {
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

/* The same for components of any type. Where the squares leave the range of a double, the components are first divided
 * by the largest one. The inverse of the smallest norms of f64 becomes DBL_MAX. */
static double inverse_norm(const rhumb__space *space, const void *components) {
    double values[RHUMB__BLOCK], squares = 0.0, largest = 0.0;
    for (uint32_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const uint32_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        rhumb__element_load(space->element, components, first, count, values);
        for (uint32_t i = 0; i < count; i++) {
            squares += values[i] * values[i];
            largest = fmax(largest, fabs(values[i]));
        }
    }
    if (largest == 0.0) return 0.0;
    if (squares >= 0x1p-900 && isfinite(squares)) return 1.0 / sqrt(squares);
    squares = 0.0;
    for (uint32_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const uint32_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        rhumb__element_load(space->element, components, first, count, values);
        for (uint32_t i = 0; i < count; i++) squares += (values[i] / largest) * (values[i] / largest);
    }
    const double inverse = 1.0 / sqrt(squares) / largest;
    return inverse < DBL_MAX ? inverse : DBL_MAX;
}

static void write_norm(const rhumb__space *space, char *row) {
    memset(row + space->vector_bytes, 0, space->norm_offset_bytes - space->vector_bytes);
    if (space->element == RHUMB_ELEMENT_F32) {
        const float inverse = inverse_norm_f32((const float *)row, space->dim);
        memcpy(row + space->norm_offset_bytes, &inverse, sizeof inverse);
    } else {
        const double inverse = inverse_norm(space, row);
        memcpy(row + space->norm_offset_bytes, &inverse, sizeof inverse);
    }
}

/* ---- rows ---- */

/* Clears the bits of the last byte that are not components, whatever they are in the caller's vector. */
static void clear_unused_bits(const rhumb__space *space, uint8_t *row) {
    const uint32_t used_bits = space->dim % 8;
    if (used_bits != 0) row[space->vector_bytes - 1] &= (uint8_t)((1u << used_bits) - 1);
}

static rhumb_status finish_row(const rhumb__space *space, void *row, bool normalise) {
    rhumb_status status;
    RHUMB_TRY(check_finite(space, row));
    RHUMB_TRY(check_domain(space, row, normalise));
    if (space->element == RHUMB_ELEMENT_B1) clear_unused_bits(space, row);
    if (space->metric == RHUMB_METRIC_COSINE) write_norm(space, row);
done:
    return status;
}

static rhumb_status check_length(const rhumb__space *space, uint32_t length) {
    if (length <= space->dim) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "a sequence of %u elements, expected at most %u", (unsigned)length,
                       (unsigned)space->dim);
}

static rhumb_status write_sequence(const rhumb__space *space, const void *elements, uint32_t length, void *row) {
    const rhumb_status status = check_length(space, length);
    if (status != RHUMB_OK) return status;
    if (elements == NULL && length > 0)
        return rhumb__fail(RHUMB_E_INVALID, "the elements of a sequence of %u are NULL", (unsigned)length);
    const size_t bytes = (size_t)length * rhumb__element_bits(space->element) / 8;
    memcpy(row, &length, sizeof length);
    if (bytes > 0) memcpy((char *)row + sizeof length, elements, bytes);
    memset((char *)row + sizeof length + bytes, 0, space->row_bytes - sizeof length - bytes);
    return RHUMB_OK;
}

rhumb_status rhumb__space_prepare(const rhumb__space *space, const void *vector, void *row) {
    RHUMB_ASSERT_DEBUG(vector != NULL && row != NULL && vector != row);
    if (space->of_sequences) {
        rhumb_sequence sequence;
        memcpy(&sequence, vector, sizeof sequence);
        return write_sequence(space, sequence.elements, sequence.length, row);
    }
    memcpy(row, vector, space->vector_bytes);
    return finish_row(space, row, space->normalise);
}

rhumb_status rhumb__space_restore(const rhumb__space *space, const void *stored, void *row) {
    RHUMB_ASSERT_DEBUG(stored != NULL && row != NULL && stored != row);
    if (space->of_sequences) {
        uint32_t length;
        memcpy(&length, stored, sizeof length);
        return write_sequence(space, (const char *)stored + sizeof length, length, row);
    }
    memcpy(row, stored, space->vector_bytes);
    return finish_row(space, row, false);
}

rhumb_status rhumb__space_give(const rhumb__space *space, const void *row, void *vector) {
    RHUMB_ASSERT_DEBUG(row != NULL && vector != NULL && row != vector);
    if (!space->of_sequences) {
        memcpy(vector, row, space->vector_bytes);
        return RHUMB_OK;
    }
    rhumb_sequence *sequence = vector;
    const uint32_t room = sequence->length;
    uint32_t length;
    memcpy(&length, row, sizeof length);
    if (length > space->dim) length = space->dim; /* a damaged file's */
    sequence->length = length;
    if (room < length)
        return rhumb__fail(RHUMB_E_INVALID, "a sequence of %u elements, room for %u", (unsigned)length, (unsigned)room);
    if (length == 0) return RHUMB_OK;
    if (sequence->elements == NULL) return rhumb__fail(RHUMB_E_INVALID, "the room for the elements is NULL");
    /* The elements of a rhumb_sequence are const because it is mostly an input; here they are the caller's buffer. */
    memcpy((void *)(uintptr_t)sequence->elements, (const char *)row + sizeof length,
           (size_t)length * rhumb__element_bits(space->element) / 8);
    return RHUMB_OK;
}
