// Goal: a block holds what block.h says, whatever the vectors: codes, factors, empty lanes; the same bytes in every
// tier, and no byte after the block. Method: blocks read by their layout alone, compared with the formulas in double;
// vectors of all magnitudes. Linked once with the kernels of this processor and once with emulated ones. Random inputs;
// the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>
#include <functional>

#include "tests/support/lanes.h"

namespace {

using namespace lanes;

class LaneEncode : public testing::TestWithParam<FormAndBits> {
  protected:
    rhumb__lane_space space(uint32_t dim, rhumb__simd tier = best_tier_to_test()) {
        return space_of(spec_of(GetParam().form, dim, GetParam().bits, 1), tier);
    }
    Vector vector(uint32_t dim, float scale = 1.0f) { return random_vector(random, dim, scale); }
    std::vector<Vector> vectors(uint32_t count, uint32_t dim, float scale = 1.0f) {
        std::vector<Vector> all;
        for (uint32_t i = 0; i < count; i++) all.push_back(vector(dim, scale));
        return all;
    }
    Random random{choose_seed()};
};

INSTANTIATE_TEST_SUITE_P(, LaneEncode, testing::ValuesIn(all_forms_and_bits()), form_and_bits_name);

// The sums of r, z and c of which factors are made.
struct Sums {
    double square = 0, product = 0, code_square = 0, node_code = 0, node_product = 0;
};

Sums sums_of(const Vector &node, const Vector &neighbour, const std::vector<double> &z) {
    Sums sums;
    for (size_t i = 0; i < z.size(); i++) {
        const double c = node[i], r = double(neighbour[i]) - c;
        sums.square += r * r;
        sums.product += r * z[i];
        sums.code_square += z[i] * z[i];
        sums.node_code += c * z[i];
        sums.node_product += r * c;
    }
    return sums;
}

// Vectors that are rotated already: any will do.
TEST_P(LaneEncode, GivesTheSameBytesInEveryTier) {
    for (uint32_t dim : dims_to_test()) {
        const uint32_t padded_dim = space(dim).rotation.padded_dim;
        const Vector node = vector(padded_dim);
        const std::vector<Vector> neighbours = vectors(static_cast<uint32_t>(random() % 17), padded_dim);
        const rhumb__lane_space scalar = space(dim, RHUMB__SIMD_SCALAR);
        const GuardedBytes expected = block_of(scalar, node, neighbours);
        for (rhumb__simd tier : tiers_to_test()) {
            const GuardedBytes found = block_of(space(dim, tier), node, neighbours, 0x5A);
            ASSERT_EQ(memcmp(found.data(), expected.data(), scalar.block_bytes), 0)
                << "dim " << dim << " " << rhumb__simd_name(tier);
        }
    }
}

TEST_P(LaneEncode, KeepsTheSignsInPlane0) {
    for (uint32_t dim : {16u, 48u, 112u, 800u}) {
        const rhumb__lane_space in = space(dim);
        const Vector node = vector(dim);
        const std::vector<Vector> neighbours = vectors(kLanes, dim);
        const GuardedBytes block = block_of(in, node, neighbours);
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            for (uint32_t i = 0; i < dim; i++) {
                ASSERT_EQ(code_bit(in, block.data(), 0, lane, i), neighbours[lane][i] > node[i])
                    << "dim " << dim << " lane " << lane << " component " << i;
            }
        }
    }
}

// The best code of two bits takes a threshold between two sizes: all of them are tried.
TEST_P(LaneEncode, ChoosesAlmostTheBestSizes) {
    if (GetParam().bits == 1) return;
    const uint32_t dim = 384;
    const rhumb__lane_space in = space(dim);
    const Vector node = vector(dim);
    const std::vector<Vector> neighbours = vectors(kLanes, dim);
    const GuardedBytes block = block_of(in, node, neighbours);
    for (uint32_t lane = 0; lane < kLanes; lane++) {
        const Sums found = sums_of(node, neighbours[lane], code_of(in, block.data(), lane));
        std::vector<double> sizes;
        for (uint32_t i = 0; i < dim; i++) sizes.push_back(std::fabs(double(neighbours[lane][i]) - double(node[i])));
        std::sort(sizes.rbegin(), sizes.rend());
        double product = 0, best = 0;
        for (double size : sizes) product += size / 2;
        for (uint32_t large = 0; large <= dim; large++) {
            best = std::max(best, product / std::sqrt(dim / 4.0 + 2.0 * large));
            if (large < dim) product += sizes[large];
        }
        EXPECT_GT(found.product / std::sqrt(found.code_square), 0.996 * best) << "lane " << lane;
    }
}

