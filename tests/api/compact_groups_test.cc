// Goal: a compaction keeps the groups of equal vectors: every live member is found, whichever members are deleted, and
// recall is not lower than before. Method: indexes of few values with many copies between other vectors, compacted in
// place and into new files, with operations on copies before, during and after it; each member is searched for.
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 8;

// Vectors without an equal one, and keys of those.
constexpr size_t kOtherCount = rhumb_test::kSanitized ? 300 : 1500;
constexpr uint64_t kOtherKey = 1000000;

class CompactGroups : public ::testing::Test {
  protected:
    static rhumb_open_options never() {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.durability = RHUMB_DURABILITY_INTERVAL;
        options.compact_dead_share = 1;
        return options;
    }
    static rhumb_index_options build_options(uint32_t M = 8) {
        static const rhumb_open_options options = never();
        rhumb_index_options index_options_value = index_options(kDim);
        index_options_value.M = M;
        index_options_value.ef_construction = 60;
        index_options_value.open = &options;
        return index_options_value;
    }
    // A value among the others.
    std::vector<float> value(size_t i) const { return std::vector<float>(values_.row(i), values_.row(i) + kDim); }
    void put(const Index &index, uint64_t key, const std::vector<float> &vector) {
        ASSERT_OK(rhumb_index_upsert(index.get(), key, vector.data()));
        expected_[key] = vector;
    }
    void remove(const Index &index, uint64_t key) {
        ASSERT_OK(rhumb_index_delete(index.get(), key));
        expected_.erase(key);
    }
    void put_others(const Index &index) {
        for (size_t i = 0; i < others_.count(); i++) {
            put(index, kOtherKey + i, std::vector<float>(others_.row(i), others_.row(i) + kDim));
        }
    }
    // Value v has the keys 1,000 v, 1,000 v + 1... in the order of insertion.
    void put_values(const Index &index, size_t value_count, size_t copy_count) {
        for (size_t c = 0; c < copy_count; c++) {
            for (size_t v = 0; v < value_count; v++) put(index, 1000 * v + c, value(v));
        }
    }
    // Every live vector is there, found from its value, and reached; nothing else is.
    void expect_content(const Index &index) {
        EXPECT_EQ(rhumb_index_count(index.get()), expected_.size());
        EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
        std::map<std::vector<float>, std::set<uint64_t>> groups;
        for (const auto &[key, vector] : expected_) {
            std::vector<float> stored(kDim);
            ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data())) << key;
            ASSERT_EQ(stored, vector) << key;
            groups[vector].insert(key);
        }
        for (const auto &[vector, keys] : groups) {
            if (keys.size() == 1 && *keys.begin() >= kOtherKey && *keys.begin() % 10 != 0) continue;
            const Answer answer = search(index, vector.data(), keys.size());
            ASSERT_EQ(answer.found_count, keys.size());
            EXPECT_EQ(std::set<uint64_t>(answer.keys.begin(), answer.keys.end()), keys) << *keys.begin();
        }
    }
    rhumb_compact_report compact(const Index &index) {
        rhumb_compact_report report = {};
        EXPECT_OK(rhumb_index_compact(index.get(), nullptr, &report, sizeof report));
        EXPECT_EQ(report.unreachable_count, 0u);
        return report;
    }
    Index compact_into(rhumb_order order, bool second_pass) {
        const std::string new_path = directory_.file("new" + std::to_string(new_count_++) + ".rhumb");
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.order = order;
        options.second_pass = second_pass;
        rhumb_compact_report report = {};
        EXPECT_OK(rhumb_index_compact_into(path_.c_str(), new_path.c_str(), &options, &report, sizeof report));
        EXPECT_EQ(report.count, expected_.size());
        EXPECT_EQ(report.unreachable_count, 0u);
        return open(new_path, false);
    }
    // Of value 0 nothing is deleted, of 1 the head, of 2 all but the last, of 3 all, of 4 all but the head, of 5 every
    // second one from the head on.
    void delete_members(const Index &index, size_t copy_count) {
        for (size_t c = 0; c < copy_count; c++) {
            if (c == 0) remove(index, 1000 + c);
            if (c + 1 < copy_count) remove(index, 2000 + c);
            remove(index, 3000 + c);
            if (c > 0) remove(index, 4000 + c);
            if (c % 2 == 0) remove(index, 5000 + c);
        }
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const Vectors others_ = random_vectors(kOtherCount, kDim, 11);
    const Vectors values_ = random_vectors(10, kDim, 13);
    std::map<uint64_t, std::vector<float>> expected_;
    int new_count_ = 0;
};

TEST_F(CompactGroups, InPlaceKeepWhatIsAliveWhicheverMembersAreDeleted) {
    const Index index = create(path_, build_options());
    put_values(index, 8, 50);
    put_others(index);
    delete_members(index, 50);
    expect_content(index);
    const rhumb_compact_report report = compact(index);
    EXPECT_EQ(report.count, expected_.size());
    expect_content(index);
    EXPECT_EQ(stats(index).slot_count, expected_.size());
    // The groups go on.
    for (size_t v = 0; v < 8; v++) put(index, 1000 * v + 500, value(v));
    remove(index, 2049); // the one that stood in for the head of value 2
    remove(index, 4000);
    expect_content(index);
    compact(index);
    compact(index);
    expect_content(index);
}

