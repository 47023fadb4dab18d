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
 * Integers of up to 32 bits are exact as doubles, and so are their differences; those of 64 bits are subtracted before
 * they are rounded, so that the distance of large numbers that are close together is not lost. Sums over types of 16
 * bits or fewer are exact for every dimension.
 *
 * No state, no locks, no failures.
 */
#include <math.h>

#include "base/assert.h"
#include "distances/element.h"
#include "distances/kernel.h"
#include "distances/sum_double_kernels.h"

/* Replaces a zero of which a logarithm is taken. So small that its products vanish next to any other term. */
#define LOGARITHM_MIN 1e-300
/* The same in Jeffreys' divergence, whose definition fixes it. */
#define JEFFREYS_MIN 1e-30

/* The inverse norms for which a dot product of doubles neither overflows nor loses anything to underflow. */
#define INVERSE_NORM_MIN 0x1p-500
#define INVERSE_NORM_MAX 0x1p500

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
#define TERM_CASE(name, metric, term, ...)                                                                             \
    case RHUMB_METRIC_##metric: return term;

RHUMB__INLINE double term(rhumb_metric metric, double a, double b) {
    switch (metric) {
        RHUMB__SUM_DOUBLE_METRICS(TERM_CASE)
    default: return 0.0;
    }
}

#define DISTANCE_CASE(name, metric, term, distance, low, high)                                                         \
    case RHUMB_METRIC_##metric: return rhumb__clamp(distance, low, high);

RHUMB__INLINE float distance_of(rhumb_metric metric, double sum) {
    switch (metric) {
        RHUMB__SUM_DOUBLE_METRICS(DISTANCE_CASE)
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

RHUMB__INLINE struct sums sum_all(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b) {
    const bool is_difference = metric == RHUMB_METRIC_L2SQ || metric == RHUMB_METRIC_L2 || metric == RHUMB_METRIC_L1;
    struct sums sums = {{0}, {0}};
    for (size_t first = 0; first < space->dim; first += RHUMB__BLOCK) {
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

RHUMB__INLINE float measure(const rhumb__space *space, rhumb_metric metric, const void *a, const void *b) {
    if (metric == RHUMB_METRIC_COSINE) {
        const double inverse_a = rhumb__inverse_norm(space, a), inverse_b = rhumb__inverse_norm(space, b);
        if (inverse_a == 0.0 || inverse_b == 0.0) return 1.0f;
        if (!is_sound(inverse_a) || !is_sound(inverse_b)) return scaled_cosine(space, a, b);
        const struct sums sums = sum_all(space, metric, a, b);
        return distance_of(metric, add_lanes(sums.of) * (inverse_a * inverse_b));
    }
    const struct sums sums = sum_all(space, metric, a, b);
    const double sum = add_lanes(sums.of);
    if (metric != RHUMB_METRIC_JACCARD) return distance_of(metric, sum);
    const double other = add_lanes(sums.others);
    return other == 0.0 ? 0.0f : distance_of(metric, sum / other);
}

#define DEFINE_SUM(name, metric, ...)                                                                                  \
    static float name(const rhumb__space *space, const void *a, const void *b) {                                       \
        return measure(space, RHUMB_METRIC_##metric, a, b);                                                            \
    }                                                                                                                  \
    RHUMB__DEFINE_KERNELS(RHUMB__SUM_DOUBLE(name), name)

RHUMB__SUM_DOUBLE_METRICS(DEFINE_SUM)
