/* dot_vnni.h - what a vector of digits adds to a sum of digit * weight, with VNNI: the products of four unsigned bytes
 * with four signed ones are added to a lane of 32 bits by one instruction.
 *
 * The weights of digits of 8 bits have more than 8 and are taken in two parts; the sums of the high parts count 16
 * times.
 *
 * Included after code_lanes_avx2.h or code_lanes_avx512.h, and after the including file has defined
 * ints_add_byte_products(sums, digits, weights). The same names as in dot_widening.h.
 */
#ifndef RHUMB_DISTANCES_CODE_DOT_VNNI_H
#define RHUMB_DISTANCES_CODE_DOT_VNNI_H

#include "distances/code/code.h"

/* With 8 bits, the sums of the high and of the low parts of weights; with 4, those over the low and over the high
 * halves of bytes. */
struct dot_sum {
    integers first, second;
};

/* The weights for one vector of digits: what the two sums are made of. */
struct weights {
    integers first, second;
};

RHUMB__INLINE struct dot_sum dot_zero(void) { return (struct dot_sum){integers_zero(), integers_zero()}; }

RHUMB__INLINE size_t vector_bytes(uint32_t bits) {
    (void)bits;
    return VECTOR_BYTES;
}

RHUMB__INLINE integers digits_load(uint32_t bits, const uint8_t *from) {
    (void)bits;
    return integers_load(from);
}
RHUMB__INLINE integers digits_load_last(uint32_t bits, const uint8_t *from, size_t count) {
    (void)bits;
    return bytes_load_last(from, count);
}

RHUMB__INLINE struct weights weights_load(uint32_t bits, const uint8_t *query, uint32_t dim, size_t at) {
    const uint8_t *bytes =
        query + rhumb__code_bytes_offset(bits, dim) + at + at / RHUMB__CODE_HALF_BLOCK * RHUMB__CODE_HALF_BLOCK;
    return (struct weights){integers_load(bytes), integers_load(bytes + RHUMB__CODE_HALF_BLOCK)};
}

RHUMB__INLINE struct dot_sum dot_add(uint32_t bits, struct dot_sum sum, integers digits, struct weights weights) {
    const integers first = bits == 8 ? digits : bytes_low_halves(digits);
    const integers second = bits == 8 ? digits : bytes_high_halves(digits);
    return (struct dot_sum){ints_add_byte_products(sum.first, first, weights.first),
                            ints_add_byte_products(sum.second, second, weights.second)};
}

RHUMB__INLINE struct dot_sum dot_join(struct dot_sum a, struct dot_sum b) {
    return (struct dot_sum){ints_add(a.first, b.first), ints_add(a.second, b.second)};
}

RHUMB__INLINE integers dot_lanes(uint32_t bits, struct dot_sum sum) {
    return ints_add(bits == 8 ? ints_times_16(sum.first) : sum.first, sum.second);
}

#endif /* RHUMB_DISTANCES_CODE_DOT_VNNI_H */
