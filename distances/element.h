/* element.h - element types: their sizes, and their values as doubles.
 *
 * Everything is inlined, so that files compiled for one instruction set may include it. Immutable; cannot fail.
 */
#ifndef RHUMB_DISTANCES_ELEMENT_H
#define RHUMB_DISTANCES_ELEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "include/rhumb_types.h"

/* Components that are converted at a time; what is left of a block behind the last component is 0. */
enum { RHUMB__BLOCK = 32 };

/* Bits of one component; 0 for a number that is no element type. */
static inline uint32_t rhumb__element_bits(rhumb_element element) {
    switch (element) {
    case RHUMB_ELEMENT_B1: return 1;
    case RHUMB_ELEMENT_I8:
    case RHUMB_ELEMENT_U8: return 8;
    case RHUMB_ELEMENT_F16:
    case RHUMB_ELEMENT_BF16:
    case RHUMB_ELEMENT_I16:
    case RHUMB_ELEMENT_U16: return 16;
    case RHUMB_ELEMENT_F32:
    case RHUMB_ELEMENT_I32:
    case RHUMB_ELEMENT_U32: return 32;
    case RHUMB_ELEMENT_F64:
    case RHUMB_ELEMENT_I64:
    case RHUMB_ELEMENT_U64: return 64;
    }
    return 0;
}

static inline float rhumb__f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float rhumb__bf16_value(uint16_t bits) { return rhumb__f32_from_bits((uint32_t)bits << 16); }

/* Exact for every finite number: exponent and fraction are moved to their places in an f32, and the product puts the
 * exponent right, also that of a subnormal. Infinities and NaN, which no index holds, become numbers above 65,504. */
static inline float rhumb__f16_value(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const float size = rhumb__f32_from_bits((uint32_t)(bits & 0x7FFFu) << 13) * 0x1p112f;
    uint32_t size_bits;
    memcpy(&size_bits, &size, sizeof size_bits);
    return rhumb__f32_from_bits(size_bits | sign);
}

/* One block of one type; memcpy because a caller's vectors may lie anywhere. */
#define RHUMB_LOAD_BLOCK(type, value_of)                                                                               \
    do {                                                                                                               \
        type block[RHUMB__BLOCK];                                                                                      \
        const char *from = (const char *)vector + first * sizeof(type);                                                \
        if (count < RHUMB__BLOCK) {                                                                                    \
            memset(block, 0, sizeof block);                                                                            \
            memcpy(block, from, count * sizeof(type));                                                                 \
        } else {                                                                                                       \
            memcpy(block, from, sizeof block);                                                                         \
        }                                                                                                              \
        for (size_t i = 0; i < RHUMB__BLOCK; i++) values[i] = (double)value_of(block[i]);                              \
    } while (0)

/* Components [first, first + count) of a vector, count being 1 to RHUMB__BLOCK, and zeros behind them. Not for bits. */
static inline void rhumb__element_load(rhumb_element element, const void *vector, size_t first, size_t count,
                                       double *values) {
    switch (element) {
    case RHUMB_ELEMENT_F32: RHUMB_LOAD_BLOCK(float, ); break;
    case RHUMB_ELEMENT_F64: RHUMB_LOAD_BLOCK(double, ); break;
    case RHUMB_ELEMENT_F16: RHUMB_LOAD_BLOCK(uint16_t, rhumb__f16_value); break;
    case RHUMB_ELEMENT_BF16: RHUMB_LOAD_BLOCK(uint16_t, rhumb__bf16_value); break;
    case RHUMB_ELEMENT_I8: RHUMB_LOAD_BLOCK(int8_t, ); break;
    case RHUMB_ELEMENT_U8: RHUMB_LOAD_BLOCK(uint8_t, ); break;
    case RHUMB_ELEMENT_I16: RHUMB_LOAD_BLOCK(int16_t, ); break;
    case RHUMB_ELEMENT_U16: RHUMB_LOAD_BLOCK(uint16_t, ); break;
    case RHUMB_ELEMENT_I32: RHUMB_LOAD_BLOCK(int32_t, ); break;
    case RHUMB_ELEMENT_U32: RHUMB_LOAD_BLOCK(uint32_t, ); break;
    case RHUMB_ELEMENT_I64: RHUMB_LOAD_BLOCK(int64_t, ); break;
    case RHUMB_ELEMENT_U64: RHUMB_LOAD_BLOCK(uint64_t, ); break;
    case RHUMB_ELEMENT_B1: break;
    }
}

#endif /* RHUMB_DISTANCES_ELEMENT_H */