TEST_P(LaneEncode, KeepsFactorsToElevenBits) {
    for (float scale : {1e-12f, 1.0f, 3e4f, 1e12f}) {
        const uint32_t dim = 112;
        const rhumb__lane_space in = space(dim);
        const Vector node = vector(dim, 3 * scale);
        const std::vector<Vector> neighbours = vectors(kLanes, dim, scale);
        const GuardedBytes block = block_of(in, node, neighbours);
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            const Sums sums = sums_of(node, neighbours[lane], code_of(in, block.data(), lane));
            const bool l2 = GetParam().form == RHUMB__LANE_L2SQ;
            const double slope = (l2 ? 2 : 1) * sums.square / sums.product;
            const double found_slope = slope_of(block.data(), lane);
            ASSERT_NEAR(found_slope, slope, slope * 0x1.1p-11) << "scale " << scale << " lane " << lane;
            const double base = (l2 ? sums.square : -sums.node_product) + found_slope * sums.node_code;
            ASSERT_NEAR(base_of(block.data(), lane), base, std::fabs(base) * 0x1.1p-11 + 1e-5 * sums.square)
                << "scale " << scale << " lane " << lane;
        }
    }
}

// The base is made with the slope that the block holds: an error of the slope does not count for vectors far away. What
// is left is half a unit in the last place of the base, and what sums in f32 lose.
TEST_P(LaneEncode, MakesUpForRoundedSlopes) {
    const uint32_t dim = 384;
    const rhumb__lane_space in = space(dim);
    const Vector node = vector(dim, 300);
    std::vector<Vector> neighbours = vectors(kLanes, dim);
    for (Vector &neighbour : neighbours) {
        for (uint32_t i = 0; i < dim; i++) neighbour[i] += node[i];
    }
    const GuardedBytes block = block_of(in, node, neighbours);
    for (uint32_t lane = 0; lane < kLanes; lane++) {
        const Sums sums = sums_of(node, neighbours[lane], code_of(in, block.data(), lane));
        const double own = GetParam().form == RHUMB__LANE_L2SQ ? sums.square : -sums.node_product;
        const double slope = slope_of(block.data(), lane), expected = own + slope * sums.node_code;
        const double half_unit = std::ldexp(1.0, std::ilogb(expected) - 11);
        EXPECT_NEAR(base_of(block.data(), lane), expected, half_unit + 1e-6 * slope * 300 * dim) << "lane " << lane;
    }
}

TEST_P(LaneEncode, LeavesLanesWithoutNeighbourEmpty) {
    for (uint32_t count : {0u, 1u, 7u, 8u, 15u, 16u}) {
        const rhumb__lane_space in = space(100);
        const uint32_t dim = in.rotation.padded_dim;
        const GuardedBytes block = block_of(in, vector(dim), vectors(count, dim));
        const Query query(in, vector(dim));
        const Scanned scanned = scan(query.query, block.data(), 1.0f);
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            ASSERT_EQ(std::isinf(scanned.estimates[lane]), lane >= count) << "lane " << lane << " of " << count;
        }
        ASSERT_EQ(scanned.below, (1u << count) - 1);
    }
}

TEST_P(LaneEncode, EstimatesEqualVectorsAsTheNode) {
    for (float scale : {1e-40f, 1e-3f, 1.0f, 1e10f, 1e30f}) {
        const rhumb__lane_space in = space(100);
        const uint32_t dim = in.rotation.padded_dim;
        const Vector node = vector(dim, scale);
        const GuardedBytes block = block_of(in, node, {node, vector(dim, scale), node});
        const Query query(in, vector(dim));
        const float node_distance = 0.7f;
        const Scanned scanned = scan(query.query, block.data(), node_distance);
        EXPECT_EQ(scanned.estimates[0], node_distance) << "scale " << scale;
        EXPECT_EQ(scanned.estimates[2], node_distance) << "scale " << scale;
    }
}

