/* measure_body.h - from sums of digit * weight to estimates, and the three forms of a kernel.
 *
 * With t = digit - centre, the sums over all components of t, t^2, weight and weight^2 are known beforehand, and what
 * is left to sum for a pair is digit * weight. All of these are integers, exact in any order. A squared distance or a
 * dot product of the decoded vectors follows from them, origins and steps by a formula of a dozen terms, which is
 * evaluated in double and in one order: so every set of instructions gives the same bits. In the formula for l2,
 * origins are subtracted from each other before anything else, which keeps it right where all components are large and
 * alike.
 *
 * Four codes are measured at a time, so that weights are loaded once for all four. While they are, codes some places
 * ahead in the list are prefetched: how many cache misses are in flight decides how fast codes are measured that are in
 * no cache.
 *
 * The including file has named its kernels with RHUMB__CODE_KERNELS(bits), has included measure_four.h, and has defined
 *   double dot_of_one(bits, coder, query, code)                     the sum of digit * weight
 *   void dots_of_four(bits, coder, query, codes, ahead, dots)       the same for four codes; prefetches those `ahead`
 *   void constants_load(codes, constants_offset_bytes, constants)   the constants of four codes
 *
 * No state, no locks, no failures.
 */
#include <math.h>

#include "base/assert.h"
#include "distances/code/code.h"
#include "distances/code/measure_kernels.h"
#include "distances/kernel.h"
#include "distances/raw.h"

/* The dot products over f64 that are as right as their terms. */
#define DOT_MIN 0x1p-900
#define DOT_MAX 0x1p1000

/* ---- from sums to estimates ---- */

/* The squared distances between the decoded vectors, or their dot products, in the place of the sums of digit * weight.
 */
RHUMB__INLINE void values_of_four(const rhumb__coder *coder, const rhumb__code_query *query,
                                  const struct constants_of_four *codes, doubles_of_four *values) {
    const doubles_of_four weighted = query->step * (*values - query->centres);
    if (coder->metric == RHUMB_METRIC_L2 || coder->metric == RHUMB_METRIC_L2SQ) {
        const doubles_of_four apart = query->origin - codes->origin;
        const doubles_of_four across =
            (double)coder->dim * apart + 2.0 * (query->scaled_sum - codes->step * codes->sum);
        *values =
            (apart * across + codes->step * (codes->step * codes->squares - 2.0 * weighted)) + query->scaled_squares;
    } else {
        *values = codes->origin * query->component_sum + codes->step * (query->origin * codes->sum + weighted);
    }
}

/* False for NaN. */
RHUMB__INLINE bool is_within(double size, double low, double high) { return size >= low && size <= high; }

/* What f64 vectors have under l2 and ip. Returns false, and no estimate, for values that need more than a double. */
RHUMB__INLINE bool wide_estimate(const rhumb__coder *coder, double value, float *estimate) {
    if (coder->raw_form == RHUMB__RAW_WIDE_DOT) {
        const bool is_sound = is_within(fabs(value), DOT_MIN, DOT_MAX);
        if (is_sound) *estimate = rhumb__raw_of(RHUMB__RAW_WIDE_DOT, value);
        return is_sound;
    }
    const double distance = coder->metric == RHUMB_METRIC_L2 ? sqrt(value) : value;
    *estimate = (float)distance;
    return is_within(distance, RHUMB__RAW_SAFE_MIN, RHUMB__RAW_SAFE_MAX);
}

/* Whether all are of an ordinary size, as in guard.h; those with a sign only if `signs` is the sign bit. */
RHUMB__INLINE bool are_ordinary(const floats_of_four *raws, uint32_t signs) {
    const uint32_t low = UINT32_C(31) << 23, high = UINT32_C(223) << 23; /* 2^-96 and 2^96 */
    uints_of_four bits;
    uint64_t halves[2];
    memcpy(&bits, raws, sizeof bits);
    const uints_of_four unsafe = (uints_of_four)(((bits & ~signs) - low) > high - low);
    memcpy(halves, &unsafe, sizeof halves);
    return (halves[0] | halves[1]) == 0;
}

/* Writes four estimates and returns true if all values are of an ordinary size: then sums are raw distances (raw.h). */
RHUMB__INLINE bool ordinary_estimates(const rhumb__coder *coder, const doubles_of_four *values, float *estimates) {
    floats_of_four raws = __builtin_convertvector(*values, floats_of_four);
    bool are_sound = true;
    switch (coder->raw_form) {
    case RHUMB__RAW_VALUE:
        for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) estimates[i] = rhumb__clamp(1.0 - (*values)[i], 0.0f, 2.0f);
        return true;
    case RHUMB__RAW_DOT:
        raws = -raws;
        memcpy(estimates, &raws, sizeof raws);
        return are_ordinary(&raws, UINT32_C(1) << 31);
    case RHUMB__RAW_SUM:
    case RHUMB__RAW_SQUARE: memcpy(estimates, &raws, sizeof raws); return are_ordinary(&raws, 0);
    default:
        for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) are_sound &= wide_estimate(coder, (*values)[i], &estimates[i]);
        return are_sound;
    }
}

