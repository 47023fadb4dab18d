/* count_body.h - the kernels that count: hamming over elements and over packed bits, and jaccard over packed bits.
 *
 * count_scalar.c, count_avx2.c and count_avx512.c each include this file, after naming its kernels with
 * RHUMB__COUNT(name); they differ only in the instructions that the compiler may use. Counts are exact, so all of them
 * give the same results.
 *
 * Elements are compared as they are, at their own width: hamming of 64-bit integers must distinguish numbers that are
 * the same double, and floats are compared as numbers (0 and -0 are equal). Each lane counts in an integer as wide as
 * the element, since that is the result of a vector comparison. Lanes of 8 bits are emptied before they can overflow;
 * 65,535 components do not overflow the others.
 *
 * No state, no locks, no failures.
 */
#include "distances/count_kernels.h"
#include "distances/kernel.h"

enum { VECTOR_BYTES = 32, TURNS_MAX = 255 };

/* Defines count_<name>: how many elements differ. Comparing two vectors gives -1 in each lane that differs. What is
 * left after the last whole vector is compared in two vectors that are otherwise zero. */
#define DEFINE_DIFFERENT(name, type, lane_type)                                                                        \
    typedef type name##_vector __attribute__((vector_size(VECTOR_BYTES)));                                             \
    typedef lane_type name##_lanes __attribute__((vector_size(VECTOR_BYTES)));                                         \
    RHUMB__INLINE void add_##name(const char *a, const char *b, size_t bytes, name##_lanes *lanes) {                   \
        name##_vector x = {0}, y = {0};                                                                                \
        memcpy(&x, a, bytes);                                                                                          \
        memcpy(&y, b, bytes);                                                                                          \
        *lanes -= (name##_lanes)(x != y);                                                                              \
    }                                                                                                                  \
    static uint32_t count_##name(const char *a, const char *b, size_t bytes) {                                         \
        uint32_t count = 0;                                                                                            \
        size_t at = 0;                                                                                                 \
        while (at < bytes) {                                                                                           \
            name##_lanes lanes = {0};                                                                                  \
            size_t turn = 0;                                                                                           \
            for (; turn < TURNS_MAX && at + VECTOR_BYTES <= bytes; turn++, at += VECTOR_BYTES)                         \
                add_##name(a + at, b + at, VECTOR_BYTES, &lanes);                                                      \
            if (turn < TURNS_MAX && at < bytes) {                                                                      \
                add_##name(a + at, b + at, bytes - at, &lanes);                                                        \
                at = bytes;                                                                                            \
            }                                                                                                          \
            for (size_t lane = 0; lane < VECTOR_BYTES / sizeof(type); lane++) count += (uint32_t)lanes[lane];          \
        }                                                                                                              \
        return count;                                                                                                  \
    }                                                                                                                  \
    static float name(const rhumb__space *space, const void *a, const void *b) {                                       \
        return (float)((double)count_##name(a, b, space->vector_bytes) / (double)space->dim);                          \
    }                                                                                                                  \
    RHUMB__DEFINE_KERNELS(RHUMB__COUNT(name), name)

DEFINE_DIFFERENT(hamming8, uint8_t, uint8_t)
DEFINE_DIFFERENT(hamming16, uint16_t, uint16_t)
DEFINE_DIFFERENT(hamming32, uint32_t, uint32_t)
DEFINE_DIFFERENT(hamming64, uint64_t, uint64_t)
DEFINE_DIFFERENT(hamming_f32, float, uint32_t)
DEFINE_DIFFERENT(hamming_f64, double, uint64_t)

/* ---- bits ---- */

/* The eight bytes at `at`; zeros after the last. */
RHUMB__INLINE uint64_t word_at(const char *bits, size_t at, size_t bytes) {
    uint64_t word = 0;
    if (at + sizeof word <= bytes)
        memcpy(&word, bits + at, sizeof word);
    else
        memcpy(&word, bits + at, bytes - at);
    return word;
}

static float hamming_b1(const rhumb__space *space, const void *a, const void *b) {
    uint32_t count = 0;
    for (size_t at = 0; at < space->vector_bytes; at += sizeof(uint64_t)) {
        count +=
            (uint32_t)__builtin_popcountll(word_at(a, at, space->vector_bytes) ^ word_at(b, at, space->vector_bytes));
    }
    return (float)((double)count / (double)space->dim);
}

static float jaccard_b1(const rhumb__space *space, const void *a, const void *b) {
    uint32_t both = 0, either = 0;
    for (size_t at = 0; at < space->vector_bytes; at += sizeof(uint64_t)) {
        const uint64_t x = word_at(a, at, space->vector_bytes), y = word_at(b, at, space->vector_bytes);
        both += (uint32_t)__builtin_popcountll(x & y);
        either += (uint32_t)__builtin_popcountll(x | y);
    }
    return either == 0 ? 0.0f : (float)(1.0 - (double)both / (double)either);
}

RHUMB__DEFINE_KERNELS(RHUMB__COUNT(hamming_b1), hamming_b1)
RHUMB__DEFINE_KERNELS(RHUMB__COUNT(jaccard_b1), jaccard_b1)
