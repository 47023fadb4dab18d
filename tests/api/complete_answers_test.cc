// Goal: a search returns k answers whenever k live vectors match, and as near ones as an exact search finds, however
// many vectors around the query are deleted or equal. Method: indexes of which whole regions are deleted, and indexes
// of few distinct values, searched in every way and compared with exact search.
#include <atomic>
#include <thread>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 16;

struct IteratorCloser {
    void operator()(rhumb_iterator *iterator) const { rhumb_iterator_close(iterator); }
};
using Iterator = std::unique_ptr<rhumb_iterator, IteratorCloser>;

rhumb_filter keys_where(rhumb_filter_fn matches, rhumb_filter_plan plan = RHUMB_FILTER_PLAN_AUTO) {
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = matches;
    filter.plan = plan;
    return filter;
}

const rhumb_filter_plan kPlans[] = {RHUMB_FILTER_PLAN_AUTO, RHUMB_FILTER_PLAN_EXACT, RHUMB_FILTER_PLAN_BRIDGE,
                                    RHUMB_FILTER_PLAN_WALK};

class CompleteAnswers : public ::testing::Test {
  protected:
    void make(uint32_t M = 16) {
        // Nothing here compacts: what is deleted stays in the graph.
        rhumb_open_options open_options;
        rhumb_open_options_init(&open_options, sizeof open_options);
        open_options.durability = RHUMB_DURABILITY_NONE;
        open_options.compact_dead_share = 0;
        rhumb_index_options options = index_options(kDim);
        options.M = M;
        options.ef_construction =
            200; // under sanitizers too: groups that are far apart lose sight of each other sooner
        options.open = &open_options;
        index_ = create(path_, options);
        ASSERT_NE(index_, nullptr);
    }
    // Adds vectors around `centre` under the next keys.
    void add_topic(size_t count, float centre, uint64_t seed) {
        Vectors vectors = random_vectors(count, kDim, seed);
        for (float &component : vectors.components) component += centre;
        insert_all(index_, vectors, key_next_);
        key_next_ += count;
    }
    // Adds vectors that are all `value` under the next keys.
    void add_copies(size_t count, float value) {
        insert_all(index_, {kDim, std::vector<float>(count * kDim, value)}, key_next_);
        key_next_ += count;
    }
    void remove(uint64_t begin, uint64_t end) {
        for (uint64_t key = begin; key < end; key++) ASSERT_OK(rhumb_index_delete(index_.get(), key));
    }
    static std::vector<float> all(float value) { return std::vector<float>(kDim, value); }

    Answer find(const float *query, size_t k, rhumb_search_options options) const {
        Answer answer = {std::vector<uint64_t>(k), std::vector<float>(k)};
        EXPECT_OK(rhumb_index_search(index_.get(), query, k, &options, answer.keys.data(), answer.distances.data(),
                                     &answer.found_count));
        return answer;
    }
    Answer truth(const float *query, size_t k, rhumb_search_options options) const {
        Answer answer = {std::vector<uint64_t>(k), std::vector<float>(k)};
        EXPECT_OK(rhumb_index_search_exact(index_.get(), query, 1, k, &options, answer.keys.data(),
                                           answer.distances.data(), &answer.found_count));
        return answer;
    }
    Answer within(const float *query, float radius, size_t max_count, const rhumb_filter *filter = nullptr,
                  uint32_t ef = 64) const {
        Answer answer = {std::vector<uint64_t>(max_count), std::vector<float>(max_count)};
        rhumb_search_options options = search_options(ef);
        options.filter = filter;
        EXPECT_OK(rhumb_index_search_radius(index_.get(), query, radius, max_count, &options, answer.keys.data(),
                                            answer.distances.data(), &answer.found_count));
        return answer;
    }
    std::vector<uint64_t> list(const float *query, const rhumb_filter *filter, size_t count) const {
        rhumb_iterator *opened = nullptr;
        rhumb_search_options options = search_options(64);
        options.filter = filter;
        EXPECT_OK(rhumb_iterator_open(index_.get(), query, &options, &opened));
        const Iterator iterator(opened);
        std::vector<uint64_t> keys;
        while (keys.size() < count) { // in small turns, so that chains of copies are interrupted
            uint64_t next[7];
            size_t found_count = 0;
            EXPECT_OK(rhumb_iterator_next(iterator.get(), std::min<size_t>(7, count - keys.size()), next, nullptr,
                                          &found_count));
            keys.insert(keys.end(), next, next + found_count);
            if (found_count == 0) break;
        }
        return keys;
    }
    static void expect_distinct(const std::vector<uint64_t> &keys, size_t count) {
        EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(count)).size(), count);
    }
    // As many answers as there can be, and at least `recall` of them as near as the true ones.
    void expect_complete(const float *query, size_t k, const rhumb_search_options &options, double recall) const {
        const Answer found = find(query, k, options);
        const Answer true_answer = truth(query, k, options);
        ASSERT_EQ(found.found_count, true_answer.found_count);
        expect_distinct(found.keys, found.found_count);
        if (found.found_count == 0) return;
        const float farthest = true_answer.distances[true_answer.found_count - 1];
        size_t near_count = 0;
        for (size_t i = 0; i < found.found_count; i++) near_count += found.distances[i] <= farthest * 1.0001f;
        EXPECT_GE(static_cast<double>(near_count), recall * static_cast<double>(found.found_count));
    }
    void expect_complete_around(float centre, rhumb_search_options options, double recall = 0.9) const {
        Vectors queries = random_vectors(rhumb_test::kSanitized ? 10 : 40, kDim, 77);
        for (float &component : queries.components) component += centre;
        for (size_t q = 0; q < queries.count(); q++) {
            for (const size_t k : {1, 10}) expect_complete(queries.row(q), k, options, recall);
            if (HasFailure()) FAIL() << "query " << q;
        }
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    Index index_;
    uint64_t key_next_ = 0;
};