// A power of two changes no digit, so what is estimated only scales: as far as f32 goes, and in blocks of small numbers
// as well as of large ones.
TEST_P(LaneEncode, EstimatesScaleWithTheVectors) {
    const rhumb__lane_space in = space(112);
    const Vector node = vector(112), query = vector(112);
    const std::vector<Vector> neighbours = vectors(kLanes, 112);
    const Query prepared(in, query);
    const GuardedBytes block = block_of(in, node, neighbours);
    const double g = distance(GetParam().form, node, query);
    const Scanned expected = scan(prepared.query, block.data(), float(g));
    for (int exponent = -55; exponent <= 55; exponent += 5) {
        const auto scaled = [&](Vector v) {
            for (float &component : v) component = std::ldexp(component, exponent);
            return v;
        };
        std::vector<Vector> scaled_neighbours;
        for (const Vector &neighbour : neighbours) scaled_neighbours.push_back(scaled(neighbour));
        const GuardedBytes scaled_block = block_of(in, scaled(node), scaled_neighbours);
        const Query scaled_query(in, scaled(query));
        const Scanned found = scan(scaled_query.query, scaled_block.data(), float(std::ldexp(g, 2 * exponent)));
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            const double tolerance = 2e-3 * (std::fabs(double(expected.estimates[lane])) + std::fabs(g));
            ASSERT_NEAR(std::ldexp(found.estimates[lane], -2 * exponent), expected.estimates[lane], tolerance)
                << "2^" << exponent << " lane " << lane;
        }
    }
}

TEST_P(LaneEncode, NeverEstimatesANumberThatIsNone) {
    const std::vector<float> scales = {0.0f,  1e-45f, 1e-40f, 1e-30f, 1e-20f, 1e-10f, 1.0f,
                                       1e10f, 1e18f,  1e19f,  1e20f,  1e30f,  1e37f,  FLT_MAX};
    const auto any = [&](float scale) {
        Vector v(48);
        for (float &component : v) component = scale * (float(random() % 2001) / 1000.0f - 1.0f);
        return v;
    };
    for (int round = 0; round < 300; round++) {
        const auto scale = [&] { return scales[random() % scales.size()]; };
        std::vector<Vector> neighbours;
        for (uint32_t lane = 0; lane < kLanes; lane++) neighbours.push_back(any(scale()));
        const Vector node = any(scale()), query = any(scale());
        const rhumb__lane_space scalar = space(48, RHUMB__SIMD_SCALAR);
        const GuardedBytes expected = block_of(scalar, node, neighbours);
        const float g = float(std::min(distance(GetParam().form, node, query), double(FLT_MAX)));
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__lane_space own = space(48, tier);
            const GuardedBytes block = block_of(own, node, neighbours);
            ASSERT_EQ(memcmp(block.data(), expected.data(), own.block_bytes), 0) << rhumb__simd_name(tier);
            const Query prepared(own, query);
            for (float estimate : scan(prepared.query, block.data(), g).estimates) ASSERT_TRUE(is_estimate(estimate));
        }
    }
}

// Such vectors do not get into an index; a rotation can make them of the largest ones. They do not disturb other lanes.
TEST_P(LaneEncode, LeavesLanesEmptyWhoseFactorsAreNotHeld) {
    const rhumb__lane_space in = space(48);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const Vector &node : {vector(48), Vector(48)}) {
        std::vector<Vector> neighbours = vectors(5, 48);
        const GuardedBytes before = block_of(in, node, neighbours);
        neighbours[1][7] = kInfinity;
        neighbours[2][40] = nan;
        neighbours[4].assign(48, 3e38f);
        const GuardedBytes block = block_of(in, node, neighbours);
        const Query query(in, vector(48));
        EXPECT_EQ(scan(query.query, block.data(), 1.0f).below, 0b01001u);
        for (uint32_t lane : {0u, 3u}) {
            EXPECT_NEAR(slope_of(block.data(), lane), slope_of(before.data(), lane), 1e-12);
            EXPECT_NEAR(base_of(block.data(), lane), base_of(before.data(), lane), 1e-12);
        }
    }
    Vector node = vector(48);
    node[3] = nan;
    const Query query(in, vector(48));
    EXPECT_EQ(scan(query.query, block_of(in, node, vectors(4, 48)).data(), 1.0f).below, 0u);
}

