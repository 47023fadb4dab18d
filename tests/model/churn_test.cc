// Goal: four inserters, four searchers, a thread that deletes and replaces, and successive checkpoints and compactions
// do not disturb each other: no data race (this is a test for ThreadSanitizer), no wrong status, no deleted key found,
// and a sound index at the end. Method: all of them at once on one index for a while, each thread with keys of its own.
// RHUMB_SECONDS sets how long; 16 under ThreadSanitizer, otherwise 5.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/support/io_test_support.h"
#include "tests/support/small_index.h"

namespace {

using Clock = std::chrono::steady_clock;
using rhumb_test::Index;
using rhumb_test::Vectors;

constexpr uint64_t kInserters = 4;
constexpr uint64_t kSearchers = 4;
constexpr uint32_t kDim = 12;
// An index that only grows gets slower, and the test is about concurrency, so inserters pause at this many.
constexpr uint64_t kEnough = 40000;

Clock::duration how_long() {
    const char *text = getenv("RHUMB_SECONDS");
    if (text != nullptr) return std::chrono::seconds(strtoul(text, nullptr, 0));
#if defined(__SANITIZE_THREAD__)
    return std::chrono::seconds(16);
#else
    return std::chrono::seconds(5);
#endif
}

class Churn : public ::testing::TestWithParam<rhumb_durability> {
  protected:
    void create() {
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = GetParam();
        open.sync_interval_ms = 10;
        open.checkpoint_log_bytes = 256 << 10;
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = kDim;
        options.M = 6;
        options.ef_construction = 24;
        options.open = &open;
        rhumb_index *index = nullptr;
        ASSERT_EQ(rhumb_index_create(directory_.file("churn.rhumb").c_str(), &options, &index), RHUMB_OK);
        index_ = Index(index);
    }

    bool going() const { return Clock::now() < end_; }

    // Inserts its keys in order, single and in batches, and publishes how far it has come.
    void insert(uint64_t thread) {
        uint64_t i = 0;
        const auto key_of = [&](uint64_t n) { return n * kInserters + thread; };
        while (going()) {
            if (i * kInserters > kEnough) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                continue;
            }
            if (i % 40 == 0) {
                std::vector<uint64_t> keys;
                std::vector<float> rows;
                for (uint64_t n = i; n < i + 5; n++) {
                    keys.push_back(key_of(n));
                    const std::vector<float> row = vectors_.vector(key_of(n));
                    rows.insert(rows.end(), row.begin(), row.end());
                }
                rhumb_batch_options options;
                rhumb_batch_options_init(&options, sizeof options);
                options.thread_count = 1;
                EXPECT_EQ(rhumb_index_insert_batch(index_, keys.data(), rows.data(), 5, &options, nullptr), RHUMB_OK)
                    << rhumb_error_last()->message;
                i += 5;
            } else {
                EXPECT_EQ(rhumb_index_insert(index_, key_of(i), vectors_.vector(key_of(i)).data()), RHUMB_OK)
                    << rhumb_error_last()->message;
                i++;
            }
            inserted_[thread] = i;
        }
    }

    // Follows the inserters: of every ten keys it deletes two and replaces one.
    void remove() {
        std::vector<uint64_t> next(kInserters);
        while (going()) {
            bool worked = false;
            for (uint64_t thread = 0; thread < kInserters; thread++) {
                if (next[thread] >= inserted_[thread]) continue;
                const uint64_t n = next[thread]++, key = n * kInserters + thread;
                worked = true;
                if (n % 5 == 0) {
                    EXPECT_EQ(rhumb_index_delete(index_, key), RHUMB_OK) << rhumb_error_last()->message;
                    deleted_[thread] = n + 1; // every fifth below this
                    deleted_count_++;
                } else if (n % 10 == 3) {
                    EXPECT_EQ(rhumb_index_upsert(index_, key, vectors_.vector(key + 1).data()), RHUMB_OK)
                        << rhumb_error_last()->message;
                }
            }
            if (!worked) std::this_thread::yield();
        }
    }

