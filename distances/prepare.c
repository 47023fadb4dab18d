/* prepare.c - makes rows of vectors and vectors of rows: what may enter an index, and what it becomes there.
 *
 * Owns the rules on components: floats are finite, jaccard has no negative numbers, probabilities are not negative and
 * sum to 1. Every byte of a row up to row_bytes is written, gaps with zeros, so that equal vectors have equal rows. No
 * state, nothing to lock.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "distances/element.h"
#include "distances/space.h"

/* Components that are checked together without leaving early among them, which compilers turn into vector code. */
enum { CHECKED_TOGETHER = 16 };

/* ---- components ---- */

/* Defines a function that finds the first component whose exponent is that of infinities and NaN, or `dim`. */
#define DEFINE_FIRST_NOT_FINITE(name, type, exponent)                                                                  \
    static uint32_t name(const void *components, uint32_t dim) {                                                       \
        const char *bytes = components;                                                                                \
        uint32_t i = 0;                                                                                                \
        for (; i + CHECKED_TOGETHER <= dim; i += CHECKED_TOGETHER) {                                                   \
            type bits[CHECKED_TOGETHER];                                                                               \
            unsigned bad = 0;                                                                                          \
            memcpy(bits, bytes + i * sizeof(type), sizeof bits);                                                       \
            for (int j = 0; j < CHECKED_TOGETHER; j++) bad |= (bits[j] & (exponent)) == (exponent);                    \
            if (bad != 0) break;                                                                                       \
        }                                                                                                              \
        for (; i < dim; i++) {                                                                                         \
            type bits;                                                                                                 \
            memcpy(&bits, bytes + i * sizeof bits, sizeof bits);                                                       \
            if ((bits & (exponent)) == (exponent)) break;                                                              \
        }                                                                                                              \
        return i;                                                                                                      \
    }

DEFINE_FIRST_NOT_FINITE(first_not_finite_f32, uint32_t, UINT32_C(0x7F800000))
DEFINE_FIRST_NOT_FINITE(first_not_finite_f64, uint64_t, UINT64_C(0x7FF0000000000000))
DEFINE_FIRST_NOT_FINITE(first_not_finite_f16, uint16_t, 0x7C00u)
DEFINE_FIRST_NOT_FINITE(first_not_finite_bf16, uint16_t, 0x7F80u)

/* "NaN", "infinity" or "-infinity": the number that the bits of component i, which is not finite, are. */
static const char *not_finite_name(rhumb_element element, const void *components, uint32_t i) {
    const uint32_t bytes = rhumb__element_bits(element) / 8;
    uint64_t bits = 0;
    memcpy(&bits, (const char *)components + (size_t)i * bytes, bytes);
    const bool negative = (bits >> (bytes * 8 - 1)) != 0;
    const uint32_t fraction_bits = element == RHUMB_ELEMENT_F64   ? 52
                                   : element == RHUMB_ELEMENT_F32 ? 23
                                   : element == RHUMB_ELEMENT_F16 ? 10
                                                                  : 7;
    if ((bits & ((UINT64_C(1) << fraction_bits) - 1)) != 0) return "NaN";
    return negative ? "-infinity" : "infinity";
}

static rhumb_status check_finite(const rhumb__space *space, const void *components) {
    uint32_t bad = space->dim;
    switch (space->element) {
    case RHUMB_ELEMENT_F32: bad = first_not_finite_f32(components, space->dim); break;
    case RHUMB_ELEMENT_F64: bad = first_not_finite_f64(components, space->dim); break;
    case RHUMB_ELEMENT_F16: bad = first_not_finite_f16(components, space->dim); break;
    case RHUMB_ELEMENT_BF16: bad = first_not_finite_bf16(components, space->dim); break;
    default: break;
    }
    if (bad == space->dim) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOT_FINITE, "component %u of %u is %s, expected a finite number", (unsigned)bad,
                       (unsigned)space->dim, not_finite_name(space->element, components, bad));
}

/* ---- the domain of a metric ---- */

bool rhumb__metric_is_of_probabilities(rhumb_metric metric) {
    return metric == RHUMB_METRIC_HELLINGER || metric == RHUMB_METRIC_JEFFREYS || metric == RHUMB_METRIC_JENSEN_SHANNON;
}

/* Refuses negative components; *sum_out is the sum of all. */
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
    const bool of_probabilities = rhumb__metric_is_of_probabilities(space->metric);
    double sum = 0.0;
    if (!of_probabilities && !(space->metric == RHUMB_METRIC_JACCARD && space->element == RHUMB_ELEMENT_F32))
        return RHUMB_OK;
    const rhumb_status status = check_not_negative(space, components, &sum);
    if (status != RHUMB_OK || !of_probabilities) return status;
    if (normalise) {
        if (!(sum > 0.0) || !isfinite(sum))
            return rhumb__fail(RHUMB_E_DOMAIN, "the components sum to %g, which cannot be normalised to 1", sum);
        divide_by(space, components, sum);
        return RHUMB_OK;
    }
    if (fabs(sum - 1.0) <= RHUMB_PROBABILITY_TOLERANCE) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_DOMAIN, "the components sum to %.9g, expected 1 (give or take %g) under %s", sum,
                       RHUMB_PROBABILITY_TOLERANCE, rhumb__metric_name(space->metric));
}

/* ---- inverse norms ---- */

/* 1/|v|, 0 for a zero vector. The squares are summed in double, which neither overflows nor underflows for any f32. The
 * smallest norms have an inverse that f32 cannot hold; it becomes FLT_MAX. Kernels trust no inverse of that size. */
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

/* The same for components of any type. Where the squares leave the range of a double they are taken of what is left
 * after division by the largest component. The inverse of the smallest norms of f64 becomes DBL_MAX. */
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

/* Bits of the last byte that no component has are 0 in a row, whatever the caller's are. */
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
    if (space->metric == RHUMB_METRIC_LEVENSHTEIN) {
        rhumb_sequence sequence;
        memcpy(&sequence, vector, sizeof sequence);
        return write_sequence(space, sequence.elements, sequence.length, row);
    }
    memcpy(row, vector, space->vector_bytes);
    return finish_row(space, row, space->normalise);
}

rhumb_status rhumb__space_restore(const rhumb__space *space, const void *stored, void *row) {
    if (space->metric == RHUMB_METRIC_LEVENSHTEIN) {
        uint32_t length;
        memcpy(&length, stored, sizeof length);
        return write_sequence(space, (const char *)stored + sizeof length, length, row);
    }
    memcpy(row, stored, space->vector_bytes);
    return finish_row(space, row, false);
}

rhumb_status rhumb__space_give(const rhumb__space *space, const void *row, void *vector) {
    if (space->metric != RHUMB_METRIC_LEVENSHTEIN) {
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
    /* The struct serves both ways; here the caller has pointed it to memory of its own. */
    memcpy((void *)(uintptr_t)sequence->elements, (const char *)row + sizeof length,
           (size_t)length * rhumb__element_bits(space->element) / 8);
    return RHUMB_OK;
}
