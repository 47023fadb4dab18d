// Goal: the f32 kernels of every tier compute their metric at every dimension, read no byte after a row, and give the
// same bits in their two forms. Method: comparison with a reference in double; rows that end at an inaccessible page,
// which over all dimensions places them at every alignment of four bytes. Linked once with the kernels of this
// processor and once with emulated ones of all tiers. Random inputs; the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>
#include <numeric>

#include "tests/support/rows.h"

namespace {

class Kernels : public testing::TestWithParam<TierAndMetric> {
  protected:
    rhumb__space space(uint32_t dim) const { return space_for(GetParam().tier, GetParam().metric, dim); }
    std::mt19937_64 random{choose_seed()};
};

INSTANTIATE_TEST_SUITE_P(, Kernels, testing::ValuesIn(all_tiers_and_metrics()), tier_and_metric_name);

// All to 300, which covers every kind of tail, then random ones.
std::vector<uint32_t> dims_to_test(std::mt19937_64 &random) {
    std::vector<uint32_t> dims(300);
    std::iota(dims.begin(), dims.end(), 1);
    for (int i = 0; i < 24; i++) dims.push_back(301 + static_cast<uint32_t>(random() % 1748));
    dims.push_back(2048);
    return dims;
}

TEST_P(Kernels, AgreeWithTheReferenceAtEveryDimension) {
    for (uint32_t dim : dims_to_test(random)) {
        rhumb__space in = space(dim);
        std::vector<float> a = random_vector(random, dim), b = random_vector(random, dim);
        GuardedBytes row_a = row_of(in, a), row_b = row_of(in, b);
        Reference expected = reference(GetParam().metric, a, b);
        float found = rhumb__space_finish(&in, in.distance(&in, row_a.data(), row_b.data()));
        ASSERT_NEAR(found, expected.value, expected.tolerance) << "dim " << dim;
    }
}

TEST_P(Kernels, AgreeWithTheReferenceAtTheLargestDimension) {
    rhumb__space in = space(RHUMB_DIM_MAX);
    std::vector<float> a = random_vector(random, in.dim), b = random_vector(random, in.dim);
    GuardedBytes row_a = row_of(in, a), row_b = row_of(in, b);
    Reference expected = reference(GetParam().metric, a, b);
    float found = rhumb__space_finish(&in, in.distance(&in, row_a.data(), row_b.data()));
    EXPECT_NEAR(found, expected.value, expected.tolerance);
}

// In each round only two components are not zero: a lane that is dropped, read twice or taken from the wrong place is
// noticed, whatever the rounding.
TEST_P(Kernels, TakeEveryComponentExactlyOnce) {
    for (uint32_t dim : {1u, 7u, 8u, 31u, 33u, 64u, 100u, 127u, 128u, 129u}) {
        rhumb__space in = space(dim);
        for (uint32_t i = 0; i < dim; i++) {
            std::vector<float> a(dim, 0.0f), b(dim, 0.0f);
            a[(i * 37 + 1) % dim] = 1.0f; /* anywhere: gives cosine an angle to measure */
            a[i] = 3.0f;
            b[i] = 2.0f;
            GuardedBytes row_a = row_of(in, a), row_b = row_of(in, b);
            float found = rhumb__space_finish(&in, in.distance(&in, row_a.data(), row_b.data()));
            ASSERT_NEAR(found, reference(GetParam().metric, a, b).value, 1e-6) << "dim " << dim << " component " << i;
        }
    }
}

TEST_P(Kernels, GiveTheSameBitsForOneRowAndForMany) {
    for (uint32_t dim : {1u, 3u, 16u, 25u, 63u, 64u, 65u, 100u, 127u, 130u, 333u, 784u}) {
        rhumb__space in = space(dim);
        GuardedBytes query = row_of(in, random_vector(random, dim));
        std::vector<GuardedBytes> rows;
        for (int i = 0; i < 70; i++) rows.push_back(row_of(in, random_vector(random, dim)));
        std::vector<const void *> addresses;
        for (size_t count = 0; count <= rows.size(); count++) {
            GuardedBytes distances(count * sizeof(float));
            in.distance_many(&in, query.data(), addresses.data(), count, distances.floats());
            for (size_t i = 0; i < count; i++) {
                float single = in.distance(&in, query.data(), addresses[i]);
                ASSERT_EQ(bits_of(distances.floats()[i]), bits_of(single))
                    << "dim " << dim << " row " << i << "/" << count;
            }
            if (count < rows.size()) addresses.push_back(rows[count].data());
        }
    }
}

TEST_P(Kernels, WriteNothingForNoRows) {
    rhumb__space in = space(10);
    GuardedBytes query = row_of(in, random_vector(random, 10));
    float untouched = 42.0f;
    in.distance_many(&in, query.data(), nullptr, 0, &untouched);
    EXPECT_EQ(untouched, 42.0f);
}

TEST_P(Kernels, MeasureTheSameRowGivenSeveralTimes) {
    rhumb__space in = space(100);
    GuardedBytes query = row_of(in, random_vector(random, 100)), row = row_of(in, random_vector(random, 100));
    std::vector<const void *> addresses(11, row.data());
    addresses[5] = query.data();
    std::vector<float> distances(addresses.size());
    in.distance_many(&in, query.data(), addresses.data(), addresses.size(), distances.data());
    for (size_t i = 0; i < addresses.size(); i++) {
        EXPECT_EQ(bits_of(distances[i]), bits_of(in.distance(&in, query.data(), addresses[i])));
    }
}

TEST_P(Kernels, DoNotDependOnAlignment) {
    constexpr uint32_t dim = 117;
    rhumb__space in = space(dim);
    std::vector<float> a = random_vector(random, dim), b = random_vector(random, dim);
    GuardedBytes row_a = row_of(in, a), row_b = row_of(in, b);
    uint32_t expected = bits_of(in.distance(&in, row_a.data(), row_b.data()));
    alignas(64) static float memory[2][dim + 17];
    for (size_t shift_a = 0; shift_a < 16; shift_a++) {
        for (size_t shift_b = 0; shift_b < 16; shift_b++) {
            memcpy(memory[0] + shift_a, row_a.data(), in.row_bytes);
            memcpy(memory[1] + shift_b, row_b.data(), in.row_bytes);
            ASSERT_EQ(bits_of(in.distance(&in, memory[0] + shift_a, memory[1] + shift_b)), expected);
        }
    }
}

TEST_P(Kernels, AreSymmetricBitForBit) {
    for (uint32_t dim : dims_to_test(random)) {
        rhumb__space in = space(dim);
        GuardedBytes a = row_of(in, random_vector(random, dim)), b = row_of(in, random_vector(random, dim, 3.0f));
        ASSERT_EQ(bits_of(in.distance(&in, a.data(), b.data())), bits_of(in.distance(&in, b.data(), a.data())));
    }
}

TEST_P(Kernels, FindAVectorNextToItself) {
    for (uint32_t dim : dims_to_test(random)) {
        rhumb__space in = space(dim);
        std::vector<float> vector = random_vector(random, dim, 5.0f);
        GuardedBytes a = row_of(in, vector), b = row_of(in, vector);
        float found = rhumb__space_finish(&in, in.distance(&in, a.data(), b.data()));
        Reference expected = reference(GetParam().metric, vector, vector);
        if (GetParam().metric == RHUMB_METRIC_L2SQ || GetParam().metric == RHUMB_METRIC_L2) {
            ASSERT_EQ(found, 0.0f);
        } else {
            ASSERT_NEAR(found, expected.value, expected.tolerance) << "dim " << dim;
        }
    }
}

class KernelsOfL2 : public testing::TestWithParam<rhumb__simd> {};

INSTANTIATE_TEST_SUITE_P(, KernelsOfL2, testing::ValuesIn(tiers_to_test()),
                         [](const auto &info) { return std::string(rhumb__simd_name(info.param)); });

TEST_P(KernelsOfL2, KeepTheTriangleInequality) {
    std::mt19937_64 random(choose_seed());
    for (int round = 0; round < 300; round++) {
        uint32_t dim = 1 + static_cast<uint32_t>(random() % 200);
        rhumb__space in = space_for(GetParam(), RHUMB_METRIC_L2, dim);
        std::vector<float> a = random_vector(random, dim), c = random_vector(random, dim), b(dim);
        float share = static_cast<float>(random() % 1000) / 1000.0f; /* b on the line between them: the tight case */
        for (uint32_t i = 0; i < dim; i++) b[i] = a[i] + share * (c[i] - a[i]);
        GuardedBytes row_a = row_of(in, a), row_b = row_of(in, b), row_c = row_of(in, c);
        auto l2 = [&](const GuardedBytes &x, const GuardedBytes &y) {
            return static_cast<double>(rhumb__space_finish(&in, in.distance(&in, x.data(), y.data())));
        };
        double direct = l2(row_a, row_c), detour = l2(row_a, row_b) + l2(row_b, row_c);
        ASSERT_LE(direct, detour + 3 * reference(RHUMB_METRIC_L2, a, c).tolerance) << "dim " << dim;
    }
}

TEST_P(Kernels, OrderRowsAsTheReferenceDoes) {
    constexpr uint32_t dim = 48;
    rhumb__space in = space(dim);
    std::vector<float> origin = random_vector(random, dim);
    GuardedBytes query = row_of(in, origin);
    for (int round = 0; round < 300; round++) {
        std::vector<float> a = random_vector(random, dim), b = random_vector(random, dim);
        GuardedBytes row_a = row_of(in, a), row_b = row_of(in, b);
        Reference to_a = reference(GetParam().metric, origin, a), to_b = reference(GetParam().metric, origin, b);
        if (std::fabs(to_a.value - to_b.value) <= to_a.tolerance + to_b.tolerance) continue;
        ASSERT_EQ(in.distance(&in, query.data(), row_a.data()) < in.distance(&in, query.data(), row_b.data()),
                  to_a.value < to_b.value);
    }
}

TEST(Dispatch, HasNoKernelsForNumbersThatNameNothing) {
    EXPECT_EQ(rhumb__kernels_for(RHUMB__SIMD_SCALAR, static_cast<rhumb_metric>(0), RHUMB_ELEMENT_F32), nullptr);
    EXPECT_EQ(rhumb__kernels_for(RHUMB__SIMD_SCALAR, RHUMB_METRIC_L2, static_cast<rhumb_element>(77)), nullptr);
}

TEST(Dispatch, HasADifferentKernelForEachTier) {
    for (rhumb_metric metric : all_metrics()) {
        std::vector<rhumb__distance_fn> seen;
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__kernels *kernels = rhumb__kernels_for(tier, metric, RHUMB_ELEMENT_F32);
            ASSERT_NE(kernels, nullptr);
            EXPECT_EQ(std::count(seen.begin(), seen.end(), kernels->distance), 0);
            seen.push_back(kernels->distance);
        }
    }
}

} // namespace
