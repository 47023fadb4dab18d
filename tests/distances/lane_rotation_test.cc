// Goal: the rotation of lanes is what rotation.h says, keeps norms and dot products, spreads what is in one component
// over all, and is the same in every tier. Method: the definition computed in double, with the Hadamard matrix as the
// parity of index bits; random vectors. Linked once with the kernels of this processor and once with emulated ones.
// Random inputs; the seed is printed and RHUMB_SEED repeats it.
#include "tests/support/lanes.h"

namespace {

using namespace lanes;

class LaneRotation : public testing::Test {
  protected:
    rhumb__lane_space space(uint32_t dim, uint32_t padded_dim = 0, rhumb__simd tier = best_tier_to_test()) {
        rhumb__lane_spec spec = spec_of(RHUMB__LANE_L2SQ, dim, 1, seed);
        spec.padded_dim = padded_dim;
        return space_of(spec, tier);
    }
    Random random{choose_seed()};
    const uint64_t seed = random();
};

// SplitMix64's word k, from its authors' description: a counter, then a mix.
uint64_t split_mix(uint64_t seed, uint64_t k) {
    uint64_t z = seed + (k + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

std::vector<double> rotated_by_definition(uint64_t seed, uint32_t padded_dim, const Vector &vector) {
    std::vector<double> values(padded_dim);
    for (size_t i = 0; i < vector.size(); i++) values[i] = vector[i];
    uint32_t transform_dim = 1;
    while (transform_dim * 2 <= padded_dim) transform_dim *= 2;
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t j = 0; j < padded_dim; j++) {
            if (split_mix(seed, round * ((padded_dim + 63) / 64) + j / 64) >> j % 64 & 1) values[j] = -values[j];
        }
        const uint32_t first = round % 2 == 0 ? 0 : padded_dim - transform_dim;
        const std::vector<double> before = values;
        for (uint32_t i = 0; i < transform_dim; i++) {
            double sum = 0;
            for (uint32_t j = 0; j < transform_dim; j++) {
                sum += __builtin_parity(i & j) ? -before[first + j] : before[first + j];
            }
            values[first + i] = sum / std::sqrt(double(transform_dim));
        }
        if (transform_dim == padded_dim || round % 2 == 0) continue;
        for (uint32_t i = 0; i < padded_dim / 2; i++) {
            const double a = values[i], b = values[padded_dim / 2 + i], scale = round == 1 ? 0.5 : 1;
            values[i] = (a + b) * scale;
            values[padded_dim / 2 + i] = (a - b) * scale;
        }
    }
    return values;
}

TEST_F(LaneRotation, IsWhatItsDefinitionSays) {
    for (uint32_t dim : {1u, 16u, 17u, 32u, 48u, 64u, 100u, 112u, 128u, 144u, 200u, 240u, 272u, 800u}) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__lane_space in = space(dim, 0, tier);
            const Vector vector = random_vector(random, dim);
            const std::vector<double> expected = rotated_by_definition(seed, in.rotation.padded_dim, vector);
            const Vector found = rotated(in, vector);
            for (size_t i = 0; i < found.size(); i++) {
                ASSERT_NEAR(found[i], expected[i], 3e-6 * std::sqrt(dot(vector, vector)))
                    << "dim " << dim << " component " << i << " " << rhumb__simd_name(tier);
            }
        }
    }
}

TEST_F(LaneRotation, KeepsNormsAndDotProducts) {
    std::vector<uint32_t> dims = dims_to_test();
    dims.insert(dims.end(), {16384, RHUMB_DIM_MAX});
    for (uint32_t dim : dims) {
        const rhumb__lane_space in = space(dim);
        const Vector a = random_vector(random, dim), b = random_vector(random, dim, 3.0f);
        const Vector rotated_a = rotated(in, a), rotated_b = rotated(in, b);
        const double norms = std::sqrt(dot(a, a) * dot(b, b));
        ASSERT_NEAR(dot(rotated_a, rotated_a), dot(a, a), 4e-6 * dot(a, a)) << "dim " << dim;
        ASSERT_NEAR(dot(rotated_a, rotated_b), dot(a, b), 4e-6 * norms) << "dim " << dim;
    }
}

TEST_F(LaneRotation, GivesTheSameBitsInEveryTier) {
    std::vector<uint32_t> dims = dims_to_test();
    dims.insert(dims.end(), {8192, 9000, RHUMB_DIM_MAX});
    for (uint32_t dim : dims) {
        const Vector vector = random_vector(random, dim);
        const Vector expected = rotated(space(dim, 0, RHUMB__SIMD_SCALAR), vector);
        for (rhumb__simd tier : tiers_to_test()) {
            const Vector found = rotated(space(dim, 0, tier), vector);
            ASSERT_EQ(memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0)
                << "dim " << dim << " " << rhumb__simd_name(tier);
        }
    }
}

