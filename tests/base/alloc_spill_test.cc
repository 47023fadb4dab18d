// Goal: with spilling on, large arrays are in files and behave as those of the heap do; without, or where there can be
// no such files, everything is the heap's. Method: arrays around the smallest size that is spilled, in a folder of the
// test's, with the memory that the kernel counts for the process.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include "tests/support/sanitized.h"
#include "tests/support/scratch_files.h"

extern "C" {
#include "base/alloc.h"
#include "base/alloc_spill.h"
}

namespace {

constexpr size_t LARGE = RHUMB__SPILL_BYTES_MIN;

class AllocSpill : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!rhumb__alloc_spill_next_to(directory_.file("index.rhumb").c_str()))
            GTEST_SKIP() << "the folder of the test can have no files without a name";
    }
    void TearDown() override { rhumb__alloc_spill_next_to(nullptr); }

    rhumb_test::ScratchDirectory directory_;
};

size_t anonymous_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (word != "RssAnon:") continue;
        size_t kib = 0;
        status >> kib;
        return kib;
    }
    return 0;
}

TEST_F(AllocSpill, LargeArraysAreInFilesAndSmallOnesAreNot) {
    const size_t before_kib = anonymous_kib();
    auto *large = static_cast<unsigned char *>(rhumb__alloc_zeroed(16, LARGE));
    auto *aligned = static_cast<unsigned char *>(rhumb__alloc_aligned(1, LARGE, 64));
    auto *small = static_cast<unsigned char *>(rhumb__alloc_zeroed(1, LARGE - 1));
    ASSERT_TRUE(large != nullptr && aligned != nullptr && small != nullptr);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 17 * LARGE);
    for (size_t i = 0; i < 16 * LARGE; i += 511) ASSERT_EQ(large[i], 0) << i;
    memset(large, 0xA5, 16 * LARGE);
    // Sanitizers keep notes of memory in memory.
    const size_t added_kib = anonymous_kib() - std::min(anonymous_kib(), before_kib);
    EXPECT_TRUE(rhumb_test::kSanitized || added_kib < 8 * LARGE / 1024) << added_kib;
    rhumb__free(large);
    rhumb__free(small);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), LARGE);
    rhumb__free(aligned);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 0u);
}

TEST_F(AllocSpill, ResizeKeepsTheContentAcrossTheSmallestSize) {
    const size_t sizes[] = {LARGE / 2, LARGE, 3 * LARGE, LARGE + 1, LARGE / 4, 2 * LARGE};
    unsigned char *array = nullptr;
    size_t kept = 0;
    for (const size_t size : sizes) {
        auto *resized = static_cast<unsigned char *>(rhumb__alloc_resize(array, size, 1));
        ASSERT_NE(resized, nullptr);
        array = resized;
        for (size_t i = 0; i < std::min(kept, size); i++) ASSERT_EQ(array[i], static_cast<unsigned char>(i * 7)) << i;
        for (size_t i = 0; i < size; i++) array[i] = static_cast<unsigned char>(i * 7);
        kept = size;
    }
    rhumb__free(array);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 0u);
}

TEST_F(AllocSpill, WhatWasSpilledIsReleasedAfterSpillingIsOff) {
    void *array = rhumb__alloc_zeroed(1, LARGE);
    rhumb__alloc_spill_next_to(nullptr);
    void *of_heap = rhumb__alloc_zeroed(1, LARGE);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), LARGE);
    rhumb__free(of_heap);
    rhumb__free(array);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 0u);
}

TEST_F(AllocSpill, AFullDiskLeavesRequestsToTheHeap) {
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit none = {LARGE / 2, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    void *array = rhumb__alloc_zeroed(1, LARGE);
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_NE(array, nullptr);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 0u);
    memset(array, 1, LARGE);
    rhumb__free(array);
}

TEST_F(AllocSpill, SeveralThreadsTakeAndRelease) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            for (int round = 0; round < 50; round++) {
                auto *array = static_cast<unsigned char *>(rhumb__alloc_zeroed(1, LARGE + 4096 * t));
                array[0] = array[LARGE - 1] = static_cast<unsigned char>(t + 1);
                void *small = rhumb__alloc_zeroed(1, 100);
                EXPECT_EQ(array[LARGE - 1], t + 1);
                rhumb__free(small);
                rhumb__free(array);
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 0u);
}

TEST(AllocSpillElsewhere, AFolderThatIsNotThereSpillsNothing) {
    EXPECT_FALSE(rhumb__alloc_spill_next_to("/no/such/folder/index.rhumb"));
    void *array = rhumb__alloc_zeroed(1, LARGE);
    EXPECT_EQ(rhumb__alloc_spilled_bytes(), 0u);
    rhumb__free(array);
}

} // namespace