// ---- deleted regions ----

TEST_F(CompleteAnswers, ADeletedTopicDoesNotHideTheOther) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(3000, 10, 1);
    add_topic(500, -10, 2);
    remove(0, 3000);
    expect_complete_around(10, search_options(0));
    expect_complete_around(10, search_options(200));
    EXPECT_EQ(find(all(10).data(), 600, search_options(0)).found_count, 500u);
}

TEST_F(CompleteAnswers, ASmallDeletedShareDoesNotHideTheRest) {
    const size_t scale = rhumb_test::kSanitized ? 10 : 1;
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(950 / scale, 10, 3);
    add_topic(18000 / scale, -10, 4);
    remove(0, 950 / scale);
    expect_complete_around(10, search_options(0), 1);
}

TEST_F(CompleteAnswers, KeysThatUpsertsMoveAwayAreFoundFromWhereTheyWere) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(1500, 10, 5);
    add_topic(300, -10, 6);
    const Vectors moved = random_vectors(1500, kDim, 7);
    for (uint64_t key = 0; key < 1500; key++) ASSERT_OK(rhumb_index_upsert(index_.get(), key, moved.row(key)));
    expect_complete_around(10, search_options(0));
}

TEST_F(CompleteAnswers, SearchLikeFindsAllThatIsLeft) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(1000, 0, 8);
    remove(0, 900);
    Answer answer = {std::vector<uint64_t>(200), std::vector<float>(200)};
    const rhumb_search_options options = search_options(0);
    ASSERT_OK(rhumb_index_search_like(index_.get(), 950, 200, &options, answer.keys.data(), answer.distances.data(),
                                      &answer.found_count));
    EXPECT_EQ(answer.found_count, 99u) << "all but the key itself";
    EXPECT_EQ(std::count(answer.keys.begin(), answer.keys.end(), 950u), 0);
    expect_distinct(answer.keys, answer.found_count);
}

TEST_F(CompleteAnswers, RadiusReachesBeyondADeletedTopic) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(3000, 10, 9);
    add_topic(500, -10, 10);
    remove(0, 3000);
    const std::vector<float> query = all(10);
    const Answer nearest = truth(query.data(), 500, search_options(0));
    for (const size_t count : {size_t{1}, size_t{20}, size_t{200}, size_t{500}}) {
        const Answer answer = within(query.data(), nearest.distances[count - 1], 1000);
        EXPECT_EQ(answer.found_count, count);
    }
}

