// Goal: deleting and replacing hold what rhumb.h says: deleted keys are not found, acknowledged deletes last, and
// recall of the rest is as before. Method: small indexes against their known content, concurrently with searches and
// checkpoints. Randomised parts print their seed.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;

constexpr uint32_t kDim = 16;

Index filled(const ScratchDirectory &directory, const Vectors &vectors, const char *name = "index.rhumb") {
    rhumb_index_options options = index_options(kDim);
    options.M = 8;
    options.ef_construction = 60;
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.compact_dead_share = 1; // what is deleted stays in the graph
    options.open = &open_options;
    Index index = create(directory.file(name), options);
    EXPECT_OK(
        rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), vectors.count(), nullptr, nullptr));
    return index;
}

void expect_whole(const Index &index) {
    rhumb_verify_report report = {};
    EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report)) << report.first_error;
}

TEST(Delete, RemovesTheKeyFromAllAnswers) {
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(500, kDim, 1);
    const Index index = filled(directory, vectors);
    for (uint64_t key = 0; key < 500; key += 3) EXPECT_OK(rhumb_index_delete(index.get(), key));
    EXPECT_EQ(rhumb_index_count(index.get()), 500u - 167u);
    for (size_t i = 0; i < 500; i++) {
        EXPECT_EQ(contains(index, i), i % 3 != 0);
        const Answer answer = search(index, vectors.row(i), 20, 100);
        EXPECT_EQ(answer.found_count, 20u);
        for (uint64_t key : answer.keys) EXPECT_NE(key % 3, 0u);
        if (i % 3 != 0) {
            EXPECT_EQ(answer.keys[0], i);
        }
    }
    std::vector<float> vector(kDim);
    EXPECT_STATUS(RHUMB_E_NOTFOUND, rhumb_index_get_vector(index.get(), 0, vector.data()));
    EXPECT_STATUS(RHUMB_E_NOTFOUND, rhumb_index_delete(index.get(), 0));
    EXPECT_STATUS(RHUMB_E_NOTFOUND, rhumb_index_delete(index.get(), 1000000));
    expect_whole(index);
}

TEST(Delete, SurvivesReopeningOnceCheckpointed) {
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(300, kDim, 2);
    {
        const Index index = filled(directory, vectors);
        EXPECT_OK(rhumb_index_checkpoint(index.get()));
        for (uint64_t key = 0; key < 100; key++) EXPECT_OK(rhumb_index_delete(index.get(), key));
    }
    for (const bool read_only : {true, false}) {
        const Index index = open(directory.file("index.rhumb"), read_only);
        EXPECT_EQ(rhumb_index_count(index.get()), 200u);
        EXPECT_EQ(stats(index).slot_count, 300u);
        for (size_t i = 0; i < 300; i++) {
            EXPECT_EQ(contains(index, i), i >= 100);
            for (uint64_t key : search(index, vectors.row(i), 5, 50).keys) EXPECT_GE(key, 100u);
        }
        expect_whole(index);
    }
}

TEST(Delete, LeavesAnIndexThatCanBeFilledAgain) {
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(200, kDim, 3);
    const Index index = filled(directory, vectors);
    for (uint64_t key = 0; key < 200; key++) EXPECT_OK(rhumb_index_delete(index.get(), key)); // the entry point too
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
    EXPECT_EQ(search(index, vectors.row(0), 10, 50).found_count, 0u);
    for (uint64_t key = 0; key < 200; key++) EXPECT_OK(rhumb_index_insert(index.get(), key, vectors.row(199 - key)));
    EXPECT_EQ(rhumb_index_count(index.get()), 200u);
    size_t hit_count = 0;
    for (size_t i = 0; i < 200; i++) hit_count += search(index, vectors.row(i), 1, 100).keys[0] == 199 - i;
    EXPECT_GE(hit_count, 199u);
    expect_whole(index);
}

TEST(Delete, IsRefusedByAReadOnlyHandle) {
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(10, kDim, 4);
    filled(directory, vectors);
    const Index index = open(directory.file("index.rhumb"), true);
    EXPECT_STATUS(RHUMB_E_READONLY, rhumb_index_delete(index.get(), 1));
    EXPECT_STATUS(RHUMB_E_READONLY, rhumb_index_upsert(index.get(), 1, vectors.row(0)));
}

