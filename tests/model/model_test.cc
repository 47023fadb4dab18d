// Goal: after any operations in any order, an index holds what a map would hold, returns exact distances, and finds the
// nearest. Method: random operations on the index and on a model of it (tests/support/oracle.h), with
// checkpoints in the background and the index occasionally closed and opened again; every status is compared at once,
// everything else every few thousand operations. RHUMB_ITERS sets how many operations, RHUMB_SEED which.
//
// Deleted nodes stay in the graph until a compaction, so an index of mostly deleted nodes is replaced by a new one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <unordered_map>

#include "tests/support/chosen_codes.h"
#include "tests/support/io_test_support.h"
#include "tests/support/oracle.h"
#include "tests/support/small_index.h"

namespace {

using rhumb_test::Index;
using rhumb_test::Oracle;

constexpr uint32_t kDim = 8;
constexpr uint64_t kKeyCount = 4000;
constexpr uint64_t kCompareEvery = 5000;
constexpr double kRecallFloor = 0.98;

class Model : public ::testing::TestWithParam<rhumb_metric> {
  protected:
    using Vector = Oracle::Vector;

    Vector random_vector() {
        Vector vector(kDim);
        for (float &component : vector) component = normal_(random_);
        return vector;
    }

    static rhumb_open_options open_options() {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = RHUMB_DURABILITY_INTERVAL;
        options.checkpoint_log_bytes = 128 << 10; // one every two thousand operations or so
        return options;
    }

    void create() {
        rhumb_open_options open = open_options();
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = kDim;
        options.metric = GetParam();
        options.M = 8;
        options.ef_construction = 40;
        options.open = &open;
        options = with_chosen_codes(options);
        rhumb_index *index = nullptr;
        ASSERT_EQ(rhumb_index_create(path_.c_str(), &options, &index), RHUMB_OK) << rhumb_error_last()->message;
        index_ = Index(index);
    }

    void reopen() {
        ASSERT_EQ(index_.close(), RHUMB_OK) << rhumb_error_last()->message;
        const rhumb_open_options open = open_options();
        rhumb_index *index = nullptr;
        ASSERT_EQ(rhumb_index_open(path_.c_str(), &open, &index), RHUMB_OK) << rhumb_error_last()->message;
        index_ = Index(index);
    }

    void replace_if_mostly_deleted() {
        rhumb_index_stats stats = {};
        ASSERT_EQ(rhumb_index_stats_get(index_, &stats, sizeof stats), RHUMB_OK);
        if (stats.slot_count < 3 * stats.count + 1000) return;
        ASSERT_EQ(index_.close(), RHUMB_OK);
        ASSERT_EQ(unlink(path_.c_str()), 0);
        ASSERT_NO_FATAL_FAILURE(create());
        for (const auto &[key, vector] : live_) {
            ASSERT_EQ(rhumb_index_insert(index_, key, vector.data()), RHUMB_OK) << rhumb_error_last()->message;
        }
    }

    void insert_or_upsert(uint64_t key, bool replace) {
        Vector vector = random_vector();
        const bool present = live_.count(key) > 0;
        const rhumb_status status =
            replace ? rhumb_index_upsert(index_, key, vector.data()) : rhumb_index_insert(index_, key, vector.data());
        ASSERT_EQ(status, present && !replace ? RHUMB_E_EXISTS : RHUMB_OK) << rhumb_error_last()->message;
        if (status != RHUMB_OK) return;
        oracle_.upsert(key, vector);
        live_[key] = std::move(vector);
    }

    void erase(uint64_t key) {
        const bool present = live_.erase(key) > 0;
        ASSERT_EQ(rhumb_index_delete(index_, key), present ? RHUMB_OK : RHUMB_E_NOTFOUND);
        if (present) oracle_.erase(key);
    }

    // All or nothing, on two threads; refused as a whole when one of the keys is there.
    void insert_batch() {
        std::vector<uint64_t> keys;
        std::vector<float> rows;
        std::vector<Oracle::Operation> operations;
        bool refused = false;
        for (uint64_t i = 0, first = random_() % kKeyCount; i < 10; i++) {
            keys.push_back(first + i * 7 % kKeyCount);
            const Vector vector = random_vector();
            rows.insert(rows.end(), vector.begin(), vector.end());
            operations.push_back(Oracle::operation(Oracle::Kind::kInsert, keys.back(), vector));
            refused = refused || live_.count(keys.back()) > 0;
        }
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = 2;
        ASSERT_EQ(rhumb_index_insert_batch(index_, keys.data(), rows.data(), keys.size(), &options, nullptr),
                  refused ? RHUMB_E_EXISTS : RHUMB_OK)
            << rhumb_error_last()->message;
        if (refused) return;
        for (size_t i = 0; i < keys.size(); i++) live_[keys[i]] = *operations[i].vector;
        oracle_.batch(std::move(operations));
    }

