/* measure_scalar.c - codes measured in plain C; see measure_body.h. The reference for all other instructions.
 *
 * Products are added in 32 bits as far as the sums fit, and then in a double.
 */
#include "distances/code/code.h"
#include "distances/code/coder.h"
#include "distances/code/measure_four.h"
#include "distances/kernel.h"

static_assert(INT64_C(255) * RHUMB__CODE_WEIGHT_MAX_OF_8 * RHUMB__CODE_BLOCK <= INT32_MAX, "the sum of a block fits");

/* The sum over up to 128 digits of 8 bits. */
static int32_t sum_of_8(const uint8_t *digits, const int16_t *weights, size_t count) {
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += digits[i] * weights[i];
    return sum;
}

/* The same over the digits of 4 bits in up to 64 bytes. */
static int32_t sum_of_4(const uint8_t *digits, const int8_t *weights, size_t count) {
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (digits[i] & 15) * weights[i] + (digits[i] >> 4) * weights[i + RHUMB__CODE_HALF_BLOCK];
    return sum;
}

RHUMB__INLINE double dot_of_one(uint32_t bits, const rhumb__coder *coder, const void *query, const uint8_t *code) {
    const int16_t *shorts = (const int16_t *)((const char *)query + rhumb__code_shorts_offset());
    const int8_t *bytes = (const int8_t *)query + rhumb__code_bytes_offset(bits, coder->dim);
    const size_t step = bits == 8 ? RHUMB__CODE_BLOCK : RHUMB__CODE_HALF_BLOCK;
    double sum = 0.0;
    for (size_t at = 0; at < coder->digits_bytes; at += step) {
        const size_t left = coder->digits_bytes - at, count = left < step ? left : step;
        sum += bits == 8 ? sum_of_8(code + at, shorts + at, count) : sum_of_4(code + at, bytes + 2 * at, count);
    }
    return sum;
}

RHUMB__INLINE void dots_of_four(uint32_t bits, const rhumb__coder *coder, const void *query,
                                const uint8_t *const *codes, const uint8_t *const *ahead, doubles_of_four *dots) {
    for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) {
        for (size_t at = 0; at < coder->code_bytes; at += RHUMB__LINE_BYTES) __builtin_prefetch(ahead[i] + at);
        __builtin_prefetch(ahead[i] + coder->code_bytes - 1);
        (*dots)[i] = dot_of_one(bits, coder, query, codes[i]);
    }
}

RHUMB__INLINE void constants_load(const uint8_t *const *codes, size_t offset, struct constants_of_four *constants) {
    for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) {
        const rhumb__code_constants own = rhumb__code_read_constants(codes[i], (uint32_t)offset);
        constants->origin[i] = own.origin;
        constants->step[i] = own.step;
        constants->sum[i] = own.sum;
        constants->squares[i] = own.squares;
    }
}

#define RHUMB__CODE_KERNELS(bits) rhumb__code_measure_##bits##_scalar

#include "distances/code/measure_body.h"
