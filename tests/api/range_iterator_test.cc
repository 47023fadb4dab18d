// Goal: a search within a radius finds what is within it, and an iterator lists every vector once, nearly in the order
// of distance; both with filters, after deletes, upserts and refreshes. Method: small indexes against brute force.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 16;

struct IteratorCloser {
    void operator()(rhumb_iterator *iterator) const { rhumb_iterator_close(iterator); }
};
using Iterator = std::unique_ptr<rhumb_iterator, IteratorCloser>;

bool is_third(void *, uint64_t key) { return key % 3 == 0; }

rhumb_filter thirds(rhumb_filter_plan plan = RHUMB_FILTER_PLAN_AUTO) {
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = is_third;
    filter.plan = plan;
    return filter;
}

class RangeIterator : public ::testing::Test {
  protected:
    void fill(size_t count, rhumb_metric metric = RHUMB_METRIC_L2) {
        metric_ = metric;
        vectors_ = clustered_vectors(count, kDim, 8, 400, 401);
        rhumb_index_options options = index_options(kDim, metric);
        options.M = 12;
        options.ef_construction = 80;
        index_ = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
        ASSERT_NE(index_, nullptr);
        insert_all(index_, vectors_); // by one thread, so that what a search finds is the same each time
    }
    // Keys that match, nearest first.
    std::vector<std::pair<double, uint64_t>> all(const float *query, bool thirds_only = false) const {
        std::vector<std::pair<double, uint64_t>> order;
        for (uint64_t key = 0; key < vectors_.count(); key++) {
            if (gone_.count(key) > 0 || (thirds_only && key % 3 != 0)) continue;
            order.emplace_back(true_distance(metric_, kDim, query, vectors_.row(key)), key);
        }
        std::sort(order.begin(), order.end());
        return order;
    }
    Answer within(const float *query, float radius, size_t max_count, const rhumb_filter *filter = nullptr) const {
        Answer answer = {std::vector<uint64_t>(max_count), std::vector<float>(max_count)};
        rhumb_search_options options = search_options(64);
        options.filter = filter;
        EXPECT_OK(rhumb_index_search_radius(index_.get(), query, radius, max_count, &options, answer.keys.data(),
                                            answer.distances.data(), &answer.found_count));
        return answer;
    }
    Iterator iterate(const float *query, const rhumb_filter *filter = nullptr, uint32_t ef = 64) const {
        rhumb_iterator *iterator = nullptr;
        rhumb_search_options options = search_options(ef);
        options.filter = filter;
        EXPECT_OK(rhumb_iterator_open(index_.get(), query, &options, &iterator));
        return Iterator(iterator);
    }
    static std::vector<uint64_t> next(const Iterator &iterator, size_t count, std::vector<float> *distances = nullptr) {
        std::vector<uint64_t> keys(count);
        std::vector<float> own(count);
        size_t found_count = 0;
        EXPECT_OK(rhumb_iterator_next(iterator.get(), count, keys.data(), own.data(), &found_count));
        keys.resize(found_count);
        own.resize(found_count);
        if (distances != nullptr) distances->insert(distances->end(), own.begin(), own.end());
        return keys;
    }
    // Lists to the end, in batches.
    static std::vector<uint64_t> drain(const Iterator &iterator, size_t batch,
                                       std::vector<float> *distances = nullptr) {
        std::vector<uint64_t> keys;
        for (;;) {
            const std::vector<uint64_t> more = next(iterator, batch, distances);
            keys.insert(keys.end(), more.begin(), more.end());
            if (more.size() < batch) break;
        }
        EXPECT_TRUE(next(iterator, batch).empty()) << "the end stays the end";
        return keys;
    }
    template <typename Keys> static void expect_distinct(const Keys &keys) {
        EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.end()).size(), keys.size());
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    rhumb_metric metric_ = RHUMB_METRIC_L2;
    Vectors vectors_;
    std::set<uint64_t> gone_;
    Index index_;
};

