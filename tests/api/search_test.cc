// Goal: searches answer as rhumb.h says under every metric: exact search exactly, approximate search well and with true
// distances, and both with the padding, the order and the refusals that are promised. Method: small indexes measured
// against distances in double. Runs once for every io backend and every set of kernels.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Search : public ::testing::TestWithParam<rhumb_metric> {
  protected:
    // `count` vectors under the keys 100, 101...
    void fill(size_t count, uint32_t dim) {
        vectors_ = random_vectors(count, dim, 20);
        index_ = create(directory_.file("index.rhumb"), index_options(dim, GetParam()));
        ASSERT_NE(index_, nullptr);
        insert_all(index_, vectors_, 100);
    }
    // Checks that the distance of an answer is that of the vector it names.
    void expect_true_distances(const float *query, const Answer &answer) const {
        for (size_t i = 0; i < answer.found_count; i++) {
            const float *row = vectors_.row(answer.keys[i] - 100);
            EXPECT_NEAR(answer.distances[i], true_distance(GetParam(), vectors_.dim, query, row),
                        tolerance(GetParam(), vectors_.dim, query, row));
            if (i > 0) {
                EXPECT_LE(answer.distances[i - 1], answer.distances[i]) << "nearest first";
            }
        }
        const std::set<uint64_t> distinct(answer.keys.begin(), answer.keys.begin() + answer.found_count);
        EXPECT_EQ(distinct.size(), answer.found_count);
    }

    ScratchDirectory directory_;
    Vectors vectors_;
    Index index_;
};

INSTANTIATE_TEST_SUITE_P(Metrics, Search, ::testing::ValuesIn(all_metrics()), metric_name);

TEST_P(Search, ExactSearchFindsTheTruth) {
    for (uint32_t dim : {1u, 3u, 17u, 96u}) {
        index_.reset(); // removes its log
        std::filesystem::remove(directory_.file("index.rhumb"));
        fill(500, dim);
        const Vectors queries = random_vectors(20, dim, 21);
        for (size_t q = 0; q < queries.count(); q++) {
            std::vector<double> truth;
            for (size_t i = 0; i < 500; i++) {
                truth.push_back(true_distance(GetParam(), dim, queries.row(q), vectors_.row(i)));
            }
            std::sort(truth.begin(), truth.end());
            const Answer answer = search_exact(index_, queries.row(q), 25);
            ASSERT_EQ(answer.found_count, 25u);
            expect_true_distances(queries.row(q), answer);
            for (size_t i = 0; i < 25; i++) {
                const float *row = vectors_.row(answer.keys[i] - 100);
                EXPECT_NEAR(answer.distances[i], truth[i], tolerance(GetParam(), dim, queries.row(q), row));
            }
        }
    }
}

TEST_P(Search, ApproximateSearchIsNearTheTruth) {
    fill(2000, 16);
    const Vectors queries = random_vectors(100, 16, 22);
    EXPECT_GE(recall(index_, queries, 10, 200), 0.99);
    for (size_t q = 0; q < queries.count(); q++) {
        const Answer answer = search(index_, queries.row(q), 10);
        EXPECT_EQ(answer.found_count, 10u);
        expect_true_distances(queries.row(q), answer);
    }
}

TEST_P(Search, ABatchAnswersLikeSingleSearches) {
    fill(1500, 24);
    constexpr size_t k = 13;
    const Vectors queries = random_vectors(77, 24, 23);
    for (uint32_t thread_count : {1u, 2u, 5u, 0u}) {
        for (bool exact : {false, true}) {
            std::vector<uint64_t> keys(queries.count() * k);
            std::vector<float> distances(keys.size());
            std::vector<size_t> found_counts(queries.count());
            const rhumb_search_options options = search_options(40, thread_count);
            const auto function = exact ? rhumb_index_search_exact : rhumb_index_search_batch;
            ASSERT_OK(function(index_.get(), queries.components.data(), queries.count(), k, &options, keys.data(),
                               distances.data(), found_counts.data()));
            for (size_t q = 0; q < queries.count(); q++) {
                const Answer single =
                    exact ? search_exact(index_, queries.row(q), k) : search(index_, queries.row(q), k, 40);
                const Answer row = {
                    {&keys[q * k], &keys[q * k] + k}, {&distances[q * k], &distances[q * k] + k}, found_counts[q]};
                ASSERT_TRUE(single == row) << "query " << q << ", " << thread_count << " threads";
            }
        }
    }
}

