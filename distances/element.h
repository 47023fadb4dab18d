/* element.h - the element types: one table of what they are, and their components as doubles.
 *
 * RHUMB__NUMBER_ELEMENTS is the one list of the types that are numbers; bits (b1) are the only type that is not in it.
 * Everything else about a type is derived from its line: name and size, the check for NaN and infinities (prepare.c),
 * conversion (convert.c), and loading, which is inlined so that files compiled for one instruction set may include this
 * header. Which metrics measure a type is in metric.c. Immutable; cannot fail.
 */
#ifndef RHUMB_DISTANCES_ELEMENT_H
#define RHUMB_DISTANCES_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "include/rhumb_types.h"

enum rhumb__element_kind { RHUMB__BIT, RHUMB__UNSIGNED, RHUMB__SIGNED, RHUMB__FLOAT };

/* X(constant, name, kind, exponent, type, value) for each: RHUMB_ELEMENT_<constant>; the name in messages and options;
 * the bits of the exponent, 0 for integers; the C type that holds a component; and what makes a number of that. All
 * floats are laid out as IEEE 754 has them, with exponents and fractions of other sizes. */
#define RHUMB__NUMBER_ELEMENTS(X)                                                                                      \
    X(F32, "f32", FLOAT, 0x7F800000, float, )                                                                          \
    X(F64, "f64", FLOAT, 0x7FF0000000000000, double, )                                                                 \
    X(F16, "f16", FLOAT, 0x7C00, uint16_t, rhumb__f16_value)                                                           \
    X(BF16, "bf16", FLOAT, 0x7F80, uint16_t, rhumb__bf16_value)                                                        \
    X(I8, "i8", SIGNED, 0, int8_t, )                                                                                   \
    X(U8, "u8", UNSIGNED, 0, uint8_t, )                                                                                \
    X(I16, "i16", SIGNED, 0, int16_t, )                                                                                \
    X(U16, "u16", UNSIGNED, 0, uint16_t, )                                                                             \
    X(I32, "i32", SIGNED, 0, int32_t, )                                                                                \
    X(U32, "u32", UNSIGNED, 0, uint32_t, )                                                                             \
    X(I64, "i64", SIGNED, 0, int64_t, )                                                                                \
    X(U64, "u64", UNSIGNED, 0, uint64_t, )

struct rhumb__element_info {
    const char *name;
    enum rhumb__element_kind kind;
    uint32_t bits;          /* of one component; 0 for a number that is not an element type */
    uint64_t exponent_mask; /* floats only */
};

/* Never NULL: a number that is not an element type has a name of NULL and 0 bits. */
const struct rhumb__element_info *rhumb__element_info(rhumb_element element);

uint32_t rhumb__element_bits(rhumb_element element);
bool rhumb__element_is_float(rhumb_element element);

/* "f32"...; NULL for a number that is not an element type. And the inverse; 0 for a text that is not a name. */
const char *rhumb__element_name(rhumb_element element);
rhumb_element rhumb__element_from_name(const char *name);

/* Converts components; see rhumb_element_convert. */
size_t rhumb__element_convert(rhumb_element from, const void *source, rhumb_element to, void *target, size_t count);

/* Components that are converted at a time. In a block that is not full, zeros follow the last component. */
enum { RHUMB__BLOCK = 32 };

static inline float rhumb__f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float rhumb__bf16_value(uint16_t bits) { return rhumb__f32_from_bits((uint32_t)bits << 16); }

/* Exact for every finite number: exponent and fraction are moved to their places in an f32, and the product corrects
 * the exponent, also that of a subnormal. Infinities and NaN, which no index holds, become numbers above 65,504. */
static inline float rhumb__f16_value(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const float size = rhumb__f32_from_bits((uint32_t)(bits & 0x7FFFu) << 13) * 0x1p112f;
    uint32_t size_bits;
    memcpy(&size_bits, &size, sizeof size_bits);
    return rhumb__f32_from_bits(size_bits | sign);
}

/* One block of one type; memcpy because a caller's vectors may be at any address. */
#define RHUMB__LOAD_BLOCK(constant, name, kind, exponent, type, value_of)                                              \
    case RHUMB_ELEMENT_##constant: {                                                                                   \
        type block[RHUMB__BLOCK];                                                                                      \
        const char *from = (const char *)vector + first * sizeof(type);                                                \
        if (count < RHUMB__BLOCK) {                                                                                    \
            memset(block, 0, sizeof block);                                                                            \
            memcpy(block, from, count * sizeof(type));                                                                 \
        } else {                                                                                                       \
            memcpy(block, from, sizeof block);                                                                         \
        }                                                                                                              \
        for (size_t i = 0; i < RHUMB__BLOCK; i++) values[i] = (double)value_of(block[i]);                              \
        break;                                                                                                         \
    }

/* Loads components [first, first + count) of a vector, count being 1 to RHUMB__BLOCK, and zeros after them. Not for
 * bits. */
static inline void rhumb__element_load(rhumb_element element, const void *vector, size_t first, size_t count,
                                       double *values) {
    switch (element) {
        RHUMB__NUMBER_ELEMENTS(RHUMB__LOAD_BLOCK)
    case RHUMB_ELEMENT_B1: break;
    }
}

#endif /* RHUMB_DISTANCES_ELEMENT_H */