    // Only what is alive, each once, in order.
    void search() {
        const Vector query = random_vector();
        uint64_t keys[10];
        float distances[10];
        size_t found_count = 0;
        ASSERT_EQ(rhumb_index_search(index_, query.data(), 10, nullptr, keys, distances, &found_count), RHUMB_OK);
        ASSERT_TRUE(std::is_sorted(distances, distances + found_count));
        for (size_t i = 0; i < found_count; i++) {
            ASSERT_EQ(live_.count(keys[i]), 1u) << "key " << keys[i] << " is deleted";
            ASSERT_EQ(std::count(keys, keys + found_count, keys[i]), 1);
        }
    }

    double recall() {
        constexpr size_t query_count = 50;
        size_t found = 0, wanted = 0;
        for (size_t q = 0; q < query_count; q++) {
            const Vector query = random_vector();
            uint64_t keys[10], truth[10];
            size_t found_count = 0, truth_count = 0;
            EXPECT_EQ(rhumb_index_search(index_, query.data(), 10, nullptr, keys, nullptr, &found_count), RHUMB_OK);
            EXPECT_EQ(rhumb_index_search_exact(index_, query.data(), 1, 10, nullptr, truth, nullptr, &truth_count),
                      RHUMB_OK);
            wanted += truth_count;
            for (size_t i = 0; i < found_count; i++) found += std::count(truth, truth + truth_count, keys[i]);
        }
        return wanted == 0 ? 1 : static_cast<double>(found) / static_cast<double>(wanted);
    }

    void compare() {
        ASSERT_EQ(rhumb_index_count(index_), live_.size());
        ASSERT_EQ(oracle_.compare(index_, oracle_.counts()), "");
        oracle_.rebase(oracle_.counts());
        const double share = recall();
        recall_lowest_ = std::min(recall_lowest_, share);
        ASSERT_GE(share, kRecallFloor);
    }

    void step() {
        const uint64_t kind = random_() % 1000;
        const uint64_t key = random_() % kKeyCount;
        if (kind < 350) return insert_or_upsert(key, false);
        if (kind < 500) return insert_or_upsert(key, true);
        if (kind < 690) return erase(key);
        if (kind < 720) return insert_batch();
        if (kind < 998) return search();
        if (kind < 999) return reopen();
        ASSERT_EQ(rhumb_index_checkpoint(index_), RHUMB_OK) << rhumb_error_last()->message;
    }

    io_test::ScratchDirectory directory_;
    const std::string path_ = directory_.file("model.rhumb");
    std::mt19937_64 random_;
    std::normal_distribution<float> normal_;
    Oracle oracle_{kDim, GetParam()};
    std::unordered_map<uint64_t, Vector> live_;
    Index index_;
    double recall_lowest_ = 1;
};

TEST_P(Model, RandomOperationsLeaveWhatAMapWouldHold) {
    const char *text = getenv("RHUMB_ITERS");
    const uint64_t count = text != nullptr ? strtoull(text, nullptr, 0) : 20000;
    random_.seed(io_test::choose_seed());
    ASSERT_NO_FATAL_FAILURE(create());
    for (uint64_t i = 1; i <= count; i++) {
        ASSERT_NO_FATAL_FAILURE(step()) << "operation " << i;
        if (i % kCompareEvery != 0) continue;
        ASSERT_NO_FATAL_FAILURE(compare()) << "operation " << i;
        ASSERT_NO_FATAL_FAILURE(replace_if_mostly_deleted());
    }
    rhumb_verify_report report;
    ASSERT_EQ(rhumb_test::verify_index(index_, &report), RHUMB_OK) << report.first_error;
    ASSERT_EQ(report.unreachable_count, 0u);
    printf("%llu operations, lowest recall@10 %.3f, %llu of %llu nodes unreachable\n",
           static_cast<unsigned long long>(count), recall_lowest_,
           static_cast<unsigned long long>(report.unreachable_count),
           static_cast<unsigned long long>(report.node_count));
}

INSTANTIATE_TEST_SUITE_P(Metrics, Model, ::testing::Values(RHUMB_METRIC_L2, RHUMB_METRIC_COSINE),
                         [](const ::testing::TestParamInfo<rhumb_metric> &info) {
                             return std::string(rhumb_metric_name(info.param));
                         });

} // namespace
