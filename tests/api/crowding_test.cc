// Goal: where more vectors are deleted than live, and a compaction cannot follow, operations that add vectors wait for
// it a little each, and others do not; a compaction that the end of a process has cut short begins again.
// Method: compactions whose writing is limited to so few bytes a second that none ends during a test; counts of what
// was deleted, and times.
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

const uint32_t kDim = 32;
const uint64_t kCount = 1000;

class Crowding : public ::testing::Test {
  protected:
    using Clock = std::chrono::steady_clock;

    static double seconds_since(Clock::time_point begin) {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }

    static uint64_t deleted_count(const Index &index) {
        const rhumb_index_stats now = stats(index);
        return now.slot_count - now.count;
    }

    // An index that has its vectors replaced `round_count` times, without a compaction.
    void make(uint64_t round_count) {
        rhumb_open_options open_options = options_;
        open_options.compact_dead_share = 1;
        rhumb_index_options options = index_options(kDim);
        options.M = 4;
        options.ef_construction = 8;
        options.open = &open_options;
        const Index index = create(path_, options);
        insert_all(index, vectors_);
        for (uint64_t i = 0; i < round_count; i++) {
            ASSERT_OK(rhumb_index_upsert_batch(index.get(), keys_.data(), vectors_.components.data(), kCount, nullptr,
                                               nullptr, 0));
        }
        EXPECT_EQ(deleted_count(index), round_count * kCount);
    }

    Index open_slow() {
        options_.compact_bytes_per_second = 4096; /* half a minute for the vectors alone */
        options_.durability = RHUMB_DURABILITY_INTERVAL;
        return open_as(path_, options_);
    }

    Crowding() {
        rhumb_open_options_init(&options_, sizeof options_);
        std::iota(keys_.begin(), keys_.end(), 0);
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    rhumb_open_options options_;
    const Vectors vectors_ = random_vectors(kCount, kDim, 7);
    std::vector<uint64_t> keys_ = std::vector<uint64_t>(kCount);
};

TEST_F(Crowding, UpsertsThatACompactionCannotFollowAreDelayed) {
    make(5);
    const Index index = open_slow();
    const uint64_t before = deleted_count(index);
    const auto begin = Clock::now();
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 2; t++) {
        threads.emplace_back([&, t] {
            // Each waits for 20 ms, and not for longer.
            for (uint64_t i = t; seconds_since(begin) < 1; i += 2) {
                EXPECT_OK(rhumb_index_upsert(index.get(), i % kCount, vectors_.row((i + i / kCount) % kCount)));
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
    const double second_count = seconds_since(begin);
    EXPECT_EQ(rhumb_index_count(index.get()), kCount);
    EXPECT_GE(deleted_count(index), before + 20);
    EXPECT_LE(deleted_count(index), before + 2 + (uint64_t)(second_count * 2 * 50));
}

TEST_F(Crowding, BatchesOfUpsertsBeginTwoSecondsLater) {
    make(5);
    const Index index = open_slow();
    const auto begin = Clock::now();
    ASSERT_OK(rhumb_index_upsert_batch(index.get(), keys_.data(), vectors_.components.data(), 10, nullptr, nullptr, 0));
    EXPECT_GT(seconds_since(begin), 1.9);
    EXPECT_EQ(deleted_count(index), 5 * kCount + 10) << "the compaction has not ended";
}

TEST_F(Crowding, DeletesAndSearchesDoNotWait) {
    make(5);
    const Index index = open_slow();
    const auto begin = Clock::now();
    for (uint64_t key = 0; key < 300; key++) {
        ASSERT_OK(rhumb_index_delete(index.get(), key));
        search(index, vectors_.row(key), 3, 20);
    }
    ASSERT_OK(rhumb_index_delete_batch(index.get(), keys_.data() + 300, 300, nullptr, nullptr, 0));
    EXPECT_LT(seconds_since(begin), 300 * 0.02) << "and a batch would wait for two seconds";
}

TEST_F(Crowding, UpsertsDoNotWaitForACompactionThatWaitsForABatch) {
    make(0);
    const Index index = open_as(path_, options_);
    struct Visit {
        rhumb_index *index;
        const Vectors &vectors;
        double seconds = 0;
        void upsert(uint64_t count) {
            for (uint64_t i = 0; i < count; i++) {
                EXPECT_OK(rhumb_index_upsert(index, i % kCount, vectors.row((i + i / kCount) % kCount)));
            }
        }
    } visit = {index.get(), vectors_};
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    options.progress_context = &visit;
    options.progress = [](void *context, uint64_t, uint64_t) {
        Visit *v = static_cast<Visit *>(context);
        if (v->seconds > 0) return true;
        v->upsert(5 * kCount);
        const auto begin = Clock::now();
        v->upsert(300);
        v->seconds = seconds_since(begin);
        return true;
    };
    const Vectors many = random_vectors(20000, kDim, 8);
    std::vector<uint64_t> keys(many.count());
    std::iota(keys.begin(), keys.end(), kCount);
    ASSERT_OK(
        rhumb_index_upsert_batch(index.get(), keys.data(), many.components.data(), many.count(), &options, nullptr, 0));
    EXPECT_GT(visit.seconds, 0);
    EXPECT_LT(visit.seconds, 300 * 0.02 / 2);
}

TEST_F(Crowding, ACompactionBeginsWithTheOpening) {
    make(5);
    const Index index = open_as(path_, options_);
    const auto begin = Clock::now();
    while (stats(index).compaction_count == 0 && seconds_since(begin) < 60) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(stats(index).compaction_count, 1u);
    EXPECT_EQ(deleted_count(index), 0u);
    expect_sound(index);
}

} // namespace
} // namespace index_test