// What is within the radius hangs together only through nodes beyond it: two clusters on a circle around the query, and
// an arc of other nodes outside of it that leads from the one to the other.
TEST_F(CompleteAnswers, RadiusGoesAlongNodesBeyondIt) {
    ASSERT_NO_FATAL_FAILURE(make(4));
    const auto add = [&](double degrees, double distance) {
        std::vector<float> vector(kDim);
        vector[0] = static_cast<float>(std::cos(degrees / 180 * std::acos(-1.0)) * distance);
        vector[1] = static_cast<float>(std::sin(degrees / 180 * std::acos(-1.0)) * distance);
        ASSERT_OK(rhumb_index_insert(index_.get(), key_next_++, vector.data()));
    };
    // So many others, on a line from the arc outwards, that measuring every node is not the cheaper way.
    for (int i = 0; i < 2000; i++) add(-10, 11 + 0.2 * i);
    for (int degrees = -10; degrees <= 50; degrees += 5) add(degrees, 10.6);
    for (int i = 0; i < 20; i++) add(0.1 * (i % 5), 10 + 0.01 * (i / 5));
    for (int i = 0; i < 20; i++) add(40 + 0.1 * (i % 5), 10.1 + 0.01 * (i / 5));
    EXPECT_EQ(within(all(0).data(), 10.05f, 1000, nullptr, 10).found_count, 20u);
    EXPECT_EQ(within(all(0).data(), 10.3f, 1000, nullptr, 10).found_count, 40u);
}

TEST_F(CompleteAnswers, IteratorListsWhatIsLeftOfADeletedRegion) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(2000, 10, 15);
    add_topic(300, -10, 16);
    remove(0, 2000);
    const std::vector<float> query = all(10);
    const std::vector<uint64_t> keys = list(query.data(), nullptr, 1000);
    EXPECT_EQ(keys.size(), 300u);
    expect_distinct(keys, keys.size());
    const Answer nearest = truth(query.data(), 10, search_options(0));
    const std::set<uint64_t> first(keys.begin(), keys.begin() + 20);
    for (const uint64_t key : nearest.keys) EXPECT_EQ(first.count(key), 1u) << key;
}

TEST_F(CompleteAnswers, FiltersHoldWhereADeletedTopicWas) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_topic(3000, 10, 17);
    add_topic(900, -10, 18);
    remove(0, 3000);
    for (const rhumb_filter_plan plan : kPlans) {
        for (const rhumb_filter_fn matches :
             {+[](void *, uint64_t key) { return key % 2 == 0; }, +[](void *, uint64_t key) { return key % 100 == 0; },
              +[](void *, uint64_t key) { return key < 3004; }}) {
            const rhumb_filter filter = keys_where(matches, plan);
            rhumb_search_options options = search_options(0);
            options.filter = &filter;
            expect_complete_around(10, options, plan == RHUMB_FILTER_PLAN_BRIDGE ? 0.5 : 0.9);
            const std::vector<float> query = all(10);
            EXPECT_EQ(within(query.data(), 1000, 1000, &filter).found_count,
                      truth(query.data(), 1000, options).found_count);
        }
        if (HasFailure()) FAIL() << "plan " << plan;
    }
}

// ---- equal vectors ----

TEST_F(CompleteAnswers, FewValuesWithManyCopiesAreAllFound) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (int value = 0; value < 5; value++) add_copies(100, static_cast<float>(value));
    for (int value = 0; value < 5; value++) {
        const std::vector<float> query = all(static_cast<float>(value) + 0.1f);
        expect_complete(query.data(), 100, search_options(128), 1);
        expect_complete(query.data(), 10, search_options(10), 1);
        expect_complete(query.data(), 1, search_options(1), 1);
        expect_complete(query.data(), 250, search_options(10), 1);
        expect_complete(query.data(), 500, search_options(0), 1);
        expect_complete(query.data(), 501, search_options(0), 1);
    }
}

TEST_F(CompleteAnswers, ManyCopiesDoNotHideOtherVectors) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(1000, 0);
    add_topic(1000, 0.5f, 20);
    expect_complete_around(0.5f, search_options(64), 0.9);
    expect_complete_around(0, search_options(64), 0.9);
}

