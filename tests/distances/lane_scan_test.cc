// Goal: a scan computes kernels.h's formula from a block and a query, the same bits in every tier, whatever the bytes
// of the block, and reads none after them. Method: the formula computed from the layouts that block.h and kernels.h
// describe; random and hostile bytes; blocks and tables that end at an inaccessible page. Linked once with the kernels
// of this processor and once with emulated ones. Random inputs; the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>

#include "tests/support/lanes.h"

namespace {

using namespace lanes;

class LaneScan : public testing::TestWithParam<FormAndBits> {
  protected:
    rhumb__lane_space space(uint32_t dim, rhumb__simd tier = best_tier_to_test()) {
        return space_of(spec_of(GetParam().form, dim, GetParam().bits, 1), tier);
    }
    Vector vector(uint32_t dim, float scale = 1.0f) { return random_vector(random, dim, scale); }

    // A block of random codes with factors of ordinary sizes.
    GuardedBytes random_block(const rhumb__lane_space &in) {
        GuardedBytes block(in.block_bytes);
        uint8_t *bytes = static_cast<uint8_t *>(block.data());
        for (uint32_t i = 0; i < in.block_bytes; i++) bytes[i] = static_cast<uint8_t>(random());
        for (uint32_t lane = 0; lane < kLanes; lane++) { // f16 from 1 to 2, exponents of 127
            bytes[2 * lane + 1] = static_cast<uint8_t>(0x3C | random() % 4);
            bytes[32 + 2 * lane + 1] = static_cast<uint8_t>((lane % 8 < 7 ? 0x80 : 0) | 0x3C | random() % 4);
        }
        return block;
    }
    Random random{choose_seed()};
};

// Codes and scans do not depend on the form, apart from factors.
INSTANTIATE_TEST_SUITE_P(, LaneScan,
                         testing::Values(FormAndBits{RHUMB__LANE_L2SQ, 1}, FormAndBits{RHUMB__LANE_L2SQ, 2}),
                         form_and_bits_name);

// The entry of the query's table for four components from 4 * group on.
uint32_t entry(const rhumb__lane_query &query, uint32_t group, uint32_t n) {
    return query.table[group % 2 * query.plane_bytes + group / 2 * 16 + n];
}

uint32_t plane_sum(const rhumb__lane_space &in, const rhumb__lane_query &query, const void *block, uint32_t plane,
                   uint32_t lane) {
    uint32_t sum = 0;
    for (uint32_t group = 0; group < in.rotation.padded_dim / 4; group++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < 4; i++) n |= code_bit(in, block, plane, lane, 4 * group + i) << i;
        sum += entry(query, group, n);
    }
    return sum;
}

float expected_estimate(const rhumb__lane_space &in, const rhumb__lane_query &query, const void *block, uint32_t lane,
                        float node_distance, float base_scale) {
    uint32_t sum = plane_sum(in, query, block, 0, lane);
    if (in.bits == 2) sum = 2 * sum + plane_sum(in, query, block, 1, lane);
    const volatile float scaled = static_cast<float>(sum) * query.delta; // volatile: each operation is rounded
    const volatile float product = scaled + query.bias;
    const volatile float sloped = static_cast<float>(slope_of(block, lane)) * product;
    const volatile float base = static_cast<float>(base_of(block, lane)) * base_scale;
    const volatile float based = base + node_distance;
    return based - sloped;
}

TEST_P(LaneScan, ComputesTheFormula) {
    for (uint32_t dim : {1u, 16u, 17u, 32u, 48u, 100u, 112u, 128u, 800u, 1024u, 1040u, 2064u}) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__lane_space in = space(dim, tier);
            const Query query(in, vector(in.rotation.padded_dim));
            const GuardedBytes block = random_block(in);
            const float base_scale = static_cast<float>(random() % 100) / 64;
            const Scanned scanned = scan(query.query, block.data(), 3.5f, kInfinity, base_scale);
            for (uint32_t lane = 0; lane < kLanes; lane++) {
                ASSERT_EQ(scanned.estimates[lane],
                          expected_estimate(in, query.query, block.data(), lane, 3.5f, base_scale))
                    << "dim " << dim << " lane " << lane << " " << rhumb__simd_name(tier);
            }
        }
    }
}

