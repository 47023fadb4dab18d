// Goal: RHUMB_SIMD lowers the tier and never raises it, a lowered tier is used without VNNI, and an unknown value
// changes nothing.
// Method: the answer is fixed at first use, so each case runs in a process of its own (death tests of the thread-safe
// style, which run the program again), and reports by its exit code.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

extern "C" {
#include "base/cpu.h"
}

namespace {

// Exits with 0 when the tier under RHUMB_SIMD=`wish` is the lower one of `limit` and the machine's best.
[[noreturn]] void exit_with_tier_check(const char *wish, int limit) {
    setenv("RHUMB_SIMD", wish, 1);
    int best = rhumb__cpu_simd_best();
    int expected = limit < best ? limit : best;
    bool right = rhumb__cpu_simd() == expected;
    if (strcmp(wish, "scalar") == 0 && rhumb__cpu_has_crc32c()) right = false;
    const bool is_lowered = expected < best;
    const bool has_vnni = rhumb__cpu_has_vnni_of(static_cast<rhumb__simd>(best));
    if (rhumb__cpu_has_vnni() != (has_vnni && !is_lowered)) right = false;
    exit(right ? 0 : 1);
}

class CpuDeathTest : public ::testing::Test {
  protected:
    void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(CpuDeathTest, ScalarIsAlwaysAvailable) {
    EXPECT_EXIT(exit_with_tier_check("scalar", RHUMB__SIMD_SCALAR), ::testing::ExitedWithCode(0), "");
}

TEST_F(CpuDeathTest, LowersToTheTierNamed) {
    EXPECT_EXIT(exit_with_tier_check("avx2", RHUMB__SIMD_AVX2), ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(exit_with_tier_check("avx512", RHUMB__SIMD_AVX512), ::testing::ExitedWithCode(0), "");
}

TEST_F(CpuDeathTest, IgnoresUnknownNames) {
    EXPECT_EXIT(exit_with_tier_check("", RHUMB__SIMD_AVX512), ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(exit_with_tier_check("AVX2", RHUMB__SIMD_AVX512), ::testing::ExitedWithCode(0), "");
    EXPECT_EXIT(exit_with_tier_check("neon", RHUMB__SIMD_AVX512), ::testing::ExitedWithCode(0), "");
}

TEST(Cpu, NamesItsTiers) {
    EXPECT_STREQ(rhumb__simd_name(RHUMB__SIMD_SCALAR), "scalar");
    EXPECT_STREQ(rhumb__simd_name(RHUMB__SIMD_AVX2), "avx2");
    EXPECT_STREQ(rhumb__simd_name(RHUMB__SIMD_AVX512), "avx512");
}

TEST(Cpu, ATierAboveScalarHasTheInstructionsOfItsDefinition) {
#if defined(__x86_64__)
    if (rhumb__cpu_simd_best() >= RHUMB__SIMD_AVX2) {
        EXPECT_TRUE(__builtin_cpu_supports("avx2"));
        EXPECT_TRUE(__builtin_cpu_supports("fma"));
    }
    EXPECT_EQ(rhumb__cpu_simd_best() == RHUMB__SIMD_AVX512,
              __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
#else
    EXPECT_EQ(rhumb__cpu_simd_best(), RHUMB__SIMD_SCALAR);
#endif
}

TEST(Cpu, HasVnniForTiersThatItHas) {
    EXPECT_FALSE(rhumb__cpu_has_vnni_of(RHUMB__SIMD_SCALAR));
#if defined(__x86_64__)
    const rhumb__simd best = rhumb__cpu_simd_best();
    EXPECT_EQ(rhumb__cpu_has_vnni_of(RHUMB__SIMD_AVX512),
              best == RHUMB__SIMD_AVX512 && __builtin_cpu_supports("avx512vnni"));
    if (best == RHUMB__SIMD_SCALAR) {
        EXPECT_FALSE(rhumb__cpu_has_vnni_of(RHUMB__SIMD_AVX2));
    }
#endif
}

} // namespace