TEST_F(CompactGroups, IntoANewFileInEveryOrderKeepWhatIsAlive) {
    {
        const Index index = create(path_, build_options());
        put_values(index, 8, 30);
        put_others(index);
        delete_members(index, 30);
    }
    for (const rhumb_order order :
         {RHUMB_ORDER_KEEP, RHUMB_ORDER_BREADTH, RHUMB_ORDER_RCM, RHUMB_ORDER_WINDOW, RHUMB_ORDER_BISECTION}) {
        SCOPED_TRACE(order);
        expect_content(compact_into(order, order == RHUMB_ORDER_KEEP));
    }
}

TEST_F(CompactGroups, OfOneValueAloneAreCompacted) {
    const Index index = create(path_, build_options());
    put_values(index, 1, 100);
    compact(index);
    expect_content(index);
    for (size_t c = 0; c < 99; c++) remove(index, c);
    compact(index);
    expect_content(index);
    remove(index, 99);
    compact(index);
    expect_content(index);
    put_values(index, 2, 5);
    expect_content(index);
}

// Keys move between values while the graph is compacted: copies are carried over, their heads deleted.
TEST_F(CompactGroups, KeepTheCopiesThatArriveWhileACompactionRuns) {
    const uint64_t seed = choose_seed();
    const Index index = create(path_, build_options());
    put_values(index, 6, 40);
    put_others(index);
    std::atomic<bool> stop{false};
    std::vector<std::map<uint64_t, std::vector<float>>> moved(2);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < moved.size(); t++) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(seed + t);
            while (!stop) {
                const uint64_t key = 1000 * (random() % 6) + 2 * (random() % 30) + t;
                moved[t][key] = random() % 4 == 0 ? std::vector<float>() : value(random() % 9);
                if (moved[t][key].empty()) {
                    const rhumb_status status = rhumb_index_delete(index.get(), key);
                    EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOTFOUND);
                } else {
                    EXPECT_OK(rhumb_index_upsert(index.get(), key, moved[t][key].data()));
                }
            }
        });
    }
    for (int i = 0; i < 4; i++) compact(index);
    stop = true;
    for (std::thread &thread : threads) thread.join();
    for (const auto &keys : moved) {
        for (const auto &[key, vector] : keys) {
            if (vector.empty()) expected_.erase(key);
            if (!vector.empty()) expected_[key] = vector;
        }
    }
    expect_content(index);
    compact(index);
    expect_content(index);
}

// Well separated clusters, which few links connect, and nodes of few links: before, during and after deletes and
// compactions each live vector is reached.
TEST_F(CompactGroups, EveryVectorOfSeparateClustersIsReachedWithASmallM) {
    const uint64_t seed = choose_seed();
    for (const uint32_t M : {2u, 4u}) {
        std::filesystem::remove(path_);
        expected_.clear();
        const Index index = create(path_, build_options(M));
        Vectors vectors = random_vectors(kOtherCount, kDim, seed);
        for (size_t i = 0; i < vectors.count(); i++) {
            for (uint32_t d = 0; d < kDim; d++) {
                vectors.row(i)[d] =
                    0.1f * vectors.row(i)[d] + (i / 30 >> d & 1 ? 100.0f : 0.0f) + (i / 30 % 7 == d ? 10.0f : 0.0f);
            }
            put(index, i, std::vector<float>(vectors.row(i), vectors.row(i) + kDim));
        }
        EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
        std::mt19937_64 random(seed);
        for (int round = 0; round < 3; round++) {
            for (size_t i = 0; i < vectors.count() / 5; i++) {
                const uint64_t key = random() % vectors.count();
                if (expected_.count(key) != 0) remove(index, key);
            }
            EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
            compact(index);
            EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
            EXPECT_EQ(rhumb_index_count(index.get()), expected_.size());
        }
    }
}

// Recall by distance: which of several equal vectors is found makes no difference.
double recall_by_distance(const Index &index, const Vectors &queries, size_t k) {
    size_t near_count = 0;
    for (size_t i = 0; i < queries.count(); i++) {
        const Answer found = search(index, queries.row(i), k, 100);
        const Answer truth = search_exact(index, queries.row(i), k);
        EXPECT_EQ(found.found_count, truth.found_count);
        for (size_t j = 0; j < found.found_count; j++) {
            near_count += found.distances[j] <= truth.distances[truth.found_count - 1] * 1.0001f;
        }
    }
    return static_cast<double>(near_count) / static_cast<double>(queries.count() * k);
}

TEST_F(CompactGroups, OfManyCopiesAndZerosAreFoundAsWellAfterACompactionAsBefore) {
    const Index index = create(path_, build_options(16));
    for (size_t c = 0; c < kOtherCount / 3; c++) put(index, c, value(3));
    put_others(index);
    for (size_t c = 0; c < kOtherCount / 2; c++) put(index, 5000 + c, std::vector<float>(kDim, 0.0f));
    const Vectors queries = random_vectors(100, kDim, 17);
    const double before = recall_by_distance(index, queries, 10);
    for (size_t c = 0; c < kOtherCount / 4; c++) remove(index, c);
    compact(index);
    const double after = recall_by_distance(index, queries, 10);
    printf("recall@10 by distance: %.4f, after a compaction %.4f\n", before, after);
    EXPECT_GE(before, 0.98);
    EXPECT_GE(after, 0.98);
    expect_content(index);
}

} // namespace
} // namespace index_test