TEST_F(RangeIterator, RadiusFindsWhatIsWithinItUnderEveryMetric) {
    for (const rhumb_metric metric : all_metrics()) {
        if (index_ != nullptr) index_.reset();
        std::filesystem::remove(path_);
        fill(2200, metric);
        const Vectors queries = clustered_vectors(5, kDim, 8, 400, 402);
        const rhumb_filter filter = thirds();
        for (size_t q = 0; q < queries.count(); q++) {
            const float *query = queries.row(q);
            for (const bool filtered : {false, true}) {
                const auto order = all(query, filtered);
                for (const size_t wanted : {0u, 1u, 30u, 200u, 700u}) {
                    // A radius between two distances, so that rounding does not matter.
                    const double radius =
                        wanted == 0 ? order[0].first - 1e-3 : (order[wanted - 1].first + order[wanted].first) / 2;
                    const Answer answer = within(query, static_cast<float>(radius), 1000, filtered ? &filter : nullptr);
                    std::set<uint64_t> found;
                    for (size_t i = 0; i < answer.found_count; i++) {
                        EXPECT_LE(answer.distances[i], static_cast<float>(radius));
                        if (i > 0) {
                            EXPECT_LE(answer.distances[i - 1], answer.distances[i]);
                        }
                        if (filtered) {
                            EXPECT_EQ(answer.keys[i] % 3, 0u);
                        }
                        found.insert(answer.keys[i]);
                    }
                    EXPECT_EQ(found.size(), answer.found_count);
                    EXPECT_LE(answer.found_count, wanted + 1);
                    for (size_t i = answer.found_count; i < 1000; i++) ASSERT_EQ(answer.keys[i], UINT64_MAX);
                    EXPECT_GE(static_cast<double>(answer.found_count) + 1, 0.95 * static_cast<double>(wanted))
                        << rhumb_metric_name(metric) << " " << radius;
                }
            }
        }
    }
}

TEST_F(RangeIterator, RadiusIsInclusiveAndBoundedByTheMaximum) {
    fill(2000);
    for (size_t i = 0; i < 50; i++) {
        const float *query = vectors_.row(i * 37);
        const Answer nearest = search(index_, query, 20, 100);
        EXPECT_EQ(within(query, 0, 10).found_count, 1u) << "the vector itself";
        EXPECT_EQ(within(query, -1, 10).found_count, 0u);
        // As far as the twentieth, exactly.
        EXPECT_GE(within(query, nearest.distances[19], 100).found_count, 20u);
        for (const size_t max_count : {5u, 200u}) {
            const Answer bounded = within(query, INFINITY, max_count);
            EXPECT_EQ(bounded.found_count, max_count);
            EXPECT_EQ(bounded.keys[0], nearest.keys[0]);
            EXPECT_EQ(bounded.keys[4], nearest.keys[4]);
        }
    }
    const Answer everything = within(vectors_.row(0), INFINITY, 5000);
    EXPECT_EQ(everything.found_count, 2000u);
    expect_distinct(std::set<uint64_t>(everything.keys.begin(), everything.keys.begin() + everything.found_count));
}

TEST_F(RangeIterator, RadiusOmitsDeletedVectorsAndPassesThroughThem) {
    fill(3000);
    for (uint64_t key = 0; key < 3000; key++) {
        if (key % 4 == 0) continue;
        ASSERT_OK(rhumb_index_delete(index_.get(), key));
        gone_.insert(key);
    }
    const Vectors queries = clustered_vectors(10, kDim, 8, 400, 403);
    for (size_t q = 0; q < queries.count(); q++) {
        const auto order = all(queries.row(q));
        const Answer answer = within(queries.row(q), static_cast<float>(order[150].first), 700);
        EXPECT_GE(answer.found_count, 143u);
        EXPECT_LE(answer.found_count, 152u);
        for (size_t i = 0; i < answer.found_count; i++) EXPECT_EQ(answer.keys[i] % 4, 0u);
    }
}

// The first search of a handle took its bound on the number of answers from a scratch that knew no graph yet: it
// returned one key of the list.
TEST_F(RangeIterator, RadiusWithAListOfKeysFindsAllInANewHandle) {
    fill(500);
    index_.reset();
    index_ = open(path_, true);
    const std::vector<uint64_t> keys = {3, 30, 300};
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_KEYS;
    filter.keys = keys.data();
    filter.key_count = keys.size();
    EXPECT_EQ(within(vectors_.row(3), INFINITY, 10, &filter).found_count, keys.size());
}