TEST_P(LaneScan, GivesTheSameBitsInEveryTier) {
    std::vector<uint32_t> dims = dims_to_test();
    dims.insert(dims.end(), {5000, 16384, RHUMB_DIM_MAX});
    for (uint32_t dim : dims) {
        const rhumb__lane_space scalar = space(dim, RHUMB__SIMD_SCALAR);
        const Vector rotated_query = vector(scalar.rotation.padded_dim);
        const Query expected_query(scalar, rotated_query);
        const GuardedBytes block = random_block(scalar);
        const float bound = scan(expected_query.query, block.data(), 2.0f).estimates[random() % kLanes];
        const Scanned expected = scan(expected_query.query, block.data(), 2.0f, bound);
        for (rhumb__simd tier : tiers_to_test()) {
            const Query query(space(dim, tier), rotated_query);
            ASSERT_EQ(memcmp(query.table.data(), expected_query.table.data(), scalar.table_bytes), 0) << dim;
            ASSERT_EQ(bits_of(query.query.delta), bits_of(expected_query.query.delta)) << dim;
            ASSERT_EQ(bits_of(query.query.bias), bits_of(expected_query.query.bias)) << dim;
            const Scanned found = scan(query.query, block.data(), 2.0f, bound);
            ASSERT_EQ(memcmp(&found.estimates, &expected.estimates, sizeof found.estimates), 0)
                << "dim " << dim << " " << rhumb__simd_name(tier);
            ASSERT_EQ(found.below, expected.below) << "dim " << dim << " " << rhumb__simd_name(tier);
        }
    }
}

// All entries at their largest, 255 for the two of a byte: sums of 16 bits hold no more than those of 2,056 components.
TEST_P(LaneScan, SumsTheLargestEntriesWithoutOverflow) {
    for (uint32_t dim : {1008u, 2032u, 2048u, 2064u, 4096u, 4112u, 8208u, 65520u, 65535u}) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__lane_space in = space(dim, tier);
            Query query(in, vector(in.rotation.padded_dim));
            memset(query.table.data(), 200, in.plane_bytes); // even groups
            memset(static_cast<uint8_t *>(query.table.data()) + in.plane_bytes, 55, in.plane_bytes);
            query.query.delta = 1.0f;
            query.query.bias = 0.0f;
            GuardedBytes block = random_block(in);
            memset(block.data(), 0, RHUMB__LANE_CODES_OFFSET);
            uint8_t *bytes = static_cast<uint8_t *>(block.data());
            for (uint32_t lane = 0; lane < kLanes; lane++) { // a slope of 1 in all lanes
                bytes[32 + 2 * lane + 1] = static_cast<uint8_t>((lane % 8 < 7 ? 0x80 : 0) | 0x3C);
            }
            const float sum = static_cast<float>(in.rotation.padded_dim / 8 * 255 * (in.bits == 1 ? 1 : 3));
            for (float estimate : scan(query.query, block.data(), 0.0f).estimates) {
                ASSERT_EQ(estimate, -sum) << "dim " << dim << " " << rhumb__simd_name(tier);
            }
        }
    }
}

TEST_P(LaneScan, MarksTheLanesBelowTheBound) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(100, tier);
        const Query query(in, vector(in.rotation.padded_dim));
        const GuardedBytes block = random_block(in);
        static_cast<uint8_t *>(block.data())[1] = 0x7C; // lane 0 is empty, or else not a number
        const std::array<float, kLanes> estimates = scan(query.query, block.data(), 2.0f).estimates;
        std::vector<float> bounds(estimates.begin(), estimates.end());
        for (float estimate : estimates) bounds.push_back(std::nextafter(estimate, kInfinity));
        bounds.insert(bounds.end(), {0.0f, FLT_MAX, -FLT_MAX, kInfinity, -kInfinity, NAN});
        for (float bound : bounds) {
            const Scanned scanned = scan(query.query, block.data(), 2.0f, bound);
            uint32_t expected = 0;
            for (uint32_t lane = 0; lane < kLanes; lane++) expected |= uint32_t(estimates[lane] < bound) << lane;
            ASSERT_EQ(scanned.below, expected) << "bound " << bound << " " << rhumb__simd_name(tier);
        }
    }
}