TEST_F(CompleteAnswers, RadiusZeroFindsEveryCopy) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(1000, 1);
    add_topic(500, 0, 21);
    const std::vector<float> query = all(1);
    const Answer answer = within(query.data(), 0, 2000);
    EXPECT_EQ(answer.found_count, 1000u);
    expect_distinct(answer.keys, answer.found_count);
    EXPECT_EQ(within(query.data(), 0, 300).found_count, 300u);
    remove(0, 400); // the head among them
    EXPECT_EQ(within(query.data(), 0, 2000).found_count, 600u);
}

TEST_F(CompleteAnswers, CopiesOfADeletedHeadStay) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (int value = 0; value < 20; value++) add_copies(30, static_cast<float>(value));
    for (uint64_t value = 0; value < 20; value++) remove(value * 30, value * 30 + 1);
    for (int value = 0; value < 20; value++) {
        expect_complete(all(static_cast<float>(value)).data(), 29, search_options(29), 1);
        expect_complete(all(static_cast<float>(value)).data(), 60, search_options(0), 1);
    }
}

TEST_F(CompleteAnswers, TheLastOfManyCopiesIsFound) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(400, 5);
    add_topic(400, 0, 22);
    for (const uint64_t left : {0u, 1u, 200u, 399u}) {
        for (uint64_t key = 0; key < 400; key++) {
            const bool is_there = contains(index_, key);
            if (key != left && is_there) {
                ASSERT_OK(rhumb_index_delete(index_.get(), key));
            } else if (key == left && !is_there) {
                ASSERT_OK(rhumb_index_insert(index_.get(), key, all(5).data()));
            }
        }
        const Answer answer = find(all(5).data(), 3, search_options(10));
        EXPECT_EQ(answer.found_count, 3u);
        EXPECT_EQ(answer.keys[0], left);
        EXPECT_EQ(answer.distances[0], 0.0f);
        const Answer around = within(all(5).data(), 0, 10);
        EXPECT_EQ(around.found_count, 1u);
        EXPECT_EQ(list(all(5).data(), nullptr, 1), std::vector<uint64_t>(1, left));
    }
}

TEST_F(CompleteAnswers, AFilterThatOnlyCopiesPassFindsThem) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (int value = 0; value < 200; value++) add_copies(10, static_cast<float>(value));
    for (const rhumb_filter_plan plan : kPlans) {
        // Keys 0, 10, 20... are the heads.
        for (const rhumb_filter_fn matches :
             {+[](void *, uint64_t key) { return key % 10 != 0; }, +[](void *, uint64_t key) { return key % 10 == 7; },
              +[](void *, uint64_t key) { return key % 100 == 99; }}) {
            const rhumb_filter filter = keys_where(matches, plan);
            rhumb_search_options options = search_options(0);
            options.filter = &filter;
            for (const float value : {0.0f, 57.2f, 199.0f}) {
                expect_complete(all(value).data(), 5, options, 1);
                expect_complete(all(value).data(), 40, options, plan == RHUMB_FILTER_PLAN_BRIDGE ? 0.8 : 1);
            }
            const std::vector<uint64_t> keys = list(all(100).data(), &filter, 5000);
            EXPECT_EQ(keys.size(), truth(all(100).data(), 2000, options).found_count);
            expect_distinct(keys, keys.size());
        }
        if (HasFailure()) FAIL() << "plan " << plan;
    }
}

TEST_F(CompleteAnswers, IteratorListsGroupsFromWhichSomeWereDeleted) {
    ASSERT_NO_FATAL_FAILURE(make());
    for (int value = 0; value < 50; value++) add_copies(40, static_cast<float>(value));
    std::set<uint64_t> left;
    for (uint64_t key = 0; key < key_next_; key++) left.insert(key);
    std::mt19937_64 random(choose_seed());
    for (int i = 0; i < 1000; i++) {
        const uint64_t key = random() % key_next_;
        if (left.erase(key) == 0) continue;
        ASSERT_OK(rhumb_index_delete(index_.get(), key));
    }
    const std::vector<uint64_t> keys = list(all(0).data(), nullptr, 5000);
    EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.end()), left);
    EXPECT_EQ(keys.size(), left.size());
    uint64_t value = 0;
    for (const uint64_t key : keys) {
        EXPECT_GE(key / 40, value) << "the nearest value first";
        value = key / 40;
    }
}

