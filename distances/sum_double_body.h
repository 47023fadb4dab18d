/* sum_double_body.h - the kernels that sum in double, for every element type but bits: the reference of the faster
 * ones, and the kernels of all pairs of metric and element type that have no others. sum_double_kernels.h has the table
 * of their metrics; a term that is longer than an expression is a function here.
 *
 * sum_double_scalar.c, sum_double_avx2.c and sum_double_avx512.c each include this file, after naming its kernels with
 * RHUMB__SUM_DOUBLE(name); they differ only in the instructions that the compiler may use. Components are converted to
 * double in blocks. The loops over a block have a fixed length and no branches, so that compilers vectorise them.
 *
 * Summation order, the same everywhere: 32 sums take turns, then halves are added. Nothing is fused (see BUILD.bazel),
 * so all three files give the same bits.
 *
 * Squares and products of f32 fit into a double, whatever they are; those of f64 need not, and a sum that may have lost
 * some is taken again in long double (extreme.c).
 *
 * Integers of up to 32 bits are exact as doubles, and so are their differences; those of 64 bits are subtracted before
 * they are rounded, so that the distance of large numbers that are close together is not lost. Sums over types of 16
 * bits or fewer are exact for every dimension.
 *
 * No state, no locks, no failures.
 */
#include <math.h>

#include "base/assert.h"
#include "distances/element.h"
#include "distances/extreme.h"
#include "distances/guard.h"
#include "distances/kernel.h"
#include "distances/link_kernels.h"
#include "distances/raw.h"
#include "distances/sum_double_kernels.h"

/* Replaces a zero of which a logarithm is taken. So small that its products vanish next to any other term. */
#define LOGARITHM_MIN 1e-300
/* The same in Jeffreys' divergence, whose definition fixes it. */
#define JEFFREYS_MIN 1e-30

/* The inverse norms for which a dot product of doubles neither overflows nor loses anything to underflow. */
#define INVERSE_NORM_MIN 0x1p-500
#define INVERSE_NORM_MAX 0x1p500

/* The sums over f64 that are as right as their terms: 65,535 terms that underflow are nothing next to the smallest. */
#define SUM_MIN 0x1p-900
#define SUM_MAX 0x1p1000

/* Partial sums over components; `others` are the denominators of jaccard. */
struct sums {
    double of[RHUMB__BLOCK], others[RHUMB__BLOCK];
};

RHUMB__INLINE double larger(double a, double b) { return a > b ? a : b; }
RHUMB__INLINE double smaller(double a, double b) { return a < b ? a : b; }
RHUMB__INLINE double square(double a) { return a * a; }
RHUMB__INLINE double root(double a) { return sqrt(larger(a, 0.0)); }

/* What rounding has made negative is taken as 0. NaN stays NaN, of which rhumb__clamp makes the largest distance. */
RHUMB__INLINE double root_of_half(double a) { return sqrt(0.5 * (a < 0.0 ? 0.0 : a)); }

static __attribute__((noinline)) double add_lanes(const double *sums) {
    double left[RHUMB__BLOCK];
    memcpy(left, sums, sizeof left);
    for (size_t half = RHUMB__BLOCK / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) left[lane] += left[lane + half];
    }
    return left[0];
}

/* The natural logarithm of a positive number that is not subnormal, without a branch. With x = 2^k m and m between
 * sqrt(1/2) and sqrt(2), ln x = k ln 2 + 2 artanh f, f = (m - 1) / (m + 1), |f| < 0.172; the series of artanh ends
 * where f^22 is below the rounding of a double. Exactly 0 for 1. */
RHUMB__INLINE double logarithm(double x) {
    const uint64_t sqrt_half = UINT64_C(0x3FE6A09E667F3BCD), bias = UINT64_C(1023) << 52;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t biased_k = (bits - sqrt_half + bias) >> 52;
    /* Placed in the fraction of 2^52, an integer below 2^52 becomes a double without a conversion instruction. */
    const uint64_t k_bits = biased_k | UINT64_C(0x4330000000000000);
    const uint64_t m_bits = bits - (biased_k << 52) + bias;
    double k, m;
    memcpy(&k, &k_bits, sizeof k);
    memcpy(&m, &m_bits, sizeof m);
    k -= 0x1p52 + 1023.0;
    const double f = (m - 1.0) / (m + 1.0), s = f * f;
    double series = 1.0 / 21.0;
    series = series * s + 1.0 / 19.0;
    series = series * s + 1.0 / 17.0;
    series = series * s + 1.0 / 15.0;
    series = series * s + 1.0 / 13.0;
    series = series * s + 1.0 / 11.0;
    series = series * s + 1.0 / 9.0;
    series = series * s + 1.0 / 7.0;
    series = series * s + 1.0 / 5.0;
    series = series * s + 1.0 / 3.0;
    series = series * s + 1.0;
    return k * 0.693147180559945309417 + 2.0 * f * series;
}