// Ranges that leave some estimates as they are, and zeros of either sign.
TEST_P(LaneScan, KeepsEstimatesInTheRangeOfTheQuery) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(112, tier);
        Query query(in, vector(112));
        const GuardedBytes block = random_block(in);
        const Scanned all = scan(query.query, block.data(), 0.0f);
        std::vector<float> values(all.estimates.begin(), all.estimates.end());
        values.insert(values.end(), {0.0f, -0.0f, FLT_MAX, -FLT_MAX});
        for (float least : values) {
            for (float size_max : values) {
                query.query.least = least;
                query.query.size_max = std::fabs(size_max);
                const Scanned scanned = scan(query.query, block.data(), 0.0f, 1.0f);
                for (uint32_t lane = 0; lane < kLanes; lane++) {
                    const float estimate = all.estimates[lane];
                    const bool is_sound = std::fabs(estimate) <= std::fabs(size_max);
                    const float expected = !is_sound ? kInfinity : estimate > least ? estimate : least;
                    ASSERT_EQ(bits_of(scanned.estimates[lane]), bits_of(expected)) << rhumb__simd_name(tier);
                    ASSERT_EQ(scanned.below >> lane & 1u, expected < 1.0f);
                }
            }
        }
    }
}

// Whose estimates are -0: a base of -0 and a node at -0, with a slope of 0.
TEST_P(LaneScan, RaisesNegativeZeros) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(16, tier);
        Query query(in, vector(16));
        query.query.least = 0.0f;
        GuardedBytes block = random_block(in);
        uint8_t *bytes = static_cast<uint8_t *>(block.data());
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            bytes[2 * lane] = 0;
            bytes[2 * lane + 1] = 0x80;
            memset(bytes + 32 + 2 * lane, 0, 2);
        }
        for (float node_distance : {0.0f, -0.0f, -1.0f}) {
            for (float estimate : scan(query.query, block.data(), node_distance).estimates) {
                ASSERT_EQ(bits_of(estimate), 0u) << rhumb__simd_name(tier);
            }
        }
    }
}

TEST_P(LaneScan, MakesEstimatesOfAnyBytes) {
    const std::vector<float> extremes = {0.0f, 1.0f, -1.0f, FLT_MAX, -FLT_MAX, kInfinity, -kInfinity, NAN};
    const rhumb__lane_space scalar = space(48, RHUMB__SIMD_SCALAR);
    for (int round = 0; round < 2000; round++) {
        GuardedBytes block(scalar.block_bytes);
        uint8_t *bytes = static_cast<uint8_t *>(block.data());
        const uint64_t same = random() % 4 == 0 ? random() : 0; // the same byte everywhere, or any
        for (uint32_t i = 0; i < scalar.block_bytes; i++) bytes[i] = static_cast<uint8_t>(same ? same : random());
        if (round % 3 == 0) memset(bytes + 33, 0xFF, 31); // the largest exponents, and slopes that are not numbers
        const Vector rotated_query = vector(48, round % 5 == 0 ? 1e36f : 1.0f);
        const float node_distance = extremes[random() % extremes.size()];
        const float base_scale = extremes[random() % extremes.size()];
        const Query expected_query(scalar, rotated_query);
        const Scanned expected = scan(expected_query.query, block.data(), node_distance, 1.0f, base_scale);
        for (rhumb__simd tier : tiers_to_test()) {
            const Query query(space(48, tier), rotated_query);
            const Scanned found = scan(query.query, block.data(), node_distance, 1.0f, base_scale);
            for (float estimate : found.estimates) ASSERT_TRUE(is_estimate(estimate)) << rhumb__simd_name(tier);
            ASSERT_EQ(memcmp(&found.estimates, &expected.estimates, sizeof found.estimates), 0)
                << rhumb__simd_name(tier);
            ASSERT_EQ(found.below, expected.below);
        }
    }
}

TEST_P(LaneScan, DoesNotDependOnAlignment) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(112, tier);
        Query query(in, vector(112));
        const GuardedBytes block = random_block(in);
        const Scanned expected = scan(query.query, block.data(), 1.0f, 2.0f);
        std::vector<uint8_t> memory(in.block_bytes + 64), table(in.table_bytes + 64);
        for (size_t shift = 0; shift < 64; shift += 7) {
            memcpy(memory.data() + shift, block.data(), in.block_bytes);
            memcpy(table.data() + 63 - shift, query.table.data(), in.table_bytes);
            query.query.table = table.data() + 63 - shift;
            const Scanned found = scan(query.query, memory.data() + shift, 1.0f, 2.0f);
            ASSERT_EQ(memcmp(&found, &expected, sizeof found), 0) << rhumb__simd_name(tier);
        }
    }
}

