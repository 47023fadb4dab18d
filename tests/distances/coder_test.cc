// Goal: coders exist for the spaces that codes are for, and measure with the best kernels of this processor, or with
// those without VNNI of the tier that RHUMB_SIMD names. Method: tables of kernels compared by address. Run once for
// each tier that may be asked for.
#include <algorithm>

#include "tests/support/codes.h"

extern "C" {
#include "base/status.h"
}

namespace {

using namespace codes;

TEST(Coders, ExistForFloatsUnderFourMetrics) {
    int count = 0;
    for (const vectors::Pair &pair : vectors::all_pairs()) {
        const rhumb__space space = space_of(pair.metric, pair.element, 20);
        const bool expected = vectors::is_float(pair.element) && std::count(METRICS, METRICS + 4, pair.metric) == 1;
        for (uint32_t bits : WIDTHS) {
            rhumb__coder coder;
            EXPECT_EQ(rhumb__coder_init(&coder, &space, bits), expected ? RHUMB_OK : RHUMB_E_UNSUPPORTED)
                << vectors::name_of(pair);
        }
        count += expected;
    }
    EXPECT_EQ(count, 16);
}

TEST(Coders, HaveDigitsOfEightOrFourBits) {
    const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 20);
    rhumb__coder coder;
    for (uint32_t bits : {0u, 1u, 2u, 5u, 16u}) EXPECT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_E_INVALID);
}

TEST(Coders, HaveKernelsOfTheirOwnForEachSet) {
#if !defined(__x86_64__)
    GTEST_SKIP() << "only plain C has kernels here";
#endif
    const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 20);
    std::vector<rhumb__code_measure_fn> seen;
    for (int set = 0; set < RHUMB__CODE_SET_COUNT; set++) {
        for (uint32_t bits : WIDTHS) {
            const rhumb__coder coder = coder_for(space, bits, static_cast<rhumb__code_set>(set));
            EXPECT_EQ(std::count(seen.begin(), seen.end(), coder.kernels.measure), 0);
            seen.push_back(coder.kernels.measure);
        }
    }
}

// Under RHUMB_SIMD, the set that has the name of the tier; otherwise the best of those that run and begin with it.
rhumb__code_set expected_set() {
    const std::string tier = rhumb__simd_name(rhumb__cpu_simd());
    const bool is_lowered = rhumb__cpu_simd() != rhumb__cpu_simd_best();
    rhumb__code_set best = RHUMB__CODE_SCALAR;
    for (int i = 0; i < RHUMB__CODE_SET_COUNT; i++) {
        const auto set = static_cast<rhumb__code_set>(i);
        const std::string name = rhumb__code_set_name(set);
        if (rhumb__code_set_runs(set) && (is_lowered ? name == tier : name.rfind(tier, 0) == 0)) best = set;
    }
    return best;
}

TEST(Coders, UseTheBestKernelsOfTheTier) {
    const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 20);
    for (uint32_t bits : WIDTHS) {
        rhumb__coder coder;
        ASSERT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_OK);
        const rhumb__coder expected = coder_for(space, bits, expected_set());
        EXPECT_EQ(coder.kernels.measure, expected.kernels.measure);
        EXPECT_EQ(coder.kernels.measure_many, expected.kernels.measure_many);
        EXPECT_EQ(coder.kernels.measure_slots, expected.kernels.measure_slots);
        EXPECT_EQ(coder.encoders.encode, expected.encoders.encode);
        EXPECT_EQ(coder.encoders.prepare, expected.encoders.prepare);
    }
}

} // namespace
