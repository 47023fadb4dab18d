// Goal: the arithmetic of base/bits.h is right at its edges.
// Method: compared with a plain loop or with the definition, for all small numbers and around every power of two.
#include <gtest/gtest.h>

#include <cstdint>
#include <set>

extern "C" {
#include "base/bits.h"
}

namespace {

TEST(Bits, PowersOfTwoAreThoseWithOneBit) {
    EXPECT_FALSE(rhumb__is_power_of_two(0));
    for (int shift = 0; shift < 64; shift++) {
        uint64_t power = UINT64_C(1) << shift;
        EXPECT_TRUE(rhumb__is_power_of_two(power)) << shift;
        EXPECT_EQ(rhumb__is_power_of_two(power - 1), shift == 1) << shift; // 2 - 1 is one itself
        EXPECT_EQ(rhumb__is_power_of_two(power + 1), shift == 0) << shift; // and so is 1 + 1
    }
}

TEST(Bits, RoundingFindsTheNearestMultiples) {
    for (uint64_t unit : {1, 2, 64, 4096}) {
        for (uint64_t value = 0; value < 10000; value++) {
            uint64_t down = value - value % unit;
            ASSERT_EQ(rhumb__round_down(value, unit), down) << value << " by " << unit;
            ASSERT_EQ(rhumb__round_up(value, unit), down == value ? value : down + unit) << value << " by " << unit;
        }
    }
    EXPECT_EQ(rhumb__round_up(UINT64_MAX - 4095, 4096), UINT64_MAX - 4095);
}

TEST(Bits, DivisionRoundsUpWithoutOverflow) {
    EXPECT_EQ(rhumb__divide_up(0, 7), 0u);
    EXPECT_EQ(rhumb__divide_up(1, 7), 1u);
    EXPECT_EQ(rhumb__divide_up(7, 7), 1u);
    EXPECT_EQ(rhumb__divide_up(8, 7), 2u);
    EXPECT_EQ(rhumb__divide_up(UINT64_MAX, 2), UINT64_C(1) << 63);
    EXPECT_EQ(rhumb__divide_up(UINT64_MAX, UINT64_MAX), 1u);
}

TEST(Bits, MinimumAndMaximum) {
    EXPECT_EQ(rhumb__min_u64(3, UINT64_MAX), 3u);
    EXPECT_EQ(rhumb__min_u64(UINT64_MAX, 3), 3u);
    EXPECT_EQ(rhumb__max_u64(3, UINT64_MAX), UINT64_MAX);
    EXPECT_EQ(rhumb__max_u64(UINT64_MAX, 3), UINT64_MAX);
}

TEST(Bits, FloorIsTheHighestBit) {
    EXPECT_EQ(rhumb__floor_power_of_two(0), 0u);
    for (int shift = 0; shift < 64; shift++) {
        uint64_t power = UINT64_C(1) << shift;
        EXPECT_EQ(rhumb__floor_power_of_two(power), power);
        EXPECT_EQ(rhumb__floor_power_of_two(power | (power - 1)), power);
    }
}

TEST(Bits, MixingFollowsSplitMix64) {
    // The first outputs of the reference generator (Vigna, splitmix64.c) from the state 1234567.
    const uint64_t gamma = UINT64_C(0x9E3779B97F4A7C15);
    const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                 UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
                                 UINT64_C(16408922859458223821)};
    uint64_t state = 1234567;
    for (uint64_t output : expected) {
        EXPECT_EQ(rhumb__mix64(state), output);
        state += gamma;
    }
}

TEST(Bits, MixingSendsNoTwoNumbersToOne) {
    std::set<uint64_t> outputs;
    for (uint64_t value = 0; value < 20000; value++) outputs.insert(rhumb__mix64(value));
    EXPECT_EQ(outputs.size(), 20000u);
}

} // namespace
