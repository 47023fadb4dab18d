// Goal: no input makes a distance NaN or infinite: not the largest or the smallest numbers that a user may store, and
// not the arbitrary bytes of a damaged file. Distances stay right over the whole range of f32. Method: every tier and
// metric over chosen and over random bit patterns, in both forms of the kernel. Random inputs; the seed is
// printed and RHUMB_SEED repeats it.
#include <algorithm>
#include <limits>

#include "tests/support/rows.h"

namespace {

class Extremes : public testing::TestWithParam<TierAndMetric> {
  protected:
    rhumb__space space(uint32_t dim) const { return space_for(GetParam().tier, GetParam().metric, dim); }

    // Measures in both forms, checks what is true of any bytes, and returns the metric's own value.
    float measure(const rhumb__space &in, const GuardedBytes &a, const GuardedBytes &b) const {
        float single = in.distance(&in, a.data(), b.data());
        const void *rows[5] = {b.data(), a.data(), b.data(), b.data(), b.data()};
        float many[5];
        in.distance_many(&in, a.data(), rows, 5, many);
        EXPECT_EQ(bits_of(many[0]), bits_of(single));
        EXPECT_EQ(bits_of(many[4]), bits_of(single));
        bool is_cosine = GetParam().metric == RHUMB_METRIC_COSINE;
        float low = is_cosine || GetParam().metric != RHUMB_METRIC_IP ? 0.0f : -FLT_MAX;
        for (float distance : many) {
            EXPECT_FALSE(std::isnan(distance));
            EXPECT_LE(std::fabs(distance), FLT_MAX);
            EXPECT_GE(rhumb__space_finish(&in, distance), low);
            EXPECT_LE(rhumb__space_finish(&in, distance), is_cosine ? 2.0f : FLT_MAX);
        }
        return rhumb__space_finish(&in, single);
    }
    // Checks the value against the reference, of which f32 holds no more than FLT_MAX.
    void expect_near(float found, const Reference &expected) const {
        const double value = std::min(std::max(expected.value, -double{FLT_MAX}), double{FLT_MAX});
        EXPECT_NEAR(found, value, expected.tolerance + 0x1p-149);
    }
    std::mt19937_64 random{choose_seed()};
};

INSTANTIATE_TEST_SUITE_P(, Extremes, testing::ValuesIn(all_tiers_and_metrics()), tier_and_metric_name);

TEST_P(Extremes, LargestComponents) {
    for (uint32_t dim : {1u, 2u, 15u, 16u, 17u, 100u, 129u}) {
        rhumb__space in = space(dim);
        std::vector<float> high(dim, FLT_MAX), low(dim, -FLT_MAX);
        GuardedBytes row_high = row_of(in, high), row_low = row_of(in, low);
        float same = measure(in, row_high, row_high), opposite = measure(in, row_high, row_low);
        bool is_cosine = GetParam().metric == RHUMB_METRIC_COSINE;
        if (is_cosine) {
            EXPECT_NEAR(same, 0.0f, 1e-5f);
            EXPECT_NEAR(opposite, 2.0f, 1e-5f);
        } else {
            EXPECT_EQ(same, GetParam().metric == RHUMB_METRIC_IP ? -FLT_MAX : 0.0f);
            EXPECT_EQ(opposite, FLT_MAX);
        }
    }
}

// Products of both signs overflow, so that the sum is infinity minus infinity.
TEST_P(Extremes, LargestComponentsOfMixedSigns) {
    for (uint32_t dim : {2u, 16u, 17u, 64u, 100u}) {
        rhumb__space in = space(dim);
        std::vector<float> a(dim, FLT_MAX), b(dim, FLT_MAX);
        for (uint32_t i = 0; i < dim; i++) a[i] = random() % 2 != 0 ? FLT_MAX : -FLT_MAX;
        float found = measure(in, row_of(in, a), row_of(in, b));
        expect_near(found, reference(GetParam().metric, a, b));
    }
}

TEST_P(Extremes, ZeroVectors) {
    for (uint32_t dim : {1u, 16u, 100u}) {
        rhumb__space in = space(dim);
        std::vector<float> zero(dim, 0.0f), negative_zero(dim, -0.0f), one(dim, 1.0f), huge(dim, FLT_MAX);
        bool is_l2 = GetParam().metric == RHUMB_METRIC_L2SQ || GetParam().metric == RHUMB_METRIC_L2;
        EXPECT_EQ(measure(in, row_of(in, zero), row_of(in, negative_zero)), is_l2 ? 0.0f : 1.0f);
        expect_near(measure(in, row_of(in, zero), row_of(in, one)), reference(GetParam().metric, zero, one));
        expect_near(measure(in, row_of(in, huge), row_of(in, zero)), reference(GetParam().metric, huge, zero));
    }
}

// Norms from the smallest subnormal to beyond FLT_MAX, each with each.
TEST_P(Extremes, EveryMagnitudeWithEveryOther) {
    constexpr uint32_t dim = 37;
    rhumb__space in = space(dim);
    for (int exponent_a = -149; exponent_a <= 124; exponent_a += 13) {
        for (int exponent_b = -149; exponent_b <= 124; exponent_b += 13) {
            std::vector<float> a = random_vector(random, dim), b = random_vector(random, dim);
            /* Kept under 8, so that the scaled ones stay finite, and over a half, so that the smallest is not all
             * zeros. */
            for (float &x : a) x = std::ldexp(std::copysign(std::fmin(std::fabs(x) + 0.5f, 7.0f), x), exponent_a);
            for (float &x : b) x = std::ldexp(std::copysign(std::fmin(std::fabs(x) + 0.5f, 7.0f), x), exponent_b);
            float found = measure(in, row_of(in, a), row_of(in, b));
            expect_near(found, reference(GetParam().metric, a, b));
            ASSERT_FALSE(HasFailure()) << exponent_a << " " << exponent_b;
        }
    }
}

TEST_P(Extremes, ArbitraryBytesStillSort) {
    const float specials[] = {std::numeric_limits<float>::quiet_NaN(),
                              -std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::denorm_min(),
                              FLT_MAX,
                              -FLT_MAX,
                              0.0f,
                              1.0f};
    for (int round = 0; round < 3000; round++) {
        uint32_t dim = 1 + static_cast<uint32_t>(random() % 140);
        rhumb__space in = space(dim);
        GuardedBytes a(in.row_bytes), b(in.row_bytes);
        unsigned special_percent = static_cast<unsigned>(random() % 101);
        for (uint32_t i = 0; i < in.row_bytes / sizeof(float); i++) {
            for (float *component : {a.floats() + i, b.floats() + i}) {
                uint32_t any = static_cast<uint32_t>(random());
                if (random() % 100 < special_percent) {
                    *component = specials[random() % (sizeof specials / sizeof specials[0])];
                } else {
                    memcpy(component, &any, sizeof any);
                }
            }
        }
        measure(in, a, b);
        ASSERT_FALSE(HasFailure()) << "dim " << dim << " round " << round;
    }
}

// One bad component, at each place, among ordinary ones: a NaN sorts after everything.
TEST_P(Extremes, ANanAnywhereInARowIsTheLargestDistance) {
    constexpr uint32_t dim = 71;
    rhumb__space in = space(dim);
    GuardedBytes a = row_of(in, random_vector(random, dim)), b = row_of(in, random_vector(random, dim));
    float worst = GetParam().metric == RHUMB_METRIC_COSINE ? 2.0f : FLT_MAX;
    for (uint32_t i = 0; i < in.row_bytes / sizeof(float); i++) {
        float good = b.floats()[i];
        b.floats()[i] = std::numeric_limits<float>::quiet_NaN();
        float found = measure(in, a, b);
        /* A cosine whose stored inverse norm is NaN is measured from its components, which are fine. */
        if (i < dim) {
            EXPECT_EQ(found, worst) << "component " << i;
        }
        b.floats()[i] = good;
    }
}

} // namespace