TEST_F(CompleteAnswers, AnIteratorReturnsCopiesThatMoveWhileTheyWait) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(100, 0);
    add_topic(300, 8, 23);
    rhumb_iterator *opened = nullptr;
    const rhumb_search_options options = search_options(10);
    ASSERT_OK(rhumb_iterator_open(index_.get(), all(0).data(), &options, &opened));
    const Iterator iterator(opened);
    std::vector<uint64_t> keys(20);
    size_t found_count = 0;
    ASSERT_OK(rhumb_iterator_next(iterator.get(), 20, keys.data(), nullptr, &found_count));
    ASSERT_EQ(found_count, 20u);
    for (uint64_t key = 0; key < 100; key += 2) ASSERT_OK(rhumb_index_upsert(index_.get(), key, all(4).data()));
    std::vector<uint64_t> rest(1000);
    ASSERT_OK(rhumb_iterator_next(iterator.get(), 1000, rest.data(), nullptr, &found_count));
    keys.insert(keys.end(), rest.begin(), rest.begin() + static_cast<ptrdiff_t>(found_count));
    EXPECT_EQ(keys.size(), 400u);
    expect_distinct(keys, keys.size());
}

TEST_F(CompleteAnswers, CopiesInTheLogAreFoundOnceWhileTheyAreLinked) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(50, 0);
    add_copies(50, 1);
    index_.reset();
    leave_in_log(path_, {kDim, std::vector<float>(2000 * kDim, 1)}, 100);
    index_ = open_after_kill(path_);
    for (int i = 0; i < 20; i++) {
        const Answer answer = find(all(1).data(), 2050, search_options(0));
        ASSERT_EQ(answer.found_count, 2050u);
        expect_distinct(answer.keys, 2050);
        EXPECT_EQ(answer.distances[2049], 0.0f);
        const Answer around = within(all(1).data(), 0, 3000);
        ASSERT_EQ(around.found_count, 2050u);
        expect_distinct(around.keys, 2050);
        const std::vector<uint64_t> keys = list(all(1).data(), nullptr, 3000);
        ASSERT_EQ(keys.size(), 2100u);
        expect_distinct(keys, 2100);
    }
}

TEST_F(CompleteAnswers, SearchLikeACopyFindsTheOthers) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(20, 3);
    add_topic(200, 0, 24);
    const rhumb_search_options options = search_options(10);
    for (const uint64_t key : {0u, 1u, 19u}) {
        Answer answer = {std::vector<uint64_t>(19), std::vector<float>(19)};
        ASSERT_OK(rhumb_index_search_like(index_.get(), key, 19, &options, answer.keys.data(), answer.distances.data(),
                                          &answer.found_count));
        EXPECT_EQ(answer.found_count, 19u);
        EXPECT_EQ(std::count(answer.keys.begin(), answer.keys.end(), key), 0);
        EXPECT_EQ(answer.distances[18], 0.0f);
        expect_distinct(answer.keys, 19);
    }
}

// ---- concurrently with changes ----

// Upserts move keys between few values all the time. Every key is in the index at any moment, and is returned once.
TEST_F(CompleteAnswers, EveryKeyIsReturnedOnceWhileUpsertsMoveCopies) {
    ASSERT_NO_FATAL_FAILURE(make());
    constexpr uint64_t key_count = 120;
    for (int value = 0; value < 4; value++) add_copies(key_count / 4, static_cast<float>(value));
    std::atomic<bool> stopped{false};
    std::atomic<size_t> search_count{0};
    std::vector<std::thread> writers;
    for (uint64_t t = 0; t < 2; t++) {
        writers.emplace_back([&, t] {
            std::mt19937_64 random(t);
            const int count = rhumb_test::kSanitized ? 500 : 3000;
            for (int i = 0; (i < count || search_count == 0) && !stopped; i++) { // searches may begin late
                const uint64_t key = random() % (key_count / 2) * 2 + t;
                EXPECT_OK(rhumb_index_upsert(index_.get(), key, all(static_cast<float>(random() % 4)).data()));
            }
            stopped = true;
        });
    }
    for (; !stopped && !HasFailure(); search_count++) {
        const std::vector<float> query = all(static_cast<float>(search_count % 4));
        const Answer answer = find(query.data(), key_count, search_options(10));
        expect_distinct(answer.keys, answer.found_count);
        EXPECT_EQ(answer.found_count, key_count);
        const std::vector<uint64_t> keys = list(query.data(), nullptr, 1000);
        expect_distinct(keys, keys.size());
        EXPECT_EQ(keys.size(), key_count);
        const Answer around = within(query.data(), 0, 1000);
        expect_distinct(around.keys, around.found_count);
    }
    stopped = true;
    for (std::thread &writer : writers) writer.join();
    EXPECT_GT(search_count, 0u);
}

