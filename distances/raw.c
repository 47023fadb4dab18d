/* raw.c - from sums to raw distances and back.
 *
 * A positive number is taken as its place: its exponent, and its fraction as the fraction of that binade. Places are
 * ordered as numbers are. A table divides all places into spans; within a span of shift s, 2^s binades become one. The
 * packed place, rounded to the 23 bits that a float has for a fraction, is the raw distance's bits. Spans of shift 0
 * lose nothing, and with the bases below they leave their numbers as they are.
 *
 * Dot products are signed. The most similar ones come first, so the sign is changed; 0 is 0.
 *
 * No state, no locks, no failures.
 */
#include "distances/raw.h"

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"

/* Places are in units of 2^-40 binades, the bits of a float in units of 2^-23. */
enum { PLACE_BITS = 40, DROPPED_BITS = PLACE_BITS - 23, BASE_BITS = 6, SPANS_MAX = 9 };

struct span {
    int exponent; /* of its first number */
    int shift;    /* the base 2 logarithm of how many binades become one */
};

struct table {
    int base; /* the packed place of the first number, in 2^-6 binades, counted as floats count their exponents */
    struct span spans[SPANS_MAX + 1]; /* the last one begins where the table ends; zeros follow */
};

/* Sums over f32 and the types within it, from the square of the smallest, 2^-298, to 2^274. */
static const struct table SUMS = {3 << BASE_BITS, {{-320, 3}, {-96, 0}, {96, 3}, {320, 0}}};

/* Sums over all types, from 2^-2148 to 2^2066. Where f32 holds the sum, one bit at most is lost, and none of those that
 * subnormals have. */
static const struct table WIDE_SUMS = {
    68, {{-2148, 8}, {-448, 6}, {-149, 3}, {-128, 1}, {-96, 0}, {96, 1}, {128, 6}, {1024, 10}, {2080, 0}}};

/* Dot products over all types. The places of those above 1/2 continue with the places of 1 - dot, falling and then
 * rising again, so that vectors that are nearly the same unit vector have an order; see pack_dot. */
static const struct table WIDE_DOTS = {1 << BASE_BITS,
                                       {{-2148, 10}, {-1024, 6}, {-36, 0}, {32, 1}, {128, 6}, {1024, 10}, {2080, 0}}};

/* The packed place of 1/2 in that table. */
#define OF_HALF (INT64_C(13193) << (PLACE_BITS - 8))

/* ---- places ---- */

static int64_t place_of_exponent(const struct table *table, int exponent) {
    return (int64_t)(exponent - table->spans[0].exponent) * (INT64_C(1) << PLACE_BITS);
}

/* Whether the span is not the end of its table. */
static bool has_places(const struct span *span) { return span[1].exponent > span->exponent; }

/* The place of a positive number; truncated, and so monotone. */
static int64_t place_of(const struct table *table, long double size) {
    const double rounded = (double)size;
    int exponent;
    if (rounded >= DBL_MIN && rounded <= DBL_MAX) { /* as frexpl would have it, ten times as fast */
        uint64_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        const int64_t fraction = (int64_t)(bits << 12 >> (64 - PLACE_BITS));
        return place_of_exponent(table, (int)(bits >> 52) - (DBL_MAX_EXP - 1)) + fraction;
    }
    const long double fraction = frexpl(size, &exponent) * 2.0L - 1.0L;
    return place_of_exponent(table, exponent - 1) + (int64_t)(fraction * (long double)(INT64_C(1) << PLACE_BITS));
}

/* The packed place of a number from 0 up; 0 for 0. */
static int64_t pack(const struct table *table, long double size) {
    if (!(size > 0.0L)) return 0;
    const int64_t place = place_of(table, size);
    int64_t packed = 0;
    for (const struct span *span = table->spans; has_places(span); span++) {
        const int64_t begin = place_of_exponent(table, span->exponent),
                      end = place_of_exponent(table, span[1].exponent);
        if (place <= begin) break;
        packed += ((place < end ? place : end) - begin) >> span->shift;
    }
    return packed;
}

/* The number at a packed place; 0 for 0. */
static long double unpack(const struct table *table, int64_t packed) {
    if (packed <= 0) return 0.0L;
    int64_t place = 0;
    for (const struct span *span = table->spans; has_places(span); span++) {
        const int64_t begin = place_of_exponent(table, span->exponent),
                      end = place_of_exponent(table, span[1].exponent);
        const int64_t length = (end - begin) >> span->shift, inside = packed < length ? packed : length;
        place += inside * (INT64_C(1) << span->shift);
        packed -= inside;
        if (packed == 0) break;
    }
    const int64_t unit = INT64_C(1) << PLACE_BITS;
    return ldexpl((long double)(unit + place % unit), (int)(place / unit) + table->spans[0].exponent - PLACE_BITS);
}

