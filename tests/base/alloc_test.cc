// Goal: memory from base/alloc.h is what its header promises, and injected failures hit exactly the requests asked for.
// Method: each function is called at its edges (zero, overflow, alignment); injection is checked by request number, and
// with several threads by the number of failures.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

extern "C" {
#include "base/alloc.h"
}

namespace {

class Alloc : public ::testing::Test {
  protected:
    void SetUp() override { rhumb__alloc_fail_after(0, false); }
    void TearDown() override { rhumb__alloc_fail_after(0, false); }
};

bool try_request() {
    void *memory = rhumb__alloc_zeroed(1, 8);
    rhumb__free(memory);
    return memory != nullptr;
}

TEST_F(Alloc, ZeroedMemoryIsZeroEvenWhenReused) {
    for (int round = 0; round < 50; round++) {
        auto *bytes = static_cast<unsigned char *>(rhumb__alloc_zeroed(100, 37));
        ASSERT_NE(bytes, nullptr);
        for (size_t i = 0; i < 3700; i++) ASSERT_EQ(bytes[i], 0) << "byte " << i << " in round " << round;
        memset(bytes, 0xA5, 3700);
        rhumb__free(bytes);
    }
}

TEST_F(Alloc, AlignedMemoryIsAligned) {
    for (size_t alignment_bytes = 1; alignment_bytes <= 65536; alignment_bytes *= 2) {
        void *memory = rhumb__alloc_aligned(3, 40, alignment_bytes);
        ASSERT_NE(memory, nullptr) << alignment_bytes;
        EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % alignment_bytes, 0u) << alignment_bytes;
        memset(memory, 1, 120);
        rhumb__free(memory);
    }
}

TEST_F(Alloc, RefusesNothingAndTooMuch) {
    EXPECT_EQ(rhumb__alloc_zeroed(0, 8), nullptr);
    EXPECT_EQ(rhumb__alloc_zeroed(8, 0), nullptr);
    EXPECT_EQ(rhumb__alloc_aligned(0, 8, 64), nullptr);
    EXPECT_EQ(rhumb__alloc_zeroed(SIZE_MAX / 2, 3), nullptr);
    EXPECT_EQ(rhumb__alloc_zeroed(SIZE_MAX, 1), nullptr);
    EXPECT_EQ(rhumb__alloc_aligned(SIZE_MAX / 16, 17, 64), nullptr);
    EXPECT_EQ(rhumb__alloc_resize(nullptr, SIZE_MAX / 4, 8), nullptr);
}

TEST_F(Alloc, ResizeKeepsTheContentAndOnFailureTheArray) {
    auto *numbers = static_cast<uint32_t *>(rhumb__alloc_resize(nullptr, 10, sizeof(uint32_t)));
    ASSERT_NE(numbers, nullptr);
    for (uint32_t i = 0; i < 10; i++) numbers[i] = i * 7;
    auto *grown = static_cast<uint32_t *>(rhumb__alloc_resize(numbers, 100000, sizeof(uint32_t)));
    ASSERT_NE(grown, nullptr);
    for (uint32_t i = 0; i < 10; i++) EXPECT_EQ(grown[i], i * 7);
    EXPECT_EQ(rhumb__alloc_resize(grown, SIZE_MAX / 2, sizeof(uint32_t)), nullptr);
    EXPECT_EQ(rhumb__alloc_resize(grown, 0, sizeof(uint32_t)), nullptr);
    for (uint32_t i = 0; i < 10; i++) EXPECT_EQ(grown[i], i * 7);
    rhumb__free(grown);
}

TEST_F(Alloc, CopiesText) {
    for (const char *text : {"", "a", "a name of some length, with ünïcode"}) {
        char *copy = rhumb__alloc_text(text);
        ASSERT_NE(copy, nullptr);
        EXPECT_STREQ(copy, text);
        EXPECT_NE(copy, text);
        rhumb__free(copy);
    }
}

TEST_F(Alloc, FreeTakesNull) {
    rhumb__free(nullptr);
    EXPECT_TRUE(try_request());
}

TEST_F(Alloc, FailsOnceAtTheCountedRequest) {
    for (uint64_t countdown = 1; countdown <= 5; countdown++) {
        rhumb__alloc_fail_after(countdown, false);
        for (uint64_t request = 1; request <= 8; request++) {
            EXPECT_EQ(try_request(), request != countdown) << request << " of " << countdown;
        }
        EXPECT_EQ(rhumb__alloc_request_count(), 8u);
    }
}

TEST_F(Alloc, FailsPersistentlyFromTheCountedRequest) {
    rhumb__alloc_fail_after(3, true);
    for (uint64_t request = 1; request <= 8; request++) EXPECT_EQ(try_request(), request < 3) << request;
    rhumb__alloc_fail_after(0, true);
    EXPECT_TRUE(try_request());
}

TEST_F(Alloc, EveryKindOfRequestCountsAndFails) {
    rhumb__alloc_fail_after(1, true);
    EXPECT_EQ(rhumb__alloc_zeroed(1, 1), nullptr);
    EXPECT_EQ(rhumb__alloc_aligned(1, 1, 64), nullptr);
    EXPECT_EQ(rhumb__alloc_resize(nullptr, 1, 1), nullptr);
    EXPECT_EQ(rhumb__alloc_text("text"), nullptr);
    EXPECT_EQ(rhumb__alloc_request_count(), 4u);
}

TEST_F(Alloc, FailsExactlyOnceAmongManyThreads) {
    constexpr int kThreadCount = 4;
    constexpr int kRequestCount = 1000;
    rhumb__alloc_fail_after(kThreadCount * kRequestCount / 2, false);
    std::atomic<int> failed_count{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreadCount; thread++) {
        threads.emplace_back([&failed_count] {
            for (int request = 0; request < kRequestCount; request++) {
                if (!try_request()) failed_count++;
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(failed_count, 1);
    EXPECT_EQ(rhumb__alloc_request_count(), static_cast<uint64_t>(kThreadCount) * kRequestCount);
}

} // namespace