TEST_P(Search, ABatchReportsProgressAndStopsWhenAsked) {
    fill(100, 4);
    constexpr size_t k = 3;
    const Vectors queries = random_vectors(50, 4, 24);
    struct Watch {
        uint64_t done_count = 0;
        uint64_t total_count = 0;
        bool go_on = true;
        static bool report(void *context, uint64_t done_count, uint64_t total_count) {
            Watch *watch = static_cast<Watch *>(context);
            EXPECT_GT(done_count, watch->done_count) << "never the same twice";
            watch->done_count = done_count;
            watch->total_count = total_count;
            return watch->go_on;
        }
    };
    rhumb_filter slow; // asked about each of 100 vectors, so that an exact query takes a tenth of a second
    rhumb_filter_init(&slow, sizeof slow);
    slow.kind = RHUMB_FILTER_CALLBACK;
    slow.matches = [](void *, uint64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return true;
    };
    std::vector<uint64_t> keys(queries.count() * k);
    for (uint32_t thread_count : {1u, 2u}) {
        Watch complete;
        rhumb_search_options options = search_options(40, thread_count);
        options.progress = Watch::report;
        options.progress_context = &complete;
        ASSERT_OK(rhumb_index_search_batch(index_.get(), queries.components.data(), queries.count(), k, &options,
                                           keys.data(), nullptr, nullptr));
        EXPECT_EQ(complete.done_count, queries.count());
        EXPECT_EQ(complete.total_count, queries.count());
        Watch stopping;
        stopping.go_on = false;
        options.progress_context = &stopping;
        options.filter = &slow;
        ASSERT_EQ(rhumb_index_search_exact(index_.get(), queries.components.data(), queries.count(), k, &options,
                                           keys.data(), nullptr, nullptr),
                  RHUMB_E_CANCELLED);
        EXPECT_LE(stopping.done_count, 4u) << "stopped at the first report";
        EXPECT_EQ(stopping.total_count, queries.count());
    }
}

TEST_P(Search, PadsWhatIsNotFound) {
    fill(5, 7);
    const Vectors query = random_vectors(1, 7, 24);
    for (bool exact : {false, true}) {
        const Answer answer = exact ? search_exact(index_, query.row(0), 9) : search(index_, query.row(0), 9);
        EXPECT_EQ(answer.found_count, 5u);
        expect_true_distances(query.row(0), answer);
        for (size_t i = 5; i < 9; i++) {
            EXPECT_EQ(answer.keys[i], UINT64_MAX);
            EXPECT_EQ(answer.distances[i], std::numeric_limits<float>::infinity());
        }
    }
}

TEST_P(Search, AnEmptyIndexFindsNothing) {
    fill(0, 7);
    const Vectors queries = random_vectors(20, 7, 25);
    EXPECT_EQ(search(index_, queries.row(0), 3).found_count, 0u);
    EXPECT_EQ(search_exact(index_, queries.row(0), 3).keys, std::vector<uint64_t>(3, UINT64_MAX));
    std::vector<uint64_t> keys(60, 1);
    std::vector<float> distances(60, 1);
    std::vector<size_t> found_counts(20, 1);
    EXPECT_OK(rhumb_index_search_batch(index_.get(), queries.components.data(), 20, 3, nullptr, keys.data(),
                                       distances.data(), found_counts.data()));
    EXPECT_EQ(keys, std::vector<uint64_t>(60, UINT64_MAX));
    EXPECT_EQ(distances, std::vector<float>(60, std::numeric_limits<float>::infinity()));
    EXPECT_EQ(found_counts, std::vector<size_t>(20, 0));
}

TEST_P(Search, DistancesAndFoundCountsAreOptional) {
    fill(50, 7);
    const Vectors query = random_vectors(1, 7, 26);
    const Answer answer = search(index_, query.row(0), 4, 30);
    const rhumb_search_options options = search_options(30);
    std::vector<uint64_t> keys(4);
    EXPECT_OK(rhumb_index_search(index_.get(), query.row(0), 4, &options, keys.data(), nullptr, nullptr));
    EXPECT_EQ(keys, answer.keys);
    std::fill(keys.begin(), keys.end(), 0);
    EXPECT_OK(rhumb_index_search_exact(index_.get(), query.row(0), 1, 4, nullptr, keys.data(), nullptr, nullptr));
    EXPECT_EQ(keys, search_exact(index_, query.row(0), 4).keys);
}