/* p ln(p / m), 0 where p is 0. */
RHUMB__INLINE double divergence(double p, double m) {
    return p * logarithm(larger(p / larger(m, LOGARITHM_MIN), LOGARITHM_MIN));
}

/* Both factors have the same sign; taking the sizes makes the sum symmetric to the last bit. */
RHUMB__INLINE double jeffreys_term(double a, double b) {
    const double p = larger(a, JEFFREYS_MIN), q = larger(b, JEFFREYS_MIN);
    return fabs(a - b) * logarithm(p > q ? p / q : q / p);
}

RHUMB__INLINE double jensen_shannon_term(double a, double b) {
    const double m = 0.5 * (a + b);
    return divergence(a, m) + divergence(b, m);
}

/* The switches are resolved where these are inlined: the metric is a constant there. */
#define TERM_CASE(name, metric, term, raw)                                                                             \
    case RHUMB_METRIC_##metric: return term;

RHUMB__INLINE double term(rhumb_metric metric, double a, double b) {
    switch (metric) {
        RHUMB__SUM_DOUBLE_METRICS(TERM_CASE)
    default: return 0.0;
    }
}

#define RAW_CASE(name, metric, term, raw)                                                                              \
    case RHUMB_METRIC_##metric: return raw;

RHUMB__INLINE float raw_of_sum(const rhumb__space *space, rhumb_metric metric, double sum) {
    const enum rhumb__raw_form form = space->raw_form;
    switch (metric) {
        RHUMB__SUM_DOUBLE_METRICS(RAW_CASE)
    default: return FLT_MAX;
    }
}

RHUMB__INLINE void add_block(rhumb_metric metric, const double *a, const double *b, struct sums *sums) {
    for (size_t i = 0; i < RHUMB__BLOCK; i++) sums->of[i] += term(metric, a[i], b[i]);
    if (metric != RHUMB_METRIC_JACCARD) return;
    for (size_t i = 0; i < RHUMB__BLOCK; i++) sums->others[i] += larger(a[i], b[i]);
}

static __attribute__((noinline)) void load(const rhumb__space *space, const void *row, size_t first, size_t count,
                                           double *values) {
    RHUMB_ASSERT_DEBUG(count >= 1 && count <= RHUMB__BLOCK && first + count <= space->dim);
    rhumb__element_load(space->element, row, first, count, values);
}

/* Differences of 64-bit integers, rounded once. */
static void load_differences(const void *a, const void *b, size_t first, size_t count, double *values) {
    for (size_t i = 0; i < RHUMB__BLOCK; i++) values[i] = 0.0;
    for (size_t i = 0; i < count; i++) {
        int64_t x, y;
        memcpy(&x, (const char *)a + (first + i) * sizeof x, sizeof x);
        memcpy(&y, (const char *)b + (first + i) * sizeof y, sizeof y);
        values[i] = x > y ? (double)((uint64_t)x - (uint64_t)y) : -(double)((uint64_t)y - (uint64_t)x);
    }
}

/* Adds the whole blocks of rows of f32 to the sums and returns where they end. What load and add_block do, without the
 * way through memory: these are the rows that are measured again when a sum in f32 will not do. */
RHUMB__INLINE size_t add_f32_blocks(rhumb_metric metric, size_t dim, const char *a, const char *b, struct sums *sums) {
    struct sums local = {{0}, {0}};
    size_t first = 0;
    for (; first + RHUMB__BLOCK <= dim; first += RHUMB__BLOCK) {
        float x[RHUMB__BLOCK], y[RHUMB__BLOCK];
        memcpy(x, a + first * sizeof(float), sizeof x);
        memcpy(y, b + first * sizeof(float), sizeof y);
        for (size_t i = 0; i < RHUMB__BLOCK; i++) local.of[i] += term(metric, (double)x[i], (double)y[i]);
        if (metric != RHUMB_METRIC_JACCARD) continue;
        for (size_t i = 0; i < RHUMB__BLOCK; i++) local.others[i] += larger((double)x[i], (double)y[i]);
    }
    *sums = local;
    return first;
}

RHUMB__INLINE struct sums sum_all(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b) {
    const bool is_difference = metric == RHUMB_METRIC_L2SQ || metric == RHUMB_METRIC_L2 || metric == RHUMB_METRIC_L1;
    struct sums sums = {{0}, {0}};
    size_t first = 0;
    if (space->element == RHUMB_ELEMENT_F32) first = add_f32_blocks(metric, space->dim, a, b, &sums);
    for (; first < space->dim; first += RHUMB__BLOCK) {
        const size_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        double x[RHUMB__BLOCK], y[RHUMB__BLOCK];
        if (is_difference && space->element == RHUMB_ELEMENT_I64) {
            load_differences(a, b, first, count, x);
            for (size_t i = 0; i < RHUMB__BLOCK; i++) y[i] = 0.0;
        } else {
            load(space, a, first, count, x);
            load(space, b, first, count, y);
        }
        add_block(metric, x, y, &sums);
    }
    return sums;
}

