// Goal: a filtered search returns matching keys only, all of them when they are fewer than k, and as near ones as exact
// search finds, with each plan and after any change of the index. Method: indexes of a few thousand vectors against
// brute force over the matching keys; each plan by itself and the choice among them.
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 24;

// A filter of each kind over a set of keys.
class Filter {
  public:
    Filter(rhumb_filter_kind kind, bool negate, std::set<uint64_t> matching, uint64_t key_limit,
           rhumb_filter_plan plan = RHUMB_FILTER_PLAN_AUTO)
        : matching_(std::move(matching)) {
        const auto is_listed = [&](uint64_t key) { return (matching_.count(key) > 0) != negate; };
        for (uint64_t key = 0; key < key_limit; key++) {
            if (is_listed(key)) listed_.push_back(key);
        }
        rhumb_filter_init(&filter_, sizeof filter_);
        filter_.kind = kind;
        filter_.negate = negate;
        filter_.plan = plan;
        filter_.keys = listed_.data();
        filter_.key_count = listed_.size();
        filter_.bitmap_key_base = listed_.empty() ? 7 : listed_.front();
        bitmap_.resize(key_limit / 8 + 1);
        for (uint64_t key : listed_) {
            const uint64_t bit = key - filter_.bitmap_key_base;
            bitmap_[bit / 8] = static_cast<uint8_t>(bitmap_[bit / 8] | 1 << bit % 8);
        }
        filter_.bitmap = bitmap_.data();
        filter_.bitmap_bit_count = listed_.empty() ? 0 : listed_.back() - listed_.front() + 1;
        filter_.matches = [](void *context, uint64_t key) {
            const auto &listed = *static_cast<const std::vector<uint64_t> *>(context);
            return std::binary_search(listed.begin(), listed.end(), key);
        };
        filter_.context = &listed_;
    }
    Filter(const Filter &) = delete;
    Filter &operator=(const Filter &) = delete;

    const rhumb_filter *get() const { return &filter_; }
    rhumb_filter &raw() { return filter_; }
    const std::set<uint64_t> &matching() const { return matching_; }

  private:
    std::set<uint64_t> matching_;
    std::vector<uint64_t> listed_;
    std::vector<uint8_t> bitmap_;
    rhumb_filter filter_;
};

const rhumb_filter_kind kKinds[] = {RHUMB_FILTER_KEYS, RHUMB_FILTER_BITMAP, RHUMB_FILTER_CALLBACK};
const rhumb_filter_plan kPlans[] = {RHUMB_FILTER_PLAN_AUTO, RHUMB_FILTER_PLAN_EXACT, RHUMB_FILTER_PLAN_BRIDGE,
                                    RHUMB_FILTER_PLAN_WALK};

std::set<uint64_t> draw_keys(uint64_t key_limit, double share, std::mt19937_64 &random) {
    std::set<uint64_t> keys;
    std::uniform_real_distribution<double> draw(0, 1);
    for (uint64_t key = 0; key < key_limit; key++) {
        if (draw(random) < share) keys.insert(key);
    }
    return keys;
}

rhumb_search_options with_filter(const rhumb_filter *filter, uint32_t ef_search = 0) {
    rhumb_search_options options = search_options(ef_search);
    options.filter = filter;
    return options;
}

Answer search_filtered(const Index &index, const float *query, size_t k, const rhumb_filter *filter,
                       uint32_t ef_search = 0) {
    Answer answer = {std::vector<uint64_t>(k), std::vector<float>(k)};
    const rhumb_search_options options = with_filter(filter, ef_search);
    EXPECT_OK(rhumb_index_search(index.get(), query, k, &options, answer.keys.data(), answer.distances.data(),
                                 &answer.found_count));
    return answer;
}

