/* bits.h - powers of two, rounding, mixing, bit sets. All functions are pure. */
#ifndef RHUMB_BASE_BITS_H
#define RHUMB_BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool rhumb__is_power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

/* Returns whether `value` is a multiple of `unit` (a power of two). */
static inline bool rhumb__is_multiple(uint64_t value, uint64_t unit) { return (value & (unit - 1)) == 0; }

/* Returns the smallest multiple of `unit` (a power of two) that is at least `value`. The result must fit. */
static inline uint64_t rhumb__round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) & ~(unit - 1); }

static inline uint64_t rhumb__round_down(uint64_t value, uint64_t unit) { return value & ~(unit - 1); }

static inline uint64_t rhumb__divide_up(uint64_t value, uint64_t divisor) {
    return value / divisor + (value % divisor != 0);
}

static inline uint64_t rhumb__min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t rhumb__max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Returns the largest power of two that is at most `value`; 0 for 0. */
static inline uint64_t rhumb__floor_power_of_two(uint64_t value) {
    return value == 0 ? 0 : UINT64_C(1) << (63 - __builtin_clzll(value));
}

/* A bijection on 64-bit numbers whose output bits depend on all input bits: the finaliser of SplitMix64 (Steele, Lea
 * and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). */
static inline uint64_t rhumb__mix64(uint64_t value) {
    value += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

/* Returns one bit of a bit set stored in words of 64 bits. */
static inline bool rhumb__bit_get(const uint64_t *bits, uint64_t i) { return (bits[i / 64] >> (i % 64) & 1) != 0; }
static inline void rhumb__bit_set(uint64_t *bits, uint64_t i) { bits[i / 64] |= UINT64_C(1) << (i % 64); }

/* For qsort: ascending. */
static inline int rhumb__compare_u64(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

#endif /* RHUMB_BASE_BITS_H */