TEST(Upsert, ReplacesTheVectorAndInsertsWhatIsNew) {
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(400, kDim, 5);
    const Vectors replaced = random_vectors(400, kDim, 6);
    const Index index = filled(directory, vectors);
    for (uint64_t key = 0; key < 400; key += 2) EXPECT_OK(rhumb_index_upsert(index.get(), key, replaced.row(key)));
    EXPECT_OK(rhumb_index_upsert(index.get(), 1000, replaced.row(1)));
    EXPECT_EQ(rhumb_index_count(index.get()), 401u);
    size_t missed_count = 0;
    for (uint64_t key = 0; key < 400; key++) {
        const float *expected = key % 2 == 0 ? replaced.row(key) : vectors.row(key);
        std::vector<float> vector(kDim);
        EXPECT_OK(rhumb_index_get_vector(index.get(), key, vector.data()));
        EXPECT_EQ(0, memcmp(vector.data(), expected, kDim * sizeof(float)));
        const Answer answer = search(index, expected, 10, 100);
        missed_count += answer.keys[0] == key ? 0 : 1;
        EXPECT_EQ(std::set<uint64_t>(answer.keys.begin(), answer.keys.end()).size(), 10u);
    }
    EXPECT_LE(missed_count, 2u) << "a node may have lost its last link when lists were pruned";
    expect_whole(index);
    EXPECT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(rhumb_index_count(open(directory.file("index.rhumb"), true).get()), 401u);
}

// One thread replaces a few vectors again and again; an exact search for more keys than exist must return every
// key, and return it once.
TEST(Upsert, DuringAnExactSearchShowsTheKeyOnce) {
    constexpr size_t kCount = 50;
    constexpr size_t kNearest = 2 * kCount;
    const ScratchDirectory directory;
    const Vectors vectors = random_vectors(kCount, kDim, 8);
    rhumb_index_options options = index_options(kDim);
    options.ef_construction = 20;
    const Index index = create_with_durability(directory.file("index.rhumb"), options, RHUMB_DURABILITY_NONE);
    insert_all(index, vectors);
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        for (size_t i = 0; !stop; i++) {
            EXPECT_OK(rhumb_index_upsert(index.get(), i % kCount, vectors.row(i * 7 % kCount)));
        }
    });
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
    for (size_t round = 0; std::chrono::steady_clock::now() < end; round++) {
        const Answer answer = search_exact(index, vectors.row(round % kCount), kNearest);
        const std::set<uint64_t> keys(answer.keys.begin(), answer.keys.begin() + answer.found_count);
        EXPECT_EQ(keys.size(), answer.found_count) << "a key twice";
        EXPECT_EQ(keys.size(), kCount) << "a key is missing";
        if (::testing::Test::HasFailure()) break;
    }
    stop = true;
    writer.join();
}

// A thread replaces key 1 continuously; no thread changes key 0.
class ReplacedKey : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_index_options options = index_options(kWide);
        options.ef_construction = 10;
        options.M = 4;
        index_ = create_with_durability(directory_.file("index.rhumb"), options, RHUMB_DURABILITY_NONE);
        for (uint64_t key = 0; key < 2; key++) ASSERT_OK(rhumb_index_insert(index_.get(), key, vectors_.row(key)));
        writer_ = std::thread([this] {
            for (size_t i = 0; !stop_; i++) EXPECT_OK(rhumb_index_upsert(index_.get(), 1, vectors_.row(1 + i % 7)));
        });
    }
    void TearDown() override {
        stop_ = true;
        if (writer_.joinable()) writer_.join();
        EXPECT_GT(round_count_, 0u);
    }
    bool goes_on() { return !HasFailure() && (round_count_++ == 0 || std::chrono::steady_clock::now() < end_); }

    static constexpr uint32_t kWide = 2000; // so that writing a vector takes its time
    const Vectors vectors_ = random_vectors(8, kWide, 9);
    ScratchDirectory directory_;
    Index index_;
    size_t round_count_ = 0;

  private:
    const std::chrono::steady_clock::time_point end_ =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    std::atomic<bool> stop_ = false;
    std::thread writer_;
};

TEST_F(ReplacedKey, IsFoundByConcurrentLookups) {
    std::vector<float> vector(kWide);
    while (goes_on()) {
        uint64_t nearest = 0;
        EXPECT_OK(rhumb_index_get_vector(index_.get(), 1, vector.data()));
        EXPECT_TRUE(contains(index_, 1));
        EXPECT_OK(rhumb_index_search_like(index_.get(), 1, 1, nullptr, &nearest, nullptr, nullptr));
    }
}

// The iterator has visited everything when it meets a node that was replaced more than once since.
TEST_F(ReplacedKey, IsNotMissedByAnIteratorThatIsComplete) {
    rhumb_filter everything;
    rhumb_filter_init(&everything, sizeof everything);
    everything.kind = RHUMB_FILTER_CALLBACK;
    everything.matches = [](void *, uint64_t) { return true; };
    everything.plan = RHUMB_FILTER_PLAN_EXACT;
    rhumb_search_options options = search_options(10);
    options.filter = &everything;
    while (goes_on()) {
        rhumb_iterator *iterator = nullptr;
        uint64_t keys[2] = {};
        size_t found_count = 0;
        EXPECT_OK(rhumb_iterator_open(index_.get(), vectors_.row(0), &options, &iterator));
        if (iterator == nullptr) break;
        EXPECT_OK(rhumb_iterator_next(iterator, 1, keys, nullptr, &found_count));
        EXPECT_TRUE(found_count == 1 && keys[0] == 0) << "the query is that vector";
        std::this_thread::sleep_for(std::chrono::microseconds(round_count_ % 50));
        EXPECT_OK(rhumb_iterator_next(iterator, 2, keys, nullptr, &found_count));
        EXPECT_TRUE(found_count == 1 && keys[0] == 1) << "missed in round " << round_count_;
        rhumb_iterator_close(iterator);
    }
}