class Filtered : public ::testing::Test {
  protected:
    // Keys 0, 1...: clustered, so that labels by cluster are not spread evenly.
    void fill(size_t count, uint32_t M = 12) {
        vectors_ = clustered_vectors(count, kDim, 10, 300, 301);
        rhumb_index_options options = index_options(kDim);
        options.M = M;
        options.ef_construction = 80;
        options.ef_search = 64;
        index_ = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
        ASSERT_NE(index_, nullptr);
        insert_all(index_, vectors_); // by one thread, so that what a search finds is the same each time
    }
    // The k nearest of the keys that match, by brute force.
    std::vector<uint64_t> nearest(const float *query, size_t k, const std::set<uint64_t> &matching) const {
        std::vector<std::pair<double, uint64_t>> order;
        for (uint64_t key : matching) {
            if (key >= vectors_.count() || gone_.count(key) > 0) continue;
            order.emplace_back(true_distance(RHUMB_METRIC_L2, kDim, query, vectors_.row(key)), key);
        }
        std::sort(order.begin(), order.end());
        std::vector<uint64_t> keys;
        for (size_t i = 0; i < std::min(k, order.size()); i++) keys.push_back(order[i].second);
        return keys;
    }
    // Checks what every plan must return: matching keys, each once, nearest first, with their distances, padded.
    void expect_sound(const float *query, const Answer &answer, const std::set<uint64_t> &matching) const {
        std::set<uint64_t> seen;
        for (size_t i = 0; i < answer.found_count; i++) {
            const uint64_t key = answer.keys[i];
            ASSERT_EQ(matching.count(key), 1u) << key << " does not match";
            ASSERT_EQ(gone_.count(key), 0u) << key << " was deleted";
            ASSERT_TRUE(seen.insert(key).second) << key << " twice";
            EXPECT_NEAR(answer.distances[i], true_distance(RHUMB_METRIC_L2, kDim, query, vectors_.row(key)), 1e-4);
            if (i > 0) {
                EXPECT_LE(answer.distances[i - 1], answer.distances[i]);
            }
        }
        for (size_t i = answer.found_count; i < answer.keys.size(); i++) {
            EXPECT_EQ(answer.keys[i], UINT64_MAX);
            EXPECT_TRUE(std::isinf(answer.distances[i]));
        }
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    Vectors vectors_;
    std::set<uint64_t> gone_;
    Index index_;
};

TEST_F(Filtered, EveryKindAndPlanReturnsMatchingKeysOnlyAndAllOfThemWhenThereAreFew) {
    fill(3000);
    std::mt19937_64 random(choose_seed());
    const Vectors queries = clustered_vectors(4, kDim, 10, 300, 302);
    for (const double share : {0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 1.0}) {
        const std::set<uint64_t> matching = draw_keys(3000, share, random);
        for (const rhumb_filter_kind kind : kKinds) {
            for (const bool negate : {false, true}) {
                for (const rhumb_filter_plan plan : kPlans) {
                    const Filter filter(kind, negate, matching, 3000, plan);
                    SCOPED_TRACE(std::to_string(share) + ", kind " + std::to_string(kind) + ", plan " +
                                 std::to_string(plan) + (negate ? ", negated" : ""));
                    for (size_t q = 0; q < queries.count(); q++) {
                        const float *query = queries.row(q);
                        const Answer answer = search_filtered(index_, query, 15, filter.get(), 40);
                        expect_sound(query, answer, matching);
                        ASSERT_EQ(answer.found_count, std::min<size_t>(15, matching.size()));
                        if (plan != RHUMB_FILTER_PLAN_EXACT && matching.size() > 15) continue;
                        ASSERT_EQ(std::vector<uint64_t>(answer.keys.begin(), answer.keys.begin() + answer.found_count),
                                  nearest(query, 15, matching));
                    }
                }
            }
        }
    }
}

TEST_F(Filtered, RecallHoldsAtEveryShareAndWhereverTheMatchingKeysLie) {
    constexpr size_t kCount = 8000;
    fill(kCount);
    std::mt19937_64 random(303);
    const Vectors queries = clustered_vectors(60, kDim, 10, 300, 304);
    for (const std::string place : {"random", "near", "far"}) {
        // Without its nearest tenth a query has lost its whole cluster, and either finds the next one or does not.
        const size_t query_count = place == "far" ? queries.count() : 8;
        for (const double share : {0.9, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001}) {
            size_t hit_count = 0, wanted_count = 0;
            for (size_t q = 0; q < query_count; q++) {
                const float *query = queries.row(q);
                std::set<uint64_t> matching = draw_keys(kCount, share, random);
                if (place != "random") {
                    std::set<uint64_t> all;
                    for (uint64_t key = 0; key < kCount; key++) all.insert(key);
                    std::vector<uint64_t> order = nearest(query, kCount, all);
                    if (place == "far") std::reverse(order.begin(), order.end());
                    matching = std::set<uint64_t>(order.begin(), order.begin() + static_cast<size_t>(share * kCount));
                }
                const Filter filter(RHUMB_FILTER_BITMAP, false, matching, kCount);
                const Answer answer = search_filtered(index_, query, 10, filter.get());
                expect_sound(query, answer, matching);
                for (uint64_t key : nearest(query, 10, matching)) {
                    hit_count += static_cast<size_t>(std::count(answer.keys.begin(), answer.keys.end(), key));
                    wanted_count++;
                }
            }
            EXPECT_GE(static_cast<double>(hit_count), 0.93 * static_cast<double>(wanted_count))
                << place << " " << share;
        }
    }
}

// A filter that counts for how many keys it is asked.
struct Counter {
    std::vector<bool> matching;
    size_t asked_count = 0;