// ---- queries ----

TEST_P(LaneScan, TablesHoldSumsOfSizesWhoseSignAgrees) {
    for (uint32_t dim : {16u, 48u, 112u, 800u}) {
        for (rhumb__simd tier : tiers_to_test()) {
            const rhumb__lane_space in = space(dim, tier);
            const Vector y = vector(dim);
            const Query query(in, y);
            double largest = 0, sizes = 0, previous = 0;
            for (uint32_t group = 0; group < dim / 4; group++) {
                double range = 0;
                for (uint32_t n = 0; n < 16; n++) {
                    double sum = 0;
                    for (uint32_t i = 0; i < 4; i++) {
                        const double component = y[4 * group + i];
                        if ((n >> i & 1) == (component > 0)) sum += std::fabs(component);
                    }
                    const double found = entry(query.query, group, n) * double(query.query.delta);
                    ASSERT_NEAR(found, sum, 0.501 * double(query.query.delta)) << "group " << group << " entry " << n;
                    range = std::max(range, sum);
                }
                if (group % 2 == 1) largest = std::max(largest, previous + range);
                previous = range;
                sizes += range;
            }
            EXPECT_NEAR(query.query.delta, largest / 254, 1e-6 * largest);
            EXPECT_NEAR(query.query.bias, -sizes * (in.bits == 1 ? 0.5 : 1.5), 1e-5 * sizes);
        }
    }
}

// The sum of the two entries that a byte selects must fit a byte, also where both are rounded up.
TEST_P(LaneScan, TablesHoldPairsThatFitAByte) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(16, tier);
        for (int round = 0; round < 500; round++) {
            const Query query(in, vector(16));
            for (uint32_t group = 0; group < 4; group += 2) {
                uint32_t largest = 0, largest_odd = 0;
                for (uint32_t n = 0; n < 16; n++) {
                    largest = std::max(largest, entry(query.query, group, n));
                    largest_odd = std::max(largest_odd, entry(query.query, group + 1, n));
                }
                ASSERT_LE(largest + largest_odd, 255u);
            }
        }
        Vector halves(16); // 127 steps and a half for either group
        for (uint32_t i = 0; i < 16; i++) halves[i] = i % 4 == 0 ? 127.5f : 0.0f;
        halves[1] = 0.0001f;
        const Query query(in, halves);
        ASSERT_LE(entry(query.query, 0, 3) + entry(query.query, 1, 1), 255u);
    }
}

// Numbers of steps would not be numbers: none are made.
bool has_no_steps(const rhumb__lane_space &in, const Query &query) {
    const uint8_t *table = static_cast<const uint8_t *>(query.table.data());
    return query.query.delta == 0.0f && std::all_of(table, table + in.table_bytes, [](uint8_t n) { return n == 0; });
}

TEST_P(LaneScan, EstimatesNothingForQueriesThatAreNotFinite) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(112, tier);
        const Vector node = vector(112);
        const GuardedBytes block = block_of(in, node, {vector(112), node});
        for (float component : {kInfinity, -kInfinity, float(NAN)}) {
            Vector y = vector(112);
            y[random() % 112] = component;
            const Query query(in, y);
            for (float estimate : scan(query.query, block.data(), 1.0f).estimates) EXPECT_EQ(estimate, kInfinity);
            EXPECT_TRUE(has_no_steps(in, query));
        }
    }
}

// What is too short for a table counts as 0: a neighbour's distance is then its own square.
TEST_P(LaneScan, TakesTheShortestQueriesForZero) {
    for (rhumb__simd tier : tiers_to_test()) {
        const rhumb__lane_space in = space(112, tier);
        const Vector neighbour = vector(112);
        const GuardedBytes block = block_of(in, Vector(112), {neighbour});
        for (float scale : {0.0f, 1e-45f, 1e-38f, 1e-33f, 1e-28f, 1e-20f}) {
            const Query query(in, vector(112, scale));
            const double estimate = scan(query.query, block.data(), 0.0f).estimates[0];
            ASSERT_NEAR(estimate, dot(neighbour, neighbour), 1e-3 * dot(neighbour, neighbour)) << "scale " << scale;
            ASSERT_EQ(has_no_steps(in, query), scale < 1e-30f) << "scale " << scale;
        }
    }
}

} // namespace
