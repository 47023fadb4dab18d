/* dot_widening.h - what a vector of digits adds to a sum of digit * weight, without VNNI.
 *
 * Digits of 8 bits are widened to 16 and multiplied by weights of 16: the one instruction that multiplies bytes adds
 * two products in 16 bits, where they do not fit. Those of 4 bits do: at most 15 * 127 each, four of which are added
 * there before lanes are widened.
 *
 * Included after code_lanes_avx2.h or code_lanes_avx512.h.
 */
#ifndef RHUMB_DISTANCES_CODE_DOT_WIDENING_H
#define RHUMB_DISTANCES_CODE_DOT_WIDENING_H

#include <assert.h>

#include "distances/code/code.h"

static_assert(4 * 15 * RHUMB__CODE_WEIGHT_MAX_OF_4 <= INT16_MAX, "four products fit into 16 bits");

struct dot_sum {
    integers lanes;
};

/* The weights for one vector of digits; of 4 bits, for the low and for the high halves of its bytes. */
struct weights {
    integers first, second;
};

RHUMB__INLINE struct dot_sum dot_zero(void) { return (struct dot_sum){integers_zero()}; }

/* Bytes of a vector of digits. */
RHUMB__INLINE size_t vector_bytes(uint32_t bits) { return bits == 8 ? SHORT_LANES : VECTOR_BYTES; }

/* The digits from `from` on; `count` of the bytes there are the code's. A vector of 32 bytes or fewer may be loaded as
 * a whole. */
RHUMB__INLINE integers digits_load(uint32_t bits, const uint8_t *from) {
    return bits == 8 ? shorts_load_u8(from) : integers_load(from);
}
RHUMB__INLINE integers digits_load_last(uint32_t bits, const uint8_t *from, size_t count) {
    return bits == 8 ? shorts_load_u8(from) : bytes_load_last(from, count);
}

/* The weights of the digits in the bytes from `at` on. */
RHUMB__INLINE struct weights weights_load(uint32_t bits, const uint8_t *query, uint32_t dim, size_t at) {
    if (bits == 8) {
        const uint8_t *shorts = query + rhumb__code_shorts_offset();
        return (struct weights){integers_load(shorts + sizeof(int16_t) * at), integers_zero()};
    }
    const uint8_t *bytes =
        query + rhumb__code_bytes_offset(bits, dim) + at + at / RHUMB__CODE_HALF_BLOCK * RHUMB__CODE_HALF_BLOCK;
    return (struct weights){integers_load(bytes), integers_load(bytes + RHUMB__CODE_HALF_BLOCK)};
}

RHUMB__INLINE struct dot_sum dot_add(uint32_t bits, struct dot_sum sum, integers digits, struct weights weights) {
    if (bits == 8) return (struct dot_sum){ints_add(sum.lanes, shorts_pair_products(digits, weights.first))};
    const integers low = bytes_pair_products(bytes_low_halves(digits), weights.first);
    const integers high = bytes_pair_products(bytes_high_halves(digits), weights.second);
    return (struct dot_sum){ints_add(sum.lanes, shorts_pair_sums(shorts_add(low, high)))};
}

RHUMB__INLINE struct dot_sum dot_join(struct dot_sum a, struct dot_sum b) {
    return (struct dot_sum){ints_add(a.lanes, b.lanes)};
}

/* The sum in lanes of 32 bits. */
RHUMB__INLINE integers dot_lanes(uint32_t bits, struct dot_sum sum) {
    (void)bits;
    return sum.lanes;
}

#endif /* RHUMB_DISTANCES_CODE_DOT_WIDENING_H */