/* The cosine of numbers so large or so small that their products leave the range of a double: computed from the vectors
 * divided by their largest components. */
static float scaled_cosine(const rhumb__space *space, const void *a, const void *b) {
    double x[RHUMB__BLOCK], y[RHUMB__BLOCK], largest_a = 0.0, largest_b = 0.0;
    for (size_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const size_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        load(space, a, first, count, x);
        load(space, b, first, count, y);
        for (size_t i = 0; i < RHUMB__BLOCK; i++) {
            largest_a = larger(fabs(x[i]), largest_a);
            largest_b = larger(fabs(y[i]), largest_b);
        }
    }
    double dot = 0.0, squares_a = 0.0, squares_b = 0.0;
    for (size_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
        const size_t left = space->dim - first, count = left < RHUMB__BLOCK ? left : RHUMB__BLOCK;
        load(space, a, first, count, x);
        load(space, b, first, count, y);
        for (size_t i = 0; i < RHUMB__BLOCK; i++) {
            const double p = x[i] / largest_a, q = y[i] / largest_b;
            dot += p * q;
            squares_a += p * p;
            squares_b += q * q;
        }
    }
    return rhumb__clamp(1.0 - dot / (sqrt(squares_a) * sqrt(squares_b)), 0.0f, 2.0f);
}

RHUMB__INLINE bool is_sound(double inverse_norm) {
    return inverse_norm >= INVERSE_NORM_MIN && inverse_norm <= INVERSE_NORM_MAX;
}

/* Whether a sum over f64 can have lost terms that count: it has overflowed, or is so small that terms may have become
 * 0. True of NaN. */
RHUMB__INLINE bool is_extreme(rhumb_metric metric, double sum) {
    const bool can_be = metric == RHUMB_METRIC_L2SQ || metric == RHUMB_METRIC_L2 || metric == RHUMB_METRIC_L1 ||
                        metric == RHUMB_METRIC_IP;
    return can_be && !(fabs(sum) >= SUM_MIN && fabs(sum) <= SUM_MAX);
}

static __attribute__((noinline)) float measure_extreme(const rhumb__space *space, rhumb_metric metric, const void *a,
                                                       const void *b, double sum) {
    const bool a_has_tiny = metric == RHUMB_METRIC_IP && sum == 0.0 && rhumb__has_tiny(space, a);
    if (sum == 0.0 && rhumb__is_zero(space, metric, a, b, a_has_tiny)) return 0.0f;
    return rhumb__extreme_measure(space, a, b);
}

RHUMB__INLINE float measure(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b) {
    if (metric == RHUMB_METRIC_COSINE) {
        const double inverse_a = rhumb__inverse_norm(space, a), inverse_b = rhumb__inverse_norm(space, b);
        if (inverse_a == 0.0 || inverse_b == 0.0) return 1.0f;
        if (!is_sound(inverse_a) || !is_sound(inverse_b)) return scaled_cosine(space, a, b);
        const struct sums sums = sum_all(space, metric, a, b);
        return raw_of_sum(space, metric, add_lanes(sums.of) * (inverse_a * inverse_b));
    }
    const struct sums sums = sum_all(space, metric, a, b);
    const double sum = add_lanes(sums.of);
    if (metric == RHUMB_METRIC_JACCARD) {
        const double other = add_lanes(sums.others);
        return other == 0.0 ? 0.0f : raw_of_sum(space, metric, sum / other);
    }
    if (space->element == RHUMB_ELEMENT_F64 && __builtin_expect(is_extreme(metric, sum), 0))
        return measure_extreme(space, metric, a, b, sum);
    return raw_of_sum(space, metric, sum);
}

#define DEFINE_SUM(name, metric, ...)                                                                                  \
    static float name(const rhumb__space *space, const void *a, const void *b) {                                       \
        return measure(space, RHUMB_METRIC_##metric, a, b);                                                            \
    }                                                                                                                  \
    RHUMB__DEFINE_KERNELS(RHUMB__SUM_DOUBLE(name), name)

RHUMB__SUM_DOUBLE_METRICS(DEFINE_SUM)

RHUMB__INLINE rhumb__link_sums link_sums(const rhumb__space *space, const void *a, const void *b) {
    const struct sums products = sum_all(space, RHUMB_METRIC_IP, a, b), squares = sum_all(space, RHUMB_METRIC_IP, b, b);
    return (rhumb__link_sums){.dot = add_lanes(products.of), .square_b = add_lanes(squares.of)};
}

RHUMB__DEFINE_LINK_FOUR(link_sums_of_four, link_sums)
RHUMB__DEFINE_LINK_KERNELS(RHUMB__SUM_DOUBLE(link_ip), link_ip, link_sums, link_sums_of_four)