TEST_P(Search, FindsAsManyAsTenThousand) {
    rhumb_index_options options = index_options(4, GetParam());
    options.ef_construction = 40;
    options.M = 8;
    options.keep_pruned = true;
    index_ = create(directory_.file("large.rhumb"), options);
    vectors_ = random_vectors(12000, 4, 27);
    insert_all(index_, vectors_, 100, 2);
    const Vectors query = random_vectors(1, 4, 28);
    const Answer exact = search_exact(index_, query.row(0), 10000);
    EXPECT_EQ(exact.found_count, 10000u);
    expect_true_distances(query.row(0), exact);
    // The breadth follows k: it finds k although the index's own breadth is 64. Under inner products
    // links lead to the longest vectors, and few lead to the short ones.
    const Answer answer = search(index_, query.row(0), 10000);
    EXPECT_GE(answer.found_count, GetParam() == RHUMB_METRIC_IP ? 1000u : 10000u);
    expect_true_distances(query.row(0), answer);
}

TEST_P(Search, RefusesWhatItCannotAnswer) {
    fill(50, 7);
    const Vectors queries = random_vectors(30, 7, 29);
    const float *query = queries.row(0);
    std::vector<uint64_t> keys(30 * 4, 77);
    std::vector<float> distances(keys.size(), 77);
    size_t found_count = 77;
    rhumb_index *index = index_.get();
    EXPECT_EQ(rhumb_index_search(index, query, 0, nullptr, keys.data(), distances.data(), &found_count),
              RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_search_batch(index, query, 3, 0, nullptr, keys.data(), nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_search_exact(index, query, 3, 0, nullptr, keys.data(), nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_search(index, query, SIZE_MAX, nullptr, keys.data(), nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_search(nullptr, query, 4, nullptr, keys.data(), nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_search(index, nullptr, 4, nullptr, keys.data(), nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_search(index, query, 4, nullptr, nullptr, nullptr, nullptr), RHUMB_E_INVALID);
    const rhumb_search_options too_broad = search_options(1000001);
    EXPECT_EQ(rhumb_index_search(index, query, 4, &too_broad, keys.data(), distances.data(), &found_count),
              RHUMB_E_INVALID);
    EXPECT_NE(std::string(rhumb_error_last()->message).find("ef_search"), std::string::npos);
    EXPECT_EQ(found_count, 77u) << "out-parameters stay untouched";
    EXPECT_EQ(keys, std::vector<uint64_t>(keys.size(), 77));
    EXPECT_EQ(distances, std::vector<float>(keys.size(), 77));
    EXPECT_OK(rhumb_index_search_batch(index, nullptr, 0, 4, nullptr, nullptr, nullptr, nullptr));

    for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        Vectors spoilt = queries;
        spoilt.row(19)[6] = bad;
        for (uint32_t thread_count : {1u, 3u}) {
            const rhumb_search_options options = search_options(10, thread_count);
            EXPECT_EQ(rhumb_index_search_batch(index, spoilt.components.data(), 30, 4, &options, keys.data(),
                                               distances.data(), nullptr),
                      RHUMB_E_NOT_FINITE);
            EXPECT_EQ(rhumb_error_last()->status, RHUMB_E_NOT_FINITE);
            EXPECT_EQ(rhumb_index_search_exact(index, spoilt.components.data(), 30, 4, &options, keys.data(),
                                               distances.data(), nullptr),
                      RHUMB_E_NOT_FINITE);
        }
        EXPECT_EQ(rhumb_index_search(index, spoilt.row(19), 4, nullptr, keys.data(), nullptr, nullptr),
                  RHUMB_E_NOT_FINITE);
    }
}

TEST_P(Search, ExactSearchOrdersEqualDistancesByInsertion) {
    fill(0, 5);
    const Vectors rows = random_vectors(4, 5, 30);
    // Each of the four vectors 40 times, the keys falling, so that the order of the keys cannot be taken for it.
    for (uint64_t i = 0; i < 160; i++) ASSERT_OK(rhumb_index_insert(index_.get(), 1000 - i, rows.row(i % 4)));
    const Answer answer = search_exact(index_, rows.row(0), 160);
    ASSERT_EQ(answer.found_count, 160u);
    for (size_t i = 1; i < 160; i++) {
        ASSERT_LE(answer.distances[i - 1], answer.distances[i]);
        if (answer.distances[i - 1] == answer.distances[i]) {
            EXPECT_GT(answer.keys[i - 1], answer.keys[i]);
        }
    }
    // The approximate search returns equal ones in any order, but returns all.
    const Answer approximate = search(index_, rows.row(0), 30, 100);
    EXPECT_EQ(approximate.found_count, 30u);
    for (size_t i = 0; i < 30; i++) EXPECT_EQ(approximate.distances[i], answer.distances[i]);
}

TEST_P(Search, HugeAndTinyComponentsGiveNumbersThatSort) {
    index_ = create(directory_.file("extreme.rhumb"), index_options(3, GetParam()));
    const float huge = std::numeric_limits<float>::max();
    const float tiny = std::numeric_limits<float>::denorm_min();
    const std::vector<std::vector<float>> rows = {{huge, huge, huge}, {-huge, -huge, -huge}, {tiny, 0, 0},
                                                  {0, 0, 0},          {-0.0f, tiny, -tiny},  {1, 2, 3}};
    for (size_t i = 0; i < rows.size(); i++) ASSERT_OK(rhumb_index_insert(index_.get(), i, rows[i].data()));
    for (const std::vector<float> &query : rows) {
        for (bool exact : {false, true}) {
            const Answer answer = exact ? search_exact(index_, query.data(), 6) : search(index_, query.data(), 6, 20);
            EXPECT_EQ(answer.found_count, 6u);
            for (size_t i = 0; i < 6; i++) {
                EXPECT_TRUE(std::isfinite(answer.distances[i])) << answer.distances[i];
                EXPECT_LE(answer.distances[i > 0 ? i - 1 : 0], answer.distances[i]);
            }
        }
    }
}

TEST(SearchCosine, AZeroVectorIsAtDistanceOneFromEverything) {
    ScratchDirectory directory;
    const Index index = create(directory.file("zero.rhumb"), index_options(9, RHUMB_METRIC_COSINE));
    const Vectors vectors = random_vectors(200, 9, 31);
    const std::vector<float> zero(9, 0.0f);
    insert_all(index, vectors);
    ASSERT_OK(rhumb_index_insert(index.get(), 500, zero.data()));
    ASSERT_OK(rhumb_index_insert(index.get(), 501, zero.data()));
    const Answer from_zero = search_exact(index, zero.data(), 202);
    EXPECT_EQ(from_zero.found_count, 202u);
    EXPECT_EQ(from_zero.distances, std::vector<float>(202, 1.0f));
    const Answer from_other = search_exact(index, vectors.row(3), 202);
    for (size_t i = 0; i < 202; i++) {
        if (from_other.keys[i] < 500) continue;
        EXPECT_EQ(from_other.distances[i], 1.0f);
    }
    const Answer approximate = search(index, zero.data(), 5, 50);
    EXPECT_EQ(approximate.found_count, 5u);
    EXPECT_EQ(approximate.distances, std::vector<float>(5, 1.0f));
    EXPECT_EQ(search(index, vectors.row(3), 1, 50).keys[0], 3u) << "zero vectors do not disturb the others";
    expect_sound(index);
}

TEST(SearchBreadth, MoreBreadthFindsNoLessAndTheIndexKeepsItsOwn) {
    ScratchDirectory directory;
    rhumb_index_options options = index_options(32);
    options.M = 6;
    options.ef_construction = 40;
    options.ef_search = 200;
    const Index index = create(directory.file("breadth.rhumb"), options);
    const Vectors vectors = random_vectors(3000, 32, 32);
    insert_all(index, vectors, 0, 2);
    const Vectors queries = random_vectors(100, 32, 33);
    const double narrow = recall(index, queries, 5, 5);
    const double broad = recall(index, queries, 5, 200);
    EXPECT_GT(broad, narrow + 0.1);
    for (size_t q = 0; q < queries.count(); q++) {
        EXPECT_TRUE(search(index, queries.row(q), 5) == search(index, queries.row(q), 5, 200));
        EXPECT_TRUE(search(index, queries.row(q), 5, 2) == search(index, queries.row(q), 5, 5))
            << "below k it is taken as k";
    }
}

} // namespace
} // namespace index_test