    static bool matches(void *context, uint64_t key) {
        auto &self = *static_cast<Counter *>(context);
        self.asked_count++;
        return self.matching[key];
    }
};

// Exact search would check every key.
TEST_F(Filtered, WhereOnlyTheNearestTenthFailsASearchWalksPastIt) {
    constexpr size_t kCount = 12000, kFailing = kCount / 10;
    fill(kCount);
    std::set<uint64_t> all;
    for (uint64_t key = 0; key < kCount; key++) all.insert(key);
    const Vectors queries = clustered_vectors(5, kDim, 10, 300, 305);
    size_t hit_count = 0;
    for (size_t q = 0; q < queries.count(); q++) {
        const std::vector<uint64_t> order = nearest(queries.row(q), kCount, all);
        Counter counter = {std::vector<bool>(kCount, true)};
        for (size_t i = 0; i < kFailing; i++) counter.matching[order[i]] = false;
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = RHUMB_FILTER_CALLBACK;
        filter.matches = Counter::matches;
        filter.context = &counter;
        const Answer answer = search_filtered(index_, queries.row(q), 10, &filter, 100);
        EXPECT_LT(counter.asked_count, kCount / 2);
        for (size_t i = kFailing; i < kFailing + 10; i++) {
            hit_count += static_cast<size_t>(std::count(answer.keys.begin(), answer.keys.end(), order[i]));
        }
    }
    EXPECT_GE(hit_count, 9 * queries.count());
}

TEST_F(Filtered, DeletedKeysStayAwayAndWhatIsLeftIsFound) {
    fill(4000);
    std::mt19937_64 random(choose_seed());
    for (uint64_t key = 0; key < 4000; key++) {
        if (random() % 2 == 0) continue;
        ASSERT_OK(rhumb_index_delete(index_.get(), key));
        gone_.insert(key);
    }
    const Vectors queries = clustered_vectors(10, kDim, 10, 300, 305);
    for (const double share : {0.004, 0.3, 0.8}) {
        const std::set<uint64_t> matching = draw_keys(4000, share, random);
        for (const rhumb_filter_plan plan : kPlans) {
            const Filter filter(RHUMB_FILTER_KEYS, false, matching, 4000, plan);
            for (size_t q = 0; q < queries.count(); q++) {
                const Answer answer = search_filtered(index_, queries.row(q), 10, filter.get(), 60);
                expect_sound(queries.row(q), answer, matching);
                const std::vector<uint64_t> truth = nearest(queries.row(q), 10, matching);
                ASSERT_EQ(answer.found_count, truth.size());
                if (plan == RHUMB_FILTER_PLAN_EXACT) {
                    EXPECT_EQ(std::vector<uint64_t>(answer.keys.begin(), answer.keys.begin() + answer.found_count),
                              truth);
                }
            }
        }
    }
}

TEST_F(Filtered, RecoveredVectorsAreFilteredBeforeTheyAreLinked) {
    fill(2000);
    index_.reset();
    const Vectors added = clustered_vectors(6000, kDim, 10, 300, 306);
    ASSERT_NO_FATAL_FAILURE(leave_in_log(path_, added, 2000));
    vectors_.components.insert(vectors_.components.end(), added.components.begin(), added.components.end());
    index_ = open(path_, false);
    std::mt19937_64 random(307);
    const std::set<uint64_t> matching = draw_keys(8000, 0.3, random);
    for (int round = 0; round < 2; round++) { // while they are being linked, and afterwards
        for (const rhumb_filter_plan plan : kPlans) {
            const Filter filter(RHUMB_FILTER_BITMAP, false, matching, 8000, plan);
            for (uint64_t key = 2000; key < 8000; key += 397) {
                const Answer answer = search_filtered(index_, vectors_.row(key), 10, filter.get());
                expect_sound(vectors_.row(key), answer, matching);
                ASSERT_EQ(answer.found_count, 10u);
                if (matching.count(key) > 0) {
                    EXPECT_EQ(answer.keys[0], key);
                }
            }
        }
        EXPECT_OK(rhumb_index_wait_idle(index_.get()));
    }
}

TEST_F(Filtered, BatchesTakeOneFilterForAllOrOneForEach) {
    fill(3000);
    std::mt19937_64 random(308);
    const Vectors queries = clustered_vectors(60, kDim, 10, 300, 309);
    std::vector<std::unique_ptr<Filter>> filters;
    std::vector<const rhumb_filter *> pointers;
    for (size_t q = 0; q < queries.count(); q++) {
        filters.push_back(
            std::make_unique<Filter>(kKinds[q % 3], q % 2 == 0, draw_keys(3000, 0.02 * double(q), random), 3000));
        pointers.push_back(q % 7 == 0 ? nullptr : filters.back()->get());
    }
    for (const bool exact : {false, true}) {
        for (const bool each : {false, true}) {
            const auto run = exact ? rhumb_index_search_exact : rhumb_index_search_batch;
            rhumb_search_options options = search_options(50, 2);
            options.filter = each ? nullptr : filters[40]->get();
            options.filters = each ? pointers.data() : nullptr;
            std::vector<uint64_t> keys(60 * 10);
            std::vector<float> distances(60 * 10);
            std::vector<size_t> found_counts(60);
            ASSERT_OK(run(index_.get(), queries.components.data(), 60, 10, &options, keys.data(), distances.data(),
                          found_counts.data()));
            for (size_t q = 0; q < 60; q++) {
                const rhumb_filter *filter = each ? pointers[q] : filters[40]->get();
                Answer answer = {{keys.begin() + long(q) * 10, keys.begin() + long(q) * 10 + 10},
                                 {distances.begin() + long(q) * 10, distances.begin() + long(q) * 10 + 10},
                                 found_counts[q]};
                if (filter != nullptr) expect_sound(queries.row(q), answer, filters[each ? q : 40]->matching());
                if (!exact) {
                    EXPECT_TRUE(answer == search_filtered(index_, queries.row(q), 10, filter, 50));
                }
            }
        }
    }
}

TEST_F(Filtered, SearchLikeAKeyOmitsTheKeyItself) {
    fill(3000);
    std::mt19937_64 random(310);
    const Filter filter(RHUMB_FILTER_BITMAP, false, draw_keys(3000, 0.2, random), 3000);
    for (uint64_t key = 0; key < 3000; key += 101) {
        for (const rhumb_filter *used : {static_cast<const rhumb_filter *>(nullptr), filter.get()}) {
            Answer answer = {std::vector<uint64_t>(10), std::vector<float>(10)};
            const rhumb_search_options options = with_filter(used, 100);
            ASSERT_OK(rhumb_index_search_like(index_.get(), key, 10, &options, answer.keys.data(),
                                              answer.distances.data(), &answer.found_count));
            EXPECT_EQ(answer.found_count, 10u);
            EXPECT_EQ(std::count(answer.keys.begin(), answer.keys.end(), key), 0);
            const Answer plain = search_filtered(index_, vectors_.row(key), 11, used, 100);
            std::vector<uint64_t> expected;
            for (uint64_t other : plain.keys) {
                if (other != key && expected.size() < 10) expected.push_back(other);
            }
            EXPECT_EQ(answer.keys, expected);
        }
    }
    std::vector<uint64_t> keys(10);
    EXPECT_STATUS(RHUMB_E_NOTFOUND,
                  rhumb_index_search_like(index_.get(), 3000, 10, nullptr, keys.data(), nullptr, nullptr));
}

TEST_F(Filtered, AnEmptyIndexAndASingleVectorAreSearchedToo) {
    index_ = create(path_, index_options(kDim));
    vectors_ = random_vectors(1, kDim, 311);
    for (int round = 0; round < 2; round++) {
        for (const rhumb_filter_plan plan : kPlans) {
            for (const bool negate : {false, true}) {
                const Filter filter(RHUMB_FILTER_KEYS, negate, {0}, 5, plan);
                const Answer answer = search_filtered(index_, vectors_.row(0), 3, filter.get());
                EXPECT_EQ(answer.found_count, round == 0 ? 0u : 1u);
            }
        }
        if (round == 0) {
            ASSERT_OK(rhumb_index_insert(index_.get(), 0, vectors_.row(0)));
        }
    }
}

TEST_F(Filtered, InvalidFiltersAreRefused) {
    fill(20);
    std::vector<uint64_t> keys(5);
    const uint64_t descending[] = {3, 2}, equal[] = {3, 3};
    Filter good(RHUMB_FILTER_KEYS, false, {1, 2}, 20);
    const auto status_with = [&](const std::function<void(rhumb_filter &)> &change) {
        rhumb_filter filter = *good.get();
        change(filter);
        const rhumb_search_options options = with_filter(&filter);
        return rhumb_index_search(index_.get(), vectors_.row(0), 5, &options, keys.data(), nullptr, nullptr);
    };
    EXPECT_EQ(RHUMB_OK, status_with([](rhumb_filter &) {}));
    const auto refuses = [&](const std::function<void(rhumb_filter &)> &change) {
        EXPECT_STATUS(RHUMB_E_INVALID, status_with(change));
    };
    refuses([](rhumb_filter &filter) { filter.size = 3; });
    refuses([](rhumb_filter &filter) { filter.kind = static_cast<rhumb_filter_kind>(0); });
    refuses([](rhumb_filter &filter) { filter.kind = static_cast<rhumb_filter_kind>(4); });
    refuses([](rhumb_filter &filter) { filter.plan = static_cast<rhumb_filter_plan>(4); });
    refuses([](rhumb_filter &filter) { filter.keys = nullptr; });
    refuses([&](rhumb_filter &filter) { filter.keys = descending; });
    refuses([&](rhumb_filter &filter) { filter.keys = equal; });
    refuses([](rhumb_filter &filter) {
        filter.kind = RHUMB_FILTER_BITMAP;
        filter.bitmap = nullptr;
    });
    refuses([](rhumb_filter &filter) {
        filter.kind = RHUMB_FILTER_CALLBACK;
        filter.matches = nullptr;
    });
    rhumb_search_options both = with_filter(good.get());
    const rhumb_filter *filters[] = {good.get()};
    both.filters = filters;
    EXPECT_STATUS(RHUMB_E_INVALID,
                  rhumb_index_search_batch(index_.get(), vectors_.row(0), 1, 5, &both, keys.data(), nullptr, nullptr));
    // Disorder that the sampled check of a long array misses is found during the search, or hides keys; no key that
    // does not match is returned.
    std::vector<uint64_t> long_keys(20000);
    for (size_t i = 0; i < long_keys.size(); i++) long_keys[i] = 2 * i;
    std::swap(long_keys[10003], long_keys[10004]);
    EXPECT_NE(RHUMB_E_NOMEM, status_with([&](rhumb_filter &filter) {
                  filter.keys = long_keys.data();
                  filter.key_count = long_keys.size();
              }));
}

TEST_F(Filtered, BitmapsAndKeysReachToTheEndOfTheNumbers) {
    index_ = create(path_, index_options(kDim));
    vectors_ = random_vectors(40, kDim, 312);
    for (uint64_t i = 0; i < 40; i++) ASSERT_OK(rhumb_index_insert(index_.get(), UINT64_MAX - 1 - i, vectors_.row(i)));
    const uint8_t bits[] = {0xFF, 0xFF};
    const uint64_t keys[] = {0, 5, UINT64_MAX - 3, UINT64_MAX - 1, UINT64_MAX};
    for (const rhumb_filter_plan plan : kPlans) {
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.plan = plan;
        filter.kind = RHUMB_FILTER_BITMAP;
        filter.bitmap = bits;
        filter.bitmap_bit_count = 13;
        filter.bitmap_key_base = UINT64_MAX - 5; // reaches beyond the last key
        Answer answer = search_filtered(index_, vectors_.row(0), 20, &filter);
        EXPECT_EQ(answer.found_count, 5u);
        filter.negate = true;
        EXPECT_EQ(search_filtered(index_, vectors_.row(0), 40, &filter).found_count, 35u);
        filter.kind = RHUMB_FILTER_KEYS;
        filter.negate = false;
        filter.keys = keys;
        filter.key_count = 5;
        EXPECT_EQ(search_filtered(index_, vectors_.row(0), 20, &filter).found_count, 2u);
    }
}

// A filter that records which signals its thread accepts, unless that is the caller's.
struct WorkerMask {
    pthread_t caller;
    std::atomic<bool> seen{false};
    std::atomic<bool> takes_signals{false};
    std::atomic<bool> takes_faults{true};

