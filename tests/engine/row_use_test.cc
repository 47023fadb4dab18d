// Goal: rows that have been withdrawn are not read, by searches that had begun before neither. Method: threads begin,
// look and end as searches do, over rows that show when they are read in part.
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/engine/engine_probe.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"

namespace {

constexpr uint64_t kSecond = 1000000000;

class RowUse : public ::testing::Test {
  protected:
    ~RowUse() override { probe_row_use_free(use_); }
    void rest() const { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }

    rhumb__row_use *const use_ = probe_row_use_new();
    const char readers_[64 * 40] = {};
};

TEST_F(RowUse, WithdrawsTheRowsOfARangeAlone) {
    for (uint32_t first : {0u, 5u, 0x7FFFFF00u}) {
        ASSERT_TRUE(probe_rows_withdraw(use_, first, 7, 0));
        for (uint32_t slot = first; slot < first + 7; slot++) EXPECT_TRUE(probe_row_is_withdrawn(use_, slot));
        EXPECT_FALSE(probe_row_is_withdrawn(use_, first + 7));
        EXPECT_FALSE(probe_row_is_withdrawn(use_, first - 1));
        probe_rows_admit(use_);
        for (uint32_t slot = first; slot < first + 7; slot++) EXPECT_FALSE(probe_row_is_withdrawn(use_, slot));
    }
}

TEST_F(RowUse, GivesUpWhenASearchTakesTooLong) {
    for (size_t reader = 0; reader < 40; reader++) { // on all stripes
        void *count = probe_row_use_begin(use_, &readers_[reader * 64]);
        EXPECT_FALSE(probe_rows_withdraw(use_, 3, 1, kSecond / 1000));
        EXPECT_FALSE(probe_row_is_withdrawn(use_, 3)) << "it is admitted again";
        EXPECT_FALSE(probe_rows_withdraw(use_, 3, 1, kSecond / 1000)) << "whichever counter it is in";
        probe_row_use_end(count);
        EXPECT_TRUE(probe_rows_withdraw(use_, 3, 1, kSecond / 1000));
        probe_rows_admit(use_);
    }
}

TEST_F(RowUse, WaitsForSearchesThatHaveBegunBeforeAndForNoOthers) {
    for (int turn = 0; turn < 4; turn++) {
        void *before = probe_row_use_begin(use_, &readers_[0]);
        std::atomic<bool> withdrawn{false};
        std::thread thread([&] {
            EXPECT_TRUE(probe_rows_withdraw(use_, 3, 1, 60 * kSecond));
            withdrawn = true;
        });
        while (!probe_row_is_withdrawn(use_, 3)) std::this_thread::yield();
        rest();
        EXPECT_FALSE(withdrawn);
        void *after = probe_row_use_begin(use_, &readers_[0]);
        EXPECT_TRUE(probe_row_is_withdrawn(use_, 3));
        probe_row_use_end(before);
        thread.join();
        probe_rows_admit(use_);
        probe_row_use_end(after);
    }
}

TEST_F(RowUse, KeepsReadersFromRowsThatAreWritten) {
    constexpr uint32_t kRows = 40, kWords = 32, kReaders = 3;
    constexpr int kWrites = rhumb_test::kSanitized ? 100 : 300;
    std::vector<uint64_t> words(kRows * kWords, 0); // all of a row are equal
    std::atomic<bool> done{false};
    std::atomic<uint64_t> torn_count{0}, read_count{0};
    const uint64_t seed = rhumb_test::choose_seed();
    std::vector<std::thread> threads;
    for (uint32_t reader = 0; reader < kReaders; reader++) {
        threads.emplace_back([&, reader] {
            std::mt19937_64 random(seed + reader);
            while (!done) {
                void *count = probe_row_use_begin(use_, &readers_[reader * 64]);
                for (int i = 0; i < 20; i++) {
                    const uint32_t row = static_cast<uint32_t>(random() % kRows);
                    if (probe_row_is_withdrawn(use_, row)) continue;
                    for (uint32_t k = 1; k < kWords; k++) torn_count += words[row * kWords + k] != words[row * kWords];
                    read_count++;
                }
                probe_row_use_end(count);
            }
        });
    }
    while (read_count == 0) std::this_thread::yield();
    std::mt19937_64 random(seed + kReaders);
    int written_count = 0;
    for (int i = 0; i < kWrites; i++) {
        const uint32_t first = static_cast<uint32_t>(random() % (kRows - 4));
        if (!probe_rows_withdraw(use_, first, 4, kSecond)) continue;
        for (uint32_t k = 0; k < 4 * kWords; k++) words[first * kWords + k] = static_cast<uint64_t>(i);
        probe_rows_admit(use_);
        written_count++;
    }
    done = true;
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(torn_count, 0u);
    EXPECT_GT(written_count, kWrites / 2);
}

} // namespace