TEST_F(RangeIterator, BadArgumentsAreRefused) {
    fill(10);
    uint64_t keys[4];
    size_t found_count = 0;
    const float *query = vectors_.row(0);
    const auto radius_status = [&](const float *asked, float radius, size_t max_count, uint64_t *out) {
        return rhumb_index_search_radius(index_.get(), asked, radius, max_count, nullptr, out, nullptr, nullptr);
    };
    EXPECT_OK(radius_status(query, 1, 4, keys));
    EXPECT_STATUS(RHUMB_E_INVALID, radius_status(nullptr, 1, 4, keys));
    EXPECT_STATUS(RHUMB_E_INVALID, radius_status(query, 1, 4, nullptr));
    EXPECT_STATUS(RHUMB_E_INVALID, radius_status(query, NAN, 4, keys));
    EXPECT_STATUS(RHUMB_E_INVALID, radius_status(query, 1, 0, keys));
    rhumb_iterator *iterator = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_open(nullptr, query, nullptr, &iterator));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_open(index_.get(), nullptr, nullptr, &iterator));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_open(index_.get(), query, nullptr, nullptr));
    const std::vector<float> infinite(kDim, INFINITY);
    EXPECT_STATUS(RHUMB_E_NOT_FINITE, rhumb_iterator_open(index_.get(), infinite.data(), nullptr, &iterator));
    const Iterator good = iterate(query);
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_next(good.get(), 4, nullptr, nullptr, &found_count));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_next(good.get(), 4, keys, nullptr, nullptr));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_next(nullptr, 4, keys, nullptr, &found_count));
    EXPECT_OK(rhumb_iterator_next(good.get(), 0, nullptr, nullptr, &found_count));
    EXPECT_EQ(found_count, 0u);
    EXPECT_EQ(next(good, 20).size(), 10u);
    rhumb_iterator_close(nullptr);
}

TEST_F(RangeIterator, IteratorListsEveryMatchingKeyOnceNearlyInOrder) {
    fill(4000);
    for (uint64_t key = 1; key < 4000; key += 5) {
        ASSERT_OK(rhumb_index_delete(index_.get(), key));
        gone_.insert(key);
    }
    const Vectors queries = clustered_vectors(6, kDim, 8, 400, 404);
    const rhumb_filter filters[] = {thirds(), thirds(RHUMB_FILTER_PLAN_EXACT), thirds(RHUMB_FILTER_PLAN_WALK)};
    for (size_t q = 0; q < queries.count(); q++) {
        const rhumb_filter *filter = q % 4 == 3 ? nullptr : &filters[q % 4];
        const auto truth = all(queries.row(q), filter != nullptr);
        std::vector<float> distances;
        const std::vector<uint64_t> keys = drain(iterate(queries.row(q), filter), 1 + q * 97, &distances);
        ASSERT_EQ(keys.size(), truth.size());
        expect_distinct(keys);
        size_t hit_count = 0;
        const std::set<uint64_t> first(keys.begin(), keys.begin() + 100);
        for (size_t i = 0; i < 100; i++) hit_count += first.count(truth[i].second);
        EXPECT_GE(hit_count, 95u);
        for (size_t i = 0; i < keys.size(); i++) {
            ASSERT_EQ(gone_.count(keys[i]), 0u);
            ASSERT_NEAR(distances[i], true_distance(metric_, kDim, queries.row(q), vectors_.row(keys[i])), 1e-4);
        }
        if (filter != nullptr && filter->plan == RHUMB_FILTER_PLAN_EXACT) {
            EXPECT_TRUE(std::is_sorted(distances.begin(), distances.end()));
        }
    }
}

