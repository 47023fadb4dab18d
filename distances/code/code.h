/* code.h - what a code is: its bytes, and what a query is turned into.
 *
 * A code stands for a vector. Each component has become a *digit*, an unsigned number of 8 or 4 bits, and all
 * components of the vector share an origin and a step:
 *
 *     decoded component = origin + step * (digit - centre)              centre 128 (8 bits) or 8 (4 bits)
 *
 * origin and step are chosen so that the digits span the components of this vector and no other (locally adaptive
 * quantisation: Aguerrebere et al., "Similarity search in the blink of an eye with compressed indices", VLDB 2023,
 * there with a mean over all vectors, which is 0 here). So nothing is trained, and the first vector of an index is
 * encoded as the last one is. Under cosine the decoded vector has the length 1, or 0 if the vector has.
 *
 * The layout of a code, in bytes; numbers are little-endian:
 *
 *     | offset | bytes        | content                                                                 |
 *     |--------|--------------|-------------------------------------------------------------------------|
 *     |      0 | digits_bytes | digits; with 8 bits one byte per component: digits_bytes is dim         |
 *     |        | 0 to 7       | zeros, up to a multiple of 8, which is constants_offset_bytes           |
 *     |     +0 | 8            | origin: f64                                                             |
 *     |     +8 | 8            | step: f64                                                               |
 *     |    +16 | 4            | sum: i32, the sum of digit - centre over all components                 |
 *     |    +20 | 4            | squares: i32, the sum of (digit - centre)^2 over all components         |
 *
 * With 4 bits components are taken in blocks of 128, and two of a block share a byte: components i (the low half of the
 * byte) and i + 64 (the high half) share byte i of the block's 64. So one AND, and one shift and AND, give vectors of
 * digits in order. A last block of n < 128 components is halved likewise: components i and i + h share byte i of h
 * bytes, h being n / 2 rounded up; where there is no second component, the high half is 0.
 *
 * Kernels read the bytes of a code and no byte more. Some read vectors of 32 bytes that begin among the digits and end
 * among the constants, where the query's weights are 0; 24 bytes of constants leave room for that, see below.
 */
#ifndef RHUMB_DISTANCES_CODE_CODE_H
#define RHUMB_DISTANCES_CODE_CODE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "base/inline.h"
#include "include/rhumb_types.h"

/* The last bytes of a code. */
typedef struct rhumb__code_constants {
    double origin, step;
    int32_t sum, squares;
} rhumb__code_constants;

static_assert(offsetof(rhumb__code_constants, origin) == 0, "layout");
static_assert(offsetof(rhumb__code_constants, step) == 8, "layout");
static_assert(offsetof(rhumb__code_constants, sum) == 16, "layout");
static_assert(offsetof(rhumb__code_constants, squares) == 20, "layout");
static_assert(sizeof(rhumb__code_constants) == 24, "layout");
static_assert(UINT64_C(128) * 128 * RHUMB_DIM_MAX <= INT32_MAX, "the largest sum of squares fits");

/* Components whose digits, or weights, are laid out together. */
enum { RHUMB__CODE_BLOCK = 128, RHUMB__CODE_HALF_BLOCK = RHUMB__CODE_BLOCK / 2 };

/* A vector of digits begins at a multiple of its own size, before the end of the digits. Up to 32 bytes it ends within
 * the code, as at least one group of 8 bytes that have digits, and the constants, follow its begin. */
static_assert(8 + sizeof(rhumb__code_constants) >= 32, "a vector of 32 bytes that begins among the digits fits");

/* What is subtracted from a digit. */
RHUMB__INLINE int rhumb__code_centre(uint32_t bits) { return 1 << (bits - 1); }

/* Bytes that hold the digits of `count` components. */
RHUMB__INLINE uint32_t rhumb__code_digits_bytes(uint32_t bits, uint32_t count) {
    return bits == 8 ? count : (count + 1) / 2;
}

/* Where in a code its constants begin. */
RHUMB__INLINE uint32_t rhumb__code_constants_offset(uint32_t bits, uint32_t dim) {
    return (uint32_t)rhumb__round_up(rhumb__code_digits_bytes(bits, dim), 8);
}

/* Bytes of a code. */
RHUMB__INLINE uint32_t rhumb__code_bytes(uint32_t bits, uint32_t dim) {
    return rhumb__code_constants_offset(bits, dim) + (uint32_t)sizeof(rhumb__code_constants);
}

RHUMB__INLINE rhumb__code_constants rhumb__code_read_constants(const void *code, uint32_t constants_offset_bytes) {
    rhumb__code_constants constants;
    memcpy(&constants, (const char *)code + constants_offset_bytes, sizeof constants);
    return constants;
}

/* ---- queries, which are never in a file ---- */

/* A query has a *weight* where a code has a digit, a signed number:
 *
 *     decoded component = origin + step * weight
 *
 * Weights have more bits than digits, which costs next to nothing and leaves the estimates with the error of the codes
 * alone. With 8 bits they are kept twice, for kernels of two kinds: as numbers of 16 bits in order; and in two parts of
 * 8 bits, of which the high one counts 16 times. */
enum { RHUMB__CODE_WEIGHT_MAX_OF_8 = 1023, RHUMB__CODE_WEIGHT_MAX_OF_4 = 127, RHUMB__CODE_WEIGHT_PART = 16 };

/* The first bytes of a query. */
typedef struct rhumb__code_query {
    double origin, step;
    double sum, squares;   /* of the weights; integers */
    double scaled_sum;     /* step * sum */
    double scaled_squares; /* step^2 * squares */
    double component_sum;  /* of all decoded components */
    double centres;        /* what a sum of digit * weight has more than one of (digit - centre) * weight */
} rhumb__code_query;

static_assert(sizeof(rhumb__code_query) == 64, "weights follow at the next cache line");

/* The largest weight. */
RHUMB__INLINE int rhumb__code_weight_max(uint32_t bits) {
    return bits == 8 ? RHUMB__CODE_WEIGHT_MAX_OF_8 : RHUMB__CODE_WEIGHT_MAX_OF_4;
}

/* Components with the zeros that follow them in a query. */
RHUMB__INLINE uint32_t rhumb__code_padded(uint32_t dim) { return (uint32_t)rhumb__round_up(dim, RHUMB__CODE_BLOCK); }

/* Weights of 16 bits (8 bits only), one per component. */
RHUMB__INLINE size_t rhumb__code_shorts_offset(void) { return sizeof(rhumb__code_query); }

/* Weights in bytes, 128 for each 64 bytes of digits. With 8 bits: the high parts for these digits, then the low parts.
 * With 4 bits: the weights of the digits in the low halves of the bytes, then of those in the high halves. */
RHUMB__INLINE size_t rhumb__code_bytes_offset(uint32_t bits, uint32_t dim) {
    return sizeof(rhumb__code_query) + (bits == 8 ? sizeof(int16_t) * rhumb__code_padded(dim) : 0);
}

RHUMB__INLINE size_t rhumb__code_query_bytes(uint32_t bits, uint32_t dim) {
    return rhumb__code_bytes_offset(bits, dim) + (bits == 8 ? 2 : 1) * (size_t)rhumb__code_padded(dim);
}

#endif /* RHUMB_DISTANCES_CODE_CODE_H */