    void search(uint64_t seed) {
        std::mt19937_64 random(seed);
        while (going()) {
            uint64_t deleted[kInserters];
            for (uint64_t t = 0; t < kInserters; t++) deleted[t] = deleted_[t];
            uint64_t keys[10];
            float distances[10];
            size_t found_count = 0;
            const std::vector<float> query = vectors_.vector(random() % 10000);
            ASSERT_EQ(rhumb_index_search(index_, query.data(), 10, nullptr, keys, distances, &found_count), RHUMB_OK);
            for (size_t i = 0; i < found_count; i++) {
                const uint64_t thread = keys[i] % kInserters, n = keys[i] / kInserters;
                ASSERT_FALSE(n % 5 == 0 && n < deleted[thread])
                    << "key " << keys[i] << " was deleted before the search";
                if (i > 0) {
                    ASSERT_LE(distances[i - 1], distances[i]);
                }
            }
            search_count_++;
        }
    }

    void make_checkpoints() {
        while (going()) {
            EXPECT_EQ(rhumb_index_checkpoint(index_), RHUMB_OK) << rhumb_error_last()->message;
            checkpoint_count_++;
        }
    }

    void compact() {
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.thread_count = 1;
        while (going()) {
            options.shrink = compaction_count_ % 2 == 1;
            EXPECT_EQ(rhumb_index_compact(index_, &options, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
            compaction_count_++;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    io_test::ScratchDirectory directory_;
    const Vectors vectors_{kDim, 55};
    Index index_;
    Clock::time_point end_;
    std::atomic<uint64_t> inserted_[kInserters] = {};
    std::atomic<uint64_t> deleted_[kInserters] = {};
    std::atomic<uint64_t> deleted_count_{0}, search_count_{0}, checkpoint_count_{0}, compaction_count_{0};
};

TEST_P(Churn, ConcurrentOperationsKeepEveryPromise) {
    ASSERT_NO_FATAL_FAILURE(create());
    end_ = Clock::now() + how_long() / 2;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < kInserters; t++) threads.emplace_back([this, t] { insert(t); });
    for (uint64_t t = 0; t < kSearchers; t++) threads.emplace_back([this, t] { search(t); });
    threads.emplace_back([this] { remove(); });
    threads.emplace_back([this] { make_checkpoints(); });
    threads.emplace_back([this] { compact(); });
    for (std::thread &thread : threads) thread.join();
    uint64_t inserted_count = 0;
    for (const auto &inserted : inserted_) inserted_count += inserted;
    EXPECT_EQ(rhumb_index_count(index_), inserted_count - deleted_count_);
    rhumb_verify_report report;
    EXPECT_EQ(rhumb_test::verify_index(index_, &report), RHUMB_OK) << report.first_error;
    EXPECT_GT(search_count_, 10u);
    EXPECT_GT(checkpoint_count_, 1u);
    EXPECT_GT(compaction_count_, 0u);
    printf("%llu inserts, %llu deletes, %llu searches, %llu checkpoints, %llu compactions\n",
           static_cast<unsigned long long>(inserted_count), static_cast<unsigned long long>(deleted_count_.load()),
           static_cast<unsigned long long>(search_count_.load()),
           static_cast<unsigned long long>(checkpoint_count_.load()),
           static_cast<unsigned long long>(compaction_count_.load()));
    EXPECT_EQ(index_.close(), RHUMB_OK);
}

INSTANTIATE_TEST_SUITE_P(Modes, Churn, ::testing::Values(RHUMB_DURABILITY_FULL, RHUMB_DURABILITY_INTERVAL),
                         [](const ::testing::TestParamInfo<rhumb_durability> &info) {
                             return std::string(info.param == RHUMB_DURABILITY_FULL ? "full" : "interval");
                         });

} // namespace