/* The float whose exponent and fraction are at a packed place, and its inverse. */
static float float_at(const struct table *table, int64_t packed) {
    const int64_t place = packed + table->base * (INT64_C(1) << (PLACE_BITS - BASE_BITS));
    const uint32_t bits = (uint32_t)((place + (INT64_C(1) << (DROPPED_BITS - 1))) >> DROPPED_BITS);
    float raw;
    memcpy(&raw, &bits, sizeof raw);
    RHUMB_ASSERT_DEBUG(raw >= FLT_MIN && raw <= FLT_MAX);
    return raw;
}

static int64_t place_at(const struct table *table, float raw) {
    uint32_t bits;
    memcpy(&bits, &raw, sizeof bits);
    return (int64_t)bits * (INT64_C(1) << DROPPED_BITS) - table->base * (INT64_C(1) << (PLACE_BITS - BASE_BITS));
}

/* ---- wide dot products ---- */

static float pack_dot(long double dot) {
    const struct table *table = &WIDE_DOTS;
    if (dot == 0.0L) return 0.0f;
    if (dot < 0.0L) return float_at(table, pack(table, -dot));
    if (dot < 0.5L) return -float_at(table, pack(table, dot));
    if (dot <= 1.0L) return -float_at(table, 2 * OF_HALF - pack(table, 1.0L - dot));
    return -float_at(table, 2 * OF_HALF + pack(table, dot - 1.0L));
}

/* Returns 1 - dot. */
static long double unpack_dot(float raw) {
    const struct table *table = &WIDE_DOTS;
    if (raw == 0.0f) return 1.0L;
    if (raw > 0.0f) return 1.0L + unpack(table, place_at(table, raw));
    const int64_t packed = place_at(table, -raw);
    if (packed < OF_HALF) return 1.0L - unpack(table, packed);
    return packed <= 2 * OF_HALF ? unpack(table, 2 * OF_HALF - packed) : -unpack(table, packed - 2 * OF_HALF);
}

/* Returns the dot product. */
static long double dot_of(float raw) {
    const struct table *table = &WIDE_DOTS;
    if (raw == 0.0f) return 0.0L;
    if (raw > 0.0f) return -unpack(table, place_at(table, raw));
    const int64_t packed = place_at(table, -raw);
    return packed < OF_HALF ? unpack(table, packed) : 1.0L - unpack_dot(raw);
}

/* ---- all forms ---- */

float rhumb__raw_pack(enum rhumb__raw_form form, long double value) {
    RHUMB_ASSERT_DEBUG(form != RHUMB__RAW_VALUE);
    const bool is_dot = form == RHUMB__RAW_DOT || form == RHUMB__RAW_WIDE_DOT;
    const bool is_wide = form == RHUMB__RAW_WIDE_SUM || form == RHUMB__RAW_WIDE_DOT;
    if (isnan(value)) return FLT_MAX;
    if (isinf(value)) return is_dot && value > 0.0L ? -FLT_MAX : FLT_MAX;
    if (form == RHUMB__RAW_WIDE_DOT) return pack_dot(value);
    if (value == 0.0L || (value < 0.0L && !is_dot)) return 0.0f;
    const struct table *table = is_wide ? &WIDE_SUMS : &SUMS;
    const float size = float_at(table, pack(table, fabsl(value)));
    return is_dot && value > 0.0L ? -size : size;
}

long double rhumb__raw_sum(enum rhumb__raw_form form, float raw) {
    RHUMB_ASSERT_DEBUG(!isnan(raw));
    if (form == RHUMB__RAW_VALUE) return (long double)raw;
    if (form == RHUMB__RAW_WIDE_DOT) return dot_of(raw);
    const struct table *table = form == RHUMB__RAW_WIDE_SUM ? &WIDE_SUMS : &SUMS;
    long double size = (long double)fabsf(raw);
    const bool is_itself = raw == 0.0f || (size >= RHUMB__RAW_SAFE_MIN && size <= RHUMB__RAW_SAFE_MAX);
    if (!is_itself) size = unpack(table, place_at(table, fabsf(raw)));
    return form == RHUMB__RAW_DOT && raw > 0.0f ? -size : size;
}

long double rhumb__raw_unpack(enum rhumb__raw_form form, float raw) {
    RHUMB_ASSERT_DEBUG(!isnan(raw));
    if (form == RHUMB__RAW_WIDE_DOT) return unpack_dot(raw);
    const long double sum = rhumb__raw_sum(form, raw);
    if (form == RHUMB__RAW_DOT) return 1.0L - sum;
    return form == RHUMB__RAW_SQUARE ? sqrtl(sum) : sum;
}