// Recall@10 of the live vectors after a random 30% were deleted is that of an index that never had them, within a
// small tolerance.
TEST(Delete, KeepsTheRecallWhenAThirdIsDeleted) {
    const uint64_t seed = choose_seed();
    const ScratchDirectory directory;
    const Vectors vectors = clustered_vectors(4000, kDim, 40, 7, seed);
    const Vectors queries = clustered_vectors(300, kDim, 40, 7, seed + 1);
    const Index index = filled(directory, vectors);
    Vectors rest = {kDim, {}};
    std::mt19937_64 random(seed);
    for (uint64_t key = 0; key < 4000; key++) {
        if (random() % 10 < 3) {
            EXPECT_OK(rhumb_index_delete(index.get(), key));
        } else {
            rest.components.insert(rest.components.end(), vectors.row(key), vectors.row(key) + kDim);
        }
    }
    const Index fresh = filled(directory, rest, "fresh.rhumb");
    const auto recall = [&](const Index &which) {
        size_t hit_count = 0;
        for (size_t i = 0; i < queries.count(); i++) {
            std::vector<uint64_t> truth(10);
            EXPECT_OK(
                rhumb_index_search_exact(which.get(), queries.row(i), 1, 10, nullptr, truth.data(), nullptr, nullptr));
            for (uint64_t key : search(which, queries.row(i), 10, 20).keys) {
                hit_count += std::count(truth.begin(), truth.end(), key);
            }
        }
        return static_cast<double>(hit_count) / (10.0 * static_cast<double>(queries.count()));
    };
    EXPECT_GE(recall(index), recall(fresh) - 0.02);
}

// Threads delete, re-insert and replace keys of their own while others search and one makes checkpoints. A search must
// not return a key that was gone before it began and has not come back, nor a key twice.
TEST(Delete, HoldsDuringInsertsSearchesAndCheckpoints) {
    const uint64_t seed = choose_seed();
    const ScratchDirectory directory;
    const Vectors vectors = clustered_vectors(1200, kDim, 10, 8, seed);
    const Index index = filled(directory, vectors);
    constexpr uint64_t kKeys = 1200;
    // Odd: deleted, and no insert has begun since. Each change adds one.
    std::vector<std::atomic<uint32_t>> generation(kKeys);
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (uint64_t worker = 0; worker < 2; worker++) {
        threads.emplace_back([&, worker] {
            std::mt19937_64 random(seed + 10 + worker);
            while (!stop) {
                const uint64_t key = random() % (kKeys / 2) * 2 + worker;
                if (generation[key] % 2 == 1) {
                    generation[key]++;
                    EXPECT_OK(rhumb_index_insert(index.get(), key, vectors.row(key)));
                } else if (random() % 2 == 0) {
                    EXPECT_OK(rhumb_index_upsert(index.get(), key, vectors.row(random() % kKeys)));
                } else {
                    EXPECT_OK(rhumb_index_delete(index.get(), key));
                    generation[key]++;
                }
            }
        });
    }
    for (uint64_t worker = 0; worker < 2; worker++) {
        threads.emplace_back([&, worker] {
            std::mt19937_64 random(seed + 20 + worker);
            std::vector<uint32_t> before(kKeys);
            while (!stop) {
                for (uint64_t key = 0; key < kKeys; key++) before[key] = generation[key];
                const Answer answer = search(index, vectors.row(random() % kKeys), 10, 40);
                for (size_t i = 0; i < answer.found_count; i++) {
                    const uint64_t key = answer.keys[i];
                    EXPECT_FALSE(before[key] % 2 == 1 && generation[key] == before[key]) << "deleted key " << key;
                    EXPECT_EQ(1, std::count(answer.keys.begin(), answer.keys.begin() + answer.found_count, key));
                }
            }
        });
    }
    threads.emplace_back([&] {
        while (!stop) {
            EXPECT_OK(rhumb_index_checkpoint(index.get()));
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    });
    std::this_thread::sleep_for(std::chrono::seconds(3));
    stop = true;
    for (std::thread &thread : threads) thread.join();
    uint64_t live_count = 0;
    for (uint64_t key = 0; key < kKeys; key++) {
        const bool live = generation[key] % 2 == 0;
        live_count += live;
        EXPECT_EQ(contains(index, key), live);
    }
    EXPECT_EQ(rhumb_index_count(index.get()), live_count);
    expect_whole(index);
}

} // namespace