    static bool note(void *context, uint64_t) {
        auto &self = *static_cast<WorkerMask *>(context);
        if (pthread_equal(pthread_self(), self.caller) != 0) {
            // Lets the other thread run.
            for (int i = 0; i < 10000 && !self.seen; i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return true;
        }
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        for (int number : {SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGPROF}) {
            if (sigismember(&mask, number) == 0) self.takes_signals = true;
        }
        if (sigismember(&mask, SIGSEGV) != 0) self.takes_faults = false;
        self.seen = true;
        return true;
    }
};

TEST(BatchThreads, BlockTheSignalsOfTheProgram) {
    const ScratchDirectory directory;
    const Index index = create(directory.file("index.rhumb"), index_options(4));
    const Vectors vectors = random_vectors(64, 4, 12);
    insert_all(index, vectors);
    WorkerMask mask;
    mask.caller = pthread_self();
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = WorkerMask::note;
    filter.context = &mask;
    rhumb_search_options options = search_options(10);
    options.filter = &filter;
    options.thread_count = 2;
    std::vector<uint64_t> keys(vectors.count());
    ASSERT_OK(rhumb_index_search_batch(index.get(), vectors.row(0), vectors.count(), 1, &options, keys.data(), nullptr,
                                       nullptr));
    EXPECT_TRUE(mask.seen) << "no second thread has searched";
    EXPECT_FALSE(mask.takes_signals);
    EXPECT_TRUE(mask.takes_faults);
}

} // namespace
} // namespace index_test