// Components of a random unit vector have a deviation of 1/sqrt(D); seven times that is not met by chance, and less
// than what mixing after every round leaves.
TEST_F(LaneRotation, SpreadsEachComponentOverAll) {
    for (uint32_t dim : {112u, 128u, 384u, 800u, 1008u}) {
        const rhumb__lane_space in = space(dim);
        const double largest_allowed = 7 / std::sqrt(double(dim));
        for (uint32_t i = 0; i < dim; i++) {
            Vector unit(dim);
            unit[i] = 1;
            for (float component : rotated(in, unit)) ASSERT_LT(std::fabs(component), largest_allowed) << i;
        }
    }
}

TEST_F(LaneRotation, DependsOnTheSeed) {
    const Vector vector = random_vector(random, 100);
    const Vector expected = rotated(space(100), vector);
    for (uint64_t bit = 0; bit < 64; bit++) {
        const Vector other = rotated(space_of(spec_of(RHUMB__LANE_L2SQ, 100, 1, seed ^ UINT64_C(1) << bit)), vector);
        EXPECT_GT(squared_distance(other, expected), dot(vector, vector) / 2) << "bit " << bit;
    }
}

TEST_F(LaneRotation, ReadsTheVectorAlone) {
    for (uint32_t dim : {1u, 15u, 16u, 100u, 112u, 300u, 784u}) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__lane_space in = space(dim, 0, tier);
            const Vector vector = random_vector(random, dim);
            const Vector expected = rotated(in, vector);
            GuardedBytes from(dim * sizeof(float)), to(in.rotation.padded_dim * sizeof(float));
            memcpy(from.data(), vector.data(), dim * sizeof(float));
            memset(to.data(), 0x7F, in.rotation.padded_dim * sizeof(float));
            rhumb__lanes_rotate(&in, from.floats(), to.floats());
            ASSERT_EQ(memcmp(to.data(), expected.data(), expected.size() * sizeof(float)), 0) << "dim " << dim;
        }
    }
}

// The vector is chosen such that all components are equal when the first transform adds them.
TEST_F(LaneRotation, OverflowsOnlyWhereTwiceTheNormDoes) {
    for (uint32_t dim : {16u, 32u, 112u, 128u, 800u, 2048u}) {
        for (rhumb__simd tier : tiers_to_test()) {
            Vector vector(dim);
            for (uint32_t j = 0; j < dim; j++) {
                const bool flips = (split_mix(seed, j / 64) >> j % 64 & 1) != 0;
                vector[j] = (flips ? -1.5e38f : 1.5e38f) / std::sqrt(float(dim));
            }
            for (float component : rotated(space(dim, 0, tier), vector)) ASSERT_TRUE(std::isfinite(component)) << dim;
        }
    }
}

TEST_F(LaneRotation, PadsToTheNextMultipleOf16OrToMore) {
    EXPECT_EQ(space(1).rotation.padded_dim, 16u);
    EXPECT_EQ(space(16).rotation.padded_dim, 16u);
    EXPECT_EQ(space(100).rotation.padded_dim, 112u);
    EXPECT_EQ(space(784).rotation.padded_dim, 784u);
    EXPECT_EQ(space(RHUMB_DIM_MAX).rotation.padded_dim, 65536u);
    const rhumb__lane_space wider = space(100, 128);
    EXPECT_EQ(wider.rotation.padded_dim, 128u);
    EXPECT_EQ(wider.block_bytes, 64u + 256u);
    const Vector vector = random_vector(random, 100);
    EXPECT_NEAR(dot(rotated(wider, vector), rotated(wider, vector)), dot(vector, vector), 1e-4);
}

TEST_F(LaneRotation, RejectsWhatIsNotASpace) {
    rhumb__lane_space space;
    const rhumb__lane_spec good = spec_of(RHUMB__LANE_DOT, 100, 2, 1);
    EXPECT_EQ(rhumb__lane_space_init(&space, &good), RHUMB_OK);
    const auto rejects = [&](void (*change)(rhumb__lane_spec *)) {
        rhumb__lane_spec spec = good;
        change(&spec);
        return rhumb__lane_space_init(&space, &spec) == RHUMB_E_INVALID;
    };
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->form = static_cast<rhumb__lane_form>(2); }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->dim = 0; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->dim = RHUMB_DIM_MAX + 1; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->dim = UINT32_MAX; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->bits = 0; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->bits = 3; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->padded_dim = 96; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->padded_dim = 120; }));
    EXPECT_TRUE(rejects([](rhumb__lane_spec *spec) { spec->padded_dim = 65552; }));
}

} // namespace