// Copies that were there before a search are found by it, however many are added in the meantime.
TEST_F(CompleteAnswers, CopiesAreFoundWhileOthersAreAdded) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(200, 1);
    std::atomic<bool> stopped{false};
    std::vector<std::thread> writers;
    for (uint64_t t = 0; t < 2; t++) {
        writers.emplace_back([&, t] {
            for (uint64_t i = 0; i < 2000 && !stopped; i++) {
                EXPECT_OK(rhumb_index_insert(index_.get(), 1000 + t * 10000 + i, all(1).data()));
            }
            stopped = true;
        });
    }
    while (!stopped && !HasFailure()) {
        const Answer around = within(all(1).data(), 0, 5000);
        expect_distinct(around.keys, around.found_count);
        const std::set<uint64_t> found(around.keys.begin(),
                                       around.keys.begin() + static_cast<ptrdiff_t>(around.found_count));
        for (uint64_t key = 0; key < 200; key++) ASSERT_EQ(found.count(key), 1u) << key;
        const std::vector<uint64_t> keys = list(all(1).data(), nullptr, 300);
        EXPECT_GE(keys.size(), 200u);
        expect_distinct(keys, keys.size());
    }
    stopped = true;
    for (std::thread &writer : writers) writer.join();
}

// ---- the neighbours of equal vectors ----

class GroupNeighbours : public CompleteAnswers {
  protected:
    std::set<uint64_t> neighbours(uint64_t key, uint32_t level = 0) const {
        std::vector<uint64_t> keys(1000);
        std::vector<float> distances(1000);
        size_t count = 0;
        EXPECT_OK(rhumb_index_neighbours(index_.get(), key, level, keys.data(), distances.data(), 1000, &count));
        for (size_t i = 1; i < count; i++) EXPECT_LE(distances[i - 1], distances[i]);
        const std::set<uint64_t> distinct(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(count));
        EXPECT_EQ(distinct.size(), count);
        EXPECT_EQ(distinct.count(key), 0u);
        return distinct;
    }
    // The keys that a walk along neighbours from `key` reaches.
    std::set<uint64_t> reachable(uint64_t key) const {
        std::set<uint64_t> reached = {key};
        std::vector<uint64_t> open = {key};
        while (!open.empty()) {
            const uint64_t at = open.back();
            open.pop_back();
            for (const uint64_t next : neighbours(at)) {
                if (reached.insert(next).second) open.push_back(next);
            }
        }
        return reached;
    }
};

TEST_F(GroupNeighbours, OfACopyAreThoseOfItsHeadAndTheHead) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(3, 0);
    add_topic(10, 1, 25);
    const std::set<uint64_t> of_head = neighbours(0);
    EXPECT_EQ(of_head.count(1) + of_head.count(2), 2u);
    for (const uint64_t copy : {1u, 2u}) {
        std::set<uint64_t> expected = of_head;
        expected.erase(copy);
        expected.insert(0);
        EXPECT_EQ(neighbours(copy), expected);
    }
    remove(0, 1);
    std::set<uint64_t> expected = of_head;
    expected.erase(1);
    EXPECT_EQ(neighbours(1), expected);
    for (const uint64_t key : of_head) {
        if (key <= 2) continue;
        EXPECT_EQ(neighbours(key).count(1) + neighbours(key).count(2), 1u) << "one for the deleted head";
    }
}

TEST_F(GroupNeighbours, ConnectEveryMemberAndFitIntoAList) {
    ASSERT_NO_FATAL_FAILURE(make());
    add_copies(300, 0);
    add_topic(200, 1, 26);
    remove(0, 1);
    remove(50, 100);
    for (const uint64_t key : {1u, 49u, 299u, 300u}) {
        EXPECT_LE(neighbours(key).size(), 2u * index_options(kDim).M);
        EXPECT_EQ(reachable(key).size(), 449u) << "from " << key;
    }
}

} // namespace
} // namespace index_test
