/* convert.c - components of one element type as those of another.
 *
 * A component on its way is a long double, which holds every number of every type exactly: its 64 bits of fraction are
 * enough for integers of 64. Types are read and written by what the table of element.h says of them, so there is
 * nothing here for a single type. No state, no locks; fails by stopping at the component that the target cannot hold.
 */
#include <assert.h>
#include <float.h>
#include <math.h>

#include "distances/element.h"

static_assert(LDBL_MANT_DIG >= 64, "a long double holds integers of 64 bits");

/* How a float of some size is laid out. */
struct layout {
    uint32_t fraction_bits;
    int exponent_max; /* of the largest finite number, which is also the bias; the smallest normal one has 1 - this */
};

static struct layout layout_of(const struct rhumb__element_info *info) {
    const uint32_t exponent_bits = (uint32_t)__builtin_popcountll(info->exponent_mask);
    return (struct layout){(uint32_t)__builtin_ctzll(info->exponent_mask), (1 << (exponent_bits - 1)) - 1};
}

static uint64_t sign_bit(const struct rhumb__element_info *info) { return UINT64_C(1) << (info->bits - 1); }

/* ---- reading ---- */

static long double float_of_bits(const struct rhumb__element_info *info, uint64_t bits) {
    const struct layout layout = layout_of(info);
    const uint64_t fraction = bits & ((UINT64_C(1) << layout.fraction_bits) - 1);
    const int exponent = (int)((bits & info->exponent_mask) >> layout.fraction_bits);
    long double size;
    if ((bits & info->exponent_mask) == info->exponent_mask)
        size = fraction != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        size = ldexpl((long double)fraction, 1 - layout.exponent_max - (int)layout.fraction_bits);
    else
        size = ldexpl((long double)(fraction | UINT64_C(1) << layout.fraction_bits),
                      exponent - layout.exponent_max - (int)layout.fraction_bits);
    return (bits & sign_bit(info)) != 0 ? -size : size;
}

static long double read_number(const struct rhumb__element_info *info, const void *component) {
    uint64_t bits = 0;
    memcpy(&bits, component, info->bits / 8);
    if (info->kind == RHUMB__FLOAT) return float_of_bits(info, bits);
    if (info->kind == RHUMB__UNSIGNED || (bits & sign_bit(info)) == 0) return (long double)bits;
    /* A negative number of fewer bits becomes one of 64 by setting those above its sign. */
    return (long double)(int64_t)(bits | ~(sign_bit(info) - 1));
}

/* ---- writing ---- */

/* The bits of the nearest float, ties to even; of an infinity, if the number is too large. */
static uint64_t bits_of_float(const struct rhumb__element_info *info, long double value) {
    const struct layout layout = layout_of(info);
    const uint64_t sign = signbit(value) ? sign_bit(info) : 0;
    const long double size = fabsl(value);
    int exponent = 0;
    if (isnan(value)) return info->exponent_mask | UINT64_C(1) << (layout.fraction_bits - 1);
    if (isinf(value)) return sign | info->exponent_mask;
    if (size == 0) return sign;
    frexpl(size, &exponent); /* size is in [2^(exponent-1), 2^exponent) */
    const int floor_exponent = exponent - 1 > 1 - layout.exponent_max ? exponent - 1 : 1 - layout.exponent_max;
    /* In units of the last place. If rounding carries, the sum below carries into the exponent, up to infinity. */
    const uint64_t units = (uint64_t)nearbyintl(ldexpl(size, (int)layout.fraction_bits - floor_exponent));
    if (floor_exponent > layout.exponent_max) return sign | info->exponent_mask;
    const uint64_t biased = (uint64_t)(floor_exponent + layout.exponent_max - 1);
    return sign | ((biased << layout.fraction_bits) + units);
}

/* Whether an integer type holds the number; NaN and fractions are in none. */
static bool integer_holds(const struct rhumb__element_info *info, long double value) {
    const bool is_signed = info->kind == RHUMB__SIGNED;
    const long double limit = ldexpl(1, (int)info->bits - (is_signed ? 1 : 0)), low = is_signed ? -limit : 0;
    return value >= low && value < limit && truncl(value) == value;
}

static uint64_t bits_of_integer(const struct rhumb__element_info *info, long double value) {
    return info->kind == RHUMB__SIGNED ? (uint64_t)(int64_t)value : (uint64_t)value;
}

size_t rhumb__element_convert(rhumb_element from, const void *source, rhumb_element to, void *target, size_t count) {
    const struct rhumb__element_info *source_info = rhumb__element_info(from), *target_info = rhumb__element_info(to);
    const size_t source_bytes = source_info->bits / 8, target_bytes = target_info->bits / 8;
    if (source_bytes == 0 || target_bytes == 0) return 0;
    for (size_t i = 0; i < count; i++) {
        const long double value = read_number(source_info, (const char *)source + i * source_bytes);
        uint64_t bits;
        if (target_info->kind == RHUMB__FLOAT) {
            bits = bits_of_float(target_info, value);
            if (source_info->kind != RHUMB__FLOAT && float_of_bits(target_info, bits) != value) return i;
        } else {
            if (!integer_holds(target_info, value)) return i;
            bits = bits_of_integer(target_info, value);
        }
        memcpy((char *)target + i * target_bytes, &bits, target_bytes);
    }
    return count;
}