// One exponent serves 16 lanes: of factors much smaller than the largest, fewer bits are kept.
TEST_P(LaneEncode, KeepsSmallFactorsNextToLargeOnes) {
    const rhumb__lane_space in = space(48);
    const Vector node(48);
    std::vector<Vector> neighbours = {vector(48), vector(48, 1e-3f), vector(48, 1e-5f), vector(48, 1e-6f)};
    for (Vector &neighbour : neighbours) neighbour[0] = std::fabs(neighbour[0]) + 1e-6f;
    const GuardedBytes block = block_of(in, node, neighbours);
    const double base_unit = std::ldexp(1.0, exponent_field(block.data(), 0) - 127);
    const double slope_unit = std::ldexp(1.0, exponent_field(block.data(), 8) - 127);
    for (uint32_t lane = 0; lane < neighbours.size(); lane++) {
        const Sums sums = sums_of(node, neighbours[lane], code_of(in, block.data(), lane));
        const bool l2 = GetParam().form == RHUMB__LANE_L2SQ;
        const double slope = (l2 ? 2 : 1) * sums.square / sums.product, base = l2 ? sums.square : 0;
        EXPECT_NEAR(slope_of(block.data(), lane), slope, slope * 0x1.1p-11 + slope_unit * 0x1.1p-25) << lane;
        EXPECT_NEAR(base_of(block.data(), lane), base, base * 0x1.1p-11 + base_unit * 0x1.1p-25) << lane;
    }
}

// Squares of these leave the range of f32; the square of the longer ones is needed for dot products only on the way.
TEST_P(LaneEncode, EncodesTinyAndHugeDifferencesInDouble) {
    const bool l2 = GetParam().form == RHUMB__LANE_L2SQ;
    for (float scale : {3e-23f, 1e25f}) {
        if (l2 && scale > 1) continue;
        const rhumb__lane_space in = space(384);
        const Vector node(384);
        const std::vector<Vector> neighbours = vectors(1, 384, scale);
        const GuardedBytes block = block_of(in, node, neighbours);
        const Sums sums = sums_of(node, neighbours[0], code_of(in, block.data(), 0));
        EXPECT_GT(sums.product / std::sqrt(sums.square * sums.code_square), GetParam().bits == 1 ? 0.74 : 0.90);
        const double slope = (l2 ? 2 : 1) * sums.square / sums.product;
        EXPECT_NEAR(slope_of(block.data(), 0), slope, slope * 0x1.1p-11) << "scale " << scale;
    }
}

TEST_P(LaneEncode, DependsOnNoLaneButItsOwnAndTheExponents) {
    const rhumb__lane_space in = space(100);
    const uint32_t dim = in.rotation.padded_dim;
    const Vector node = vector(dim);
    std::vector<Vector> neighbours = vectors(kLanes, dim);
    const GuardedBytes before = block_of(in, node, neighbours);
    neighbours[5] = neighbours[6];
    const GuardedBytes after = block_of(in, node, neighbours);
    for (uint32_t lane = 0; lane < kLanes; lane++) {
        if (lane == 5) continue;
        EXPECT_EQ(code_of(in, before.data(), lane), code_of(in, after.data(), lane)) << "lane " << lane;
    }
    EXPECT_EQ(code_of(in, after.data(), 5), code_of(in, after.data(), 6));
    EXPECT_EQ(base_of(after.data(), 5), base_of(after.data(), 6));
    EXPECT_EQ(slope_of(after.data(), 5), slope_of(after.data(), 6));
}

} // namespace
