/* edit.c - the edit distance (levenshtein) of two sequences of u8 or u16.
 *
 * Myers' bit-parallel form of the dynamic programme (J. ACM 46(3), 1999), in the blocks of Hyyrö (2003). The matrix of
 * the distances between all prefixes of the two sequences is cut into strips of 64 rows; each row is one element of the
 * first sequence. A strip is walked along the second sequence with its vertical differences in two words, one bit a
 * row; the horizontal differences of its last row are the input of the strip below. So one step computes 64 cells.
 * Memory is one byte per element of the second sequence and a table of the at most 64 different elements of a strip,
 * some 17 KiB of stack.
 *
 * Common prefixes and suffixes do not change the distance and are cut off first. No state, no locks, no failures.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "distances/edit_kernels.h"
#include "distances/kernel.h"
#include "distances/metric.h"

enum { STRIP_ROWS = 64, TABLE_SIZE = 256 };

/* The rows of a strip that hold an element, for each different element: indexed by the element for u8; for u16 a hash
 * table with open addressing, of which at most a quarter is in use. An entry without rows is free. */
struct strip {
    uint64_t rows[TABLE_SIZE];
    uint16_t elements[TABLE_SIZE];
};

struct sequence {
    const uint8_t *bytes;
    uint32_t length;
};

RHUMB__INLINE uint16_t element_at(bool wide, const struct sequence *sequence, uint32_t i) {
    if (!wide) return sequence->bytes[i];
    uint16_t element;
    memcpy(&element, sequence->bytes + (size_t)i * sizeof element, sizeof element);
    return element;
}

/* The entry of an element, or the free one where it would be. */
RHUMB__INLINE uint32_t entry_of(bool wide, const struct strip *strip, uint16_t element) {
    if (!wide) return element;
    uint32_t entry = element * UINT32_C(0x9E3779B1) >> 24;
    while (strip->rows[entry] != 0 && strip->elements[entry] != element) entry = (entry + 1) % TABLE_SIZE;
    return entry;
}

RHUMB__INLINE void strip_fill(bool wide, struct strip *strip, const struct sequence *a, uint32_t first,
                              uint32_t count) {
    memset(strip->rows, 0, sizeof strip->rows);
    for (uint32_t row = 0; row < count; row++) {
        const uint16_t element = element_at(wide, a, first + row);
        const uint32_t entry = entry_of(wide, strip, element);
        strip->elements[entry] = element;
        strip->rows[entry] |= UINT64_C(1) << row;
    }
}

/* Walks a strip of `row_count` rows along b. steps[j] is the horizontal difference (-1, 0, 1) of the row above the
 * strip at element j, and becomes that of its last row. */
RHUMB__INLINE void strip_walk(bool wide, const struct strip *strip, uint32_t row_count, const struct sequence *b,
                              int8_t *steps) {
    const uint32_t last = row_count - 1;
    uint64_t plus = ~UINT64_C(0), minus = 0; /* vertical differences of the current column */
    for (uint32_t j = 0; j < b->length; j++) {
        uint64_t equal = strip->rows[entry_of(wide, strip, element_at(wide, b, j))];
        const uint64_t down = steps[j] < 0;
        const uint64_t up = steps[j] > 0;
        const uint64_t vertical = equal | minus;
        equal |= down;
        const uint64_t horizontal = (((equal & plus) + plus) ^ plus) | equal;
        uint64_t horizontal_plus = minus | ~(horizontal | plus);
        uint64_t horizontal_minus = plus & horizontal;
        steps[j] = (int8_t)((int)(horizontal_plus >> last & 1) - (int)(horizontal_minus >> last & 1));
        horizontal_plus = horizontal_plus << 1 | up;
        horizontal_minus = horizontal_minus << 1 | down;
        plus = horizontal_minus | ~(vertical | horizontal_plus);
        minus = horizontal_plus & vertical;
    }
}

RHUMB__INLINE struct sequence sequence_of(const rhumb__space *space, const void *row) {
    struct sequence sequence = {.bytes = (const uint8_t *)row + sizeof(uint32_t)};
    memcpy(&sequence.length, row, sizeof sequence.length);
    if (sequence.length > space->dim) sequence.length = space->dim;
    return sequence;
}

/* Cuts off the common prefix and the common suffix. */
RHUMB__INLINE void cut_common_ends(bool wide, struct sequence *a, struct sequence *b) {
    const uint32_t element_bytes = wide ? 2 : 1;
    while (a->length > 0 && b->length > 0 && element_at(wide, a, 0) == element_at(wide, b, 0)) {
        a->bytes += element_bytes;
        b->bytes += element_bytes;
        a->length--;
        b->length--;
    }
    while (a->length > 0 && b->length > 0 && element_at(wide, a, a->length - 1) == element_at(wide, b, b->length - 1)) {
        a->length--;
        b->length--;
    }
}

RHUMB__INLINE float measure(bool wide, const rhumb__space *space, const void *row_a, const void *row_b) {
    struct sequence a = sequence_of(space, row_a), b = sequence_of(space, row_b);
    cut_common_ends(wide, &a, &b);
    /* The distance is symmetric; the number of steps is not. */
    const uint64_t steps_ab = rhumb__divide_up(a.length, STRIP_ROWS) * b.length;
    const uint64_t steps_ba = rhumb__divide_up(b.length, STRIP_ROWS) * a.length;
    if (steps_ba < steps_ab) {
        const struct sequence other = a;
        a = b;
        b = other;
    }
    if (a.length == 0 || b.length == 0) return (float)(a.length + b.length);
    struct strip strip;
    int8_t steps[RHUMB__SEQUENCE_LENGTH_MAX];
    RHUMB_ASSERT_DEBUG(b.length <= RHUMB__SEQUENCE_LENGTH_MAX);
    memset(steps, 1, b.length);
    for (uint32_t first = 0; first < a.length; first += STRIP_ROWS) {
        const uint32_t left = a.length - first, row_count = left < STRIP_ROWS ? left : STRIP_ROWS;
        strip_fill(wide, &strip, &a, first, row_count);
        strip_walk(wide, &strip, row_count, &b, steps);
    }
    int64_t distance = a.length;
    for (uint32_t j = 0; j < b.length; j++) distance += steps[j];
    return (float)distance;
}

static float levenshtein_u8(const rhumb__space *space, const void *a, const void *b) {
    return measure(false, space, a, b);
}

static float levenshtein_u16(const rhumb__space *space, const void *a, const void *b) {
    return measure(true, space, a, b);
}

RHUMB__DEFINE_KERNELS(rhumb__edit_u8, levenshtein_u8)
RHUMB__DEFINE_KERNELS(rhumb__edit_u16, levenshtein_u16)