// Vectors along a line, in turn from both ends, so that a walk with short lists is long before it is near a query. An
// iterator that counted steps from the beginning of its walk returned what it had met on the way.
TEST_F(RangeIterator, FirstKeysOfAnIteratorAreThoseOfASearchHoweverLongTheWayIs) {
    constexpr size_t kCount = 3000;
    Vectors line = random_vectors(kCount, kDim, 407);
    for (size_t i = 0; i < kCount; i++) {
        const size_t place = i % 2 == 0 ? i / 2 : kCount - 1 - i / 2;
        for (size_t j = 0; j < kDim; j++) {
            line.components[i * kDim + j] *= 0.01F;
            line.components[i * kDim + j] += 0.02F * static_cast<float>(place * (j % 3 + 1));
        }
    }
    rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2);
    options.M = 3;
    options.M0 = 4;
    options.ef_construction = 20;
    index_ = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
    ASSERT_NE(index_, nullptr);
    insert_all(index_, line);
    for (size_t key = 0; key < kCount; key += 7) {
        for (const size_t k : {1u, 10u, 40u}) {
            const Answer expected = search(index_, line.row(key), k, static_cast<uint32_t>(5 + k - 1));
            const std::vector<uint64_t> keys = next(iterate(line.row(key), nullptr, 5), k);
            EXPECT_EQ(std::set<uint64_t>(keys.begin(), keys.end()),
                      std::set<uint64_t>(expected.keys.begin(), expected.keys.end()))
                << key << ", " << k;
        }
    }
}

TEST_F(RangeIterator, IteratorContinuesAfterARefreshWithoutRepeatingKeys) {
    fill(1500);
    const float *query = vectors_.row(0);
    EXPECT_OK(rhumb_index_checkpoint(index_.get()));
    const Index reader = open(path_, true);
    rhumb_iterator *raw = nullptr;
    ASSERT_OK(rhumb_iterator_open(reader.get(), query, nullptr, &raw));
    const Iterator iterator(raw);
    std::vector<uint64_t> keys = next(iterator, 400);
    const Vectors added = clustered_vectors(500, kDim, 8, 400, 405);
    insert_all(index_, added, 1500);
    std::set<uint64_t> deleted;
    for (uint64_t key = 0; key < 1500; key += 2) {
        ASSERT_OK(rhumb_index_delete(index_.get(), key));
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) deleted.insert(key);
    }
    EXPECT_OK(rhumb_index_checkpoint(index_.get()));
    bool changed = false;
    ASSERT_OK(rhumb_index_refresh(reader.get(), &changed)); // does not wait for the iterator
    EXPECT_TRUE(changed);
    const std::vector<uint64_t> more = drain(iterator, 128);
    keys.insert(keys.end(), more.begin(), more.end());
    expect_distinct(keys);
    EXPECT_EQ(keys.size(), 2000 - deleted.size());
    for (uint64_t key : keys) EXPECT_EQ(deleted.count(key), 0u);
}

TEST_F(RangeIterator, IteratorShowsAReplacedKeyOnce) {
    fill(1500);
    const Iterator iterator = iterate(vectors_.row(7));
    std::vector<uint64_t> keys = next(iterator, 300);
    for (uint64_t key = 0; key < 1500; key += 3) {
        ASSERT_OK(rhumb_index_upsert(index_.get(), key, vectors_.row((key + 700) % 1500)));
    }
    const std::vector<uint64_t> more = drain(iterator, 100);
    keys.insert(keys.end(), more.begin(), more.end());
    expect_distinct(keys);
    EXPECT_EQ(keys.size(), 1500u);
}

TEST_F(RangeIterator, RecoveredVectorsAreFoundBeforeTheyAreLinked) {
    fill(500);
    index_.reset();
    const Vectors added = clustered_vectors(5000, kDim, 8, 400, 406);
    ASSERT_NO_FATAL_FAILURE(leave_in_log(path_, added, 500));
    vectors_.components.insert(vectors_.components.end(), added.components.begin(), added.components.end());
    index_ = open(path_, false);
    const float *query = vectors_.row(3000);
    const auto truth = all(query);
    const Answer answer = within(query, static_cast<float>(truth[299].first), 1000);
    EXPECT_GE(answer.found_count, 290u);
    const std::vector<uint64_t> keys = drain(iterate(query), 512);
    EXPECT_EQ(keys.size(), 5500u);
    expect_distinct(keys);
}

} // namespace
} // namespace index_test