/* Writes the estimates for four codes, from the sums of digit * weight. */
RHUMB__INLINE void finish_four(const rhumb__coder *coder, const rhumb__code_query *query, const uint8_t *const *codes,
                               const doubles_of_four *dots, float *estimates) {
    struct constants_of_four constants;
    doubles_of_four values = *dots;
    constants_load(codes, coder->constants_offset_bytes, &constants);
    values_of_four(coder, query, &constants, &values);
    if (__builtin_expect(ordinary_estimates(coder, &values, estimates), 1)) return;
    for (int i = 0; i < RHUMB__CODES_AT_ONCE; i++) {
        const double value = values[i];
        const doubles_of_four same = {value, value, value, value};
        float alone[RHUMB__CODES_AT_ONCE];
        estimates[i] = ordinary_estimates(coder, &same, alone)
                           ? alone[0]
                           : rhumb__code_estimate_extreme(coder, query, codes[i], (*dots)[i]);
    }
}

/* ---- the three forms ---- */

RHUMB__INLINE float measure_one(uint32_t bits, const rhumb__coder *coder, const void *query, const void *code) {
    const double dot = dot_of_one(bits, coder, query, code);
    const doubles_of_four dots = {dot, dot, dot, dot};
    const uint8_t *codes[RHUMB__CODES_AT_ONCE] = {code, code, code, code};
    float estimates[RHUMB__CODES_AT_ONCE];
    finish_four(coder, query, codes, &dots, estimates);
    return estimates[0];
}

RHUMB__INLINE void measure_four(uint32_t bits, const rhumb__coder *coder, const void *query,
                                const uint8_t *const *codes, const uint8_t *const *ahead, float *estimates) {
    doubles_of_four dots;
    dots_of_four(bits, coder, query, codes, ahead, &dots);
    finish_four(coder, query, codes, &dots, estimates);
}

/* Where the codes of a list are: at addresses, or at slots after a base. */
struct places {
    const void *const *addresses; /* NULL for slots */
    const uint8_t *base;
    const uint32_t *slots;
    size_t stride_bytes;
};

RHUMB__INLINE const uint8_t *place_of(const struct places *places, size_t i) {
    if (places->addresses != NULL) return places->addresses[i];
    return places->base + places->slots[i] * places->stride_bytes;
}

/* The four codes from `i` on; at the end of the list its last code stands for those that are missing. */
RHUMB__INLINE void choose_four(const struct places *places, size_t i, size_t count, const uint8_t **codes) {
    for (size_t k = i; k < i + RHUMB__CODES_AT_ONCE; k++) *codes++ = place_of(places, k < count ? k : count - 1);
}

RHUMB__INLINE void prefetch_code(const rhumb__coder *coder, const uint8_t *code) {
    for (size_t at = 0; at < coder->code_bytes; at += RHUMB__LINE_BYTES) __builtin_prefetch(code + at);
    __builtin_prefetch(code + coder->code_bytes - 1);
}

RHUMB__INLINE void measure_all(uint32_t bits, const rhumb__coder *coder, const void *query, const struct places *places,
                               size_t count, float *distances) {
    const size_t ahead_count = coder->ahead_count;
    size_t i = 0;
    for (size_t k = 0; k < ahead_count && k < count; k++) prefetch_code(coder, place_of(places, k));
    for (; i + RHUMB__CODES_AT_ONCE <= count; i += RHUMB__CODES_AT_ONCE) {
        const uint8_t *codes[RHUMB__CODES_AT_ONCE], *ahead[RHUMB__CODES_AT_ONCE];
        choose_four(places, i, count, codes);
        choose_four(places, i + ahead_count, count, ahead);
        measure_four(bits, coder, query, codes, ahead, distances + i);
    }
    for (; i < count; i++) distances[i] = measure_one(bits, coder, query, place_of(places, i));
}

#define DEFINE_KERNELS(bits)                                                                                           \
    static float measure_##bits(const rhumb__coder *coder, const void *query, const void *code) {                      \
        return measure_one(bits, coder, query, code);                                                                  \
    }                                                                                                                  \
    static void measure_many_##bits(const rhumb__coder *coder, const void *query, const void *const *codes,            \
                                    size_t count, float *distances) {                                                  \
        const struct places places = {.addresses = codes};                                                             \
        measure_all(bits, coder, query, &places, count, distances);                                                    \
    }                                                                                                                  \
    static void measure_slots_##bits(const rhumb__coder *coder, const void *query, const rhumb__code_slots *slots,     \
                                     float *distances) {                                                               \
        const struct places places = {                                                                                 \
            .base = slots->base, .slots = slots->slots, .stride_bytes = coder->code_stride_bytes};                     \
        measure_all(bits, coder, query, &places, slots->count, distances);                                             \
    }                                                                                                                  \
    const rhumb__code_kernels RHUMB__CODE_KERNELS(bits) = {measure_##bits, measure_many_##bits, measure_slots_##bits};

DEFINE_KERNELS(8)
DEFINE_KERNELS(4)
