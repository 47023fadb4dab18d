// Goal: which vectors of a batch are equal is found in time that does not depend on what the vectors are. Method: very
// many vectors made so that all have one code although few are equal: comparing each with each would take minutes.
#include <gtest/gtest.h>

#include <vector>

extern "C" {
#include "tests/engine/engine_probe.h"
}

namespace {

constexpr uint32_t kDim = 4;
constexpr uint32_t kCount = 300000;
constexpr uint32_t kDistinct = kCount - 1000; // the others are copies of the first ones

TEST(BulkPoints, FindsCopiesAmongVectorsOfOneCode) {
    std::vector<float> vectors(kCount * kDim);
    for (uint32_t i = 0; i < kCount; i++) {
        const uint32_t number = i % kDistinct;
        const float row[kDim] = {1e9f, 0, 1.0f + static_cast<float>(number % 1000), static_cast<float>(number / 1000)};
        std::copy(row, row + kDim, vectors.begin() + i * kDim);
    }
    std::vector<uint32_t> heads(kCount);
    bool all_have_one_code = false;
    ASSERT_EQ(probe_bulk_heads(kDim, vectors.data(), kCount, heads.data(), &all_have_one_code), RHUMB_OK);
    EXPECT_TRUE(all_have_one_code);
    for (uint32_t i = 0; i < kCount; i++) ASSERT_EQ(heads[i], i % kDistinct);
}

} // namespace
