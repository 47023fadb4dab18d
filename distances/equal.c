/* equal.c - whether two rows hold the same vector, and a hash that agrees with that. Pure, no state; cannot fail.
 *
 * Rows of equal bytes do. So do rows that differ in the signs of zeros alone, since no metric tells those apart; the
 * numbers that a metric keeps after the components follow from these.
 */
#include <string.h>

#include "base/bits.h"
#include "distances/space.h"

/* Components of `type` of which one is -0 and the other 0 compare as equal. All are finite, so that is transitive. */
#define EQUAL_COMPONENTS(type)                                                                                         \
    for (uint32_t i = 0; i < space->dim; i++) {                                                                        \
        type left, right;                                                                                              \
        memcpy(&left, (const uint8_t *)a + i * sizeof left, sizeof left);                                              \
        memcpy(&right, (const uint8_t *)b + i * sizeof right, sizeof right);                                           \
        if (left != right) return false;                                                                               \
    }                                                                                                                  \
    return true

static bool equal_f32(const rhumb__space *space, const void *a, const void *b) { EQUAL_COMPONENTS(float); }

static bool equal_f64(const rhumb__space *space, const void *a, const void *b) { EQUAL_COMPONENTS(double); }

/* Of f16 and bf16: the same bits, or zeros of both signs. */
static bool equal_16(const rhumb__space *space, const void *a, const void *b) {
    for (uint32_t i = 0; i < space->dim; i++) {
        uint16_t left, right;
        memcpy(&left, (const uint8_t *)a + i * sizeof left, sizeof left);
        memcpy(&right, (const uint8_t *)b + i * sizeof right, sizeof right);
        if (left != right && ((left | right) & 0x7FFF) != 0) return false;
    }
    return true;
}

bool rhumb__space_equal(const rhumb__space *space, const void *a, const void *b) {
    if (memcmp(a, b, space->row_bytes) == 0) return true;
    /* A function of the program's own may tell the signs of zeros apart. */
    if (space->metric == RHUMB_METRIC_CUSTOM) return false;
    switch (space->element) {
    case RHUMB_ELEMENT_F32: return equal_f32(space, a, b);
    case RHUMB_ELEMENT_F64: return equal_f64(space, a, b);
    case RHUMB_ELEMENT_F16:
    case RHUMB_ELEMENT_BF16: return equal_16(space, a, b);
    default: return false;
    }
}

/* Of components of 16, 32 or 64 bits: their bits, with those of -0 as those of 0. */
static uint64_t hash_components(const uint8_t *row, uint32_t dim, uint32_t component_bytes, uint64_t salt) {
    uint64_t hash = rhumb__mix64(salt ^ dim);
    for (uint32_t i = 0; i < dim; i++) {
        uint64_t bits = 0;
        memcpy(&bits, row + (size_t)i * component_bytes, component_bytes); /* little-endian, as everywhere */
        if (bits == UINT64_C(1) << (8 * component_bytes - 1)) bits = 0;
        hash = rhumb__mix64(hash ^ bits);
    }
    return hash;
}

uint64_t rhumb__space_hash(const rhumb__space *space, const void *row, uint64_t salt) {
    switch (space->element) {
    case RHUMB_ELEMENT_F64: return hash_components(row, space->dim, 8, salt);
    case RHUMB_ELEMENT_F32: return hash_components(row, space->dim, 4, salt);
    case RHUMB_ELEMENT_F16:
    case RHUMB_ELEMENT_BF16: return hash_components(row, space->dim, 2, salt);
    default: break;
    }
    uint64_t hash = rhumb__mix64(salt ^ space->row_bytes);
    for (uint32_t offset = 0; offset < space->row_bytes; offset += sizeof(uint64_t)) {
        uint64_t bits = 0;
        const uint32_t left = space->row_bytes - offset;
        memcpy(&bits, (const uint8_t *)row + offset, left < sizeof bits ? left : sizeof bits);
        hash = rhumb__mix64(hash ^ bits);
    }
    return hash;
}
