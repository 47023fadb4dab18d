// Goal: an index measures its recall as queries that it has never seen find it, keeps it through checkpoints,
// reopenings and compactions, and searches that ask for a recall get it. Method: small sets with queries held out,
// whose recall at the chosen ef is counted against exact searches; and the life of the curve, step by step.
#include <atomic>
#include <thread>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

constexpr size_t kCount = kSanitized ? 1500 : 6000;
constexpr size_t kQueryCount = 400;

rhumb_recall_options recall_options() {
    rhumb_recall_options options;
    rhumb_recall_options_init(&options, sizeof options);
    return options;
}

rhumb_recall_curve measure(const Index &index, const rhumb_recall_options &options = recall_options()) {
    rhumb_recall_curve curve = {};
    EXPECT_OK(rhumb_index_recall_measure(index.get(), &options, &curve, sizeof curve));
    return curve;
}

rhumb_status curve_of(const Index &index, rhumb_recall_curve *curve) {
    *curve = {};
    return rhumb_index_recall_get(index.get(), curve, sizeof *curve);
}

void expect_equal(const rhumb_recall_curve &a, const rhumb_recall_curve &b) {
    ASSERT_EQ(a.point_count, b.point_count);
    EXPECT_EQ(a.query_count, b.query_count);
    for (uint32_t i = 0; i < a.point_count; i++) {
        EXPECT_EQ(a.k[i], b.k[i]);
        EXPECT_EQ(a.ef[i], b.ef[i]);
        EXPECT_EQ(a.recall[i], b.recall[i]) << "k " << a.k[i] << ", ef " << a.ef[i];
    }
}

// The share of the k nearest that searches with these options find, for all queries.
double recall_of(const Index &index, const Vectors &queries, size_t first, size_t count, size_t k,
                 const rhumb_search_options &options) {
    std::vector<uint64_t> keys(count * k);
    std::vector<float> found(count * k), truth(count * k);
    EXPECT_OK(rhumb_index_search_exact(index.get(), queries.row(first), count, k, nullptr, keys.data(), truth.data(),
                                       nullptr));
    EXPECT_OK(rhumb_index_search_batch(index.get(), queries.row(first), count, k, &options, keys.data(), found.data(),
                                       nullptr));
    size_t hit_count = 0;
    for (size_t q = 0; q < count; q++) {
        for (size_t i = 0; i < k; i++) hit_count += found[q * k + i] <= truth[q * k + k - 1];
    }
    return static_cast<double>(hit_count) / static_cast<double>(count * k);
}

class Recall : public ::testing::Test {
  protected:
    // The first kCount rows of the set are in the index; the others are queries.
    Index build(const rhumb_index_options &options, rhumb_durability durability = RHUMB_DURABILITY_NONE) {
        Index index = create_with_durability(path_, options, durability);
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), kCount, nullptr, nullptr));
        return index;
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const uint32_t dim_ = 24;
    Vectors vectors_ = random_vectors(kCount + kQueryCount, dim_, 7);
};

TEST_F(Recall, IsWhatUnseenQueriesFind) {
    const Index index = build(index_options(dim_));
    const rhumb_recall_curve curve = measure(index);
    EXPECT_EQ(curve.count, kCount);
    EXPECT_FALSE(curve.queries_given);
    EXPECT_FALSE(curve.outdated);
    EXPECT_GT(curve.query_count, 100u);
    for (uint32_t i = 0; i < curve.point_count; i++) {
        if (curve.k[i] != 10) continue;
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = curve.ef[i];
        const double unseen = recall_of(index, vectors_, kCount, kQueryCount, 10, options);
        EXPECT_NEAR(curve.recall[i], unseen, 0.03) << "ef " << curve.ef[i];
    }
}

TEST_F(Recall, ThatIsAskedForIsFound) {
    for (const rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_COSINE, RHUMB_METRIC_IP}) {
        const Index index = build(index_options(dim_, metric));
        measure(index);
        for (const double target : {0.9, 0.95, 0.99}) {
            rhumb_search_options searching;
            rhumb_search_options_init(&searching, sizeof searching);
            searching.recall = target;
            for (const size_t k : {1, 4, 10, 30}) {
                uint32_t ef = 0;
                ASSERT_OK(rhumb_index_recall_ef(index.get(), k, target, &ef, nullptr));
                const double found = recall_of(index, vectors_, kCount, kQueryCount, k, searching);
                EXPECT_GE(found, target - 0.03) << rhumb_metric_name(metric) << ", k " << k << ", ef " << ef;
                // Exactly the search with the ef that it names.
                rhumb_search_options same;
                rhumb_search_options_init(&same, sizeof same);
                same.ef_search = ef;
                EXPECT_EQ(found, recall_of(index, vectors_, kCount, kQueryCount, k, same));
            }
        }
        std::filesystem::remove(path_);
    }
}

TEST_F(Recall, IsKeptByCheckpointsAndReopenings) {
    rhumb_recall_curve before = {}, after = {};
    {
        const Index index = build(index_options(dim_));
        before = measure(index);
        ASSERT_OK(rhumb_index_delete(index.get(), 3));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        ASSERT_OK(curve_of(index, &after));
        expect_equal(before, after);
        EXPECT_EQ(after.change_count, 1u);
    }
    for (const bool read_only : {true, false}) {
        const Index index = open(path_, read_only);
        ASSERT_OK(curve_of(index, &after));
        expect_equal(before, after);
        EXPECT_EQ(after.change_count, 1u);
        EXPECT_EQ(after.count, kCount);
    }
}

TEST_F(Recall, IsSeenByAReaderOnceItRefreshes) {
    const Index writer = build(index_options(dim_));
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    const Index reader = open(path_, true);
    measure(writer);
    rhumb_recall_curve curve;
    EXPECT_STATUS(RHUMB_E_NOTFOUND, curve_of(reader, &curve));
    bool changed = false;
    ASSERT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_TRUE(changed);
    EXPECT_OK(curve_of(reader, &curve));
}

TEST_F(Recall, IsTheSameForAnyNumberOfThreadsAndChangesNoAnswer) {
    const Index index = build(index_options(dim_));
    rhumb_search_options searching;
    rhumb_search_options_init(&searching, sizeof searching);
    searching.ef_search = 20;
    const double before = recall_of(index, vectors_, kCount, kQueryCount, 10, searching);
    rhumb_recall_options options = recall_options();
    options.dry_run = true;
    options.thread_count = 1;
    const rhumb_recall_curve alone = measure(index, options);
    options.thread_count = 5;
    expect_equal(alone, measure(index, options));
    EXPECT_EQ(before, recall_of(index, vectors_, kCount, kQueryCount, 10, searching));
    rhumb_verify_report report;
    EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report)) << report.first_error;
    options.seed++;
    const rhumb_recall_curve other = measure(index, options);
    bool differs = false;
    for (uint32_t i = 0; i < std::min(other.point_count, alone.point_count); i++)
        differs = differs || other.recall[i] != alone.recall[i];
    EXPECT_TRUE(differs) << "another sample";
    rhumb_recall_curve none;
    EXPECT_STATUS(RHUMB_E_NOTFOUND, curve_of(index, &none)) << "after dry runs";
}

TEST_F(Recall, IsMeasuredWithTheCallersQueries) {
    const Index index = build(index_options(dim_));
    rhumb_recall_options options = recall_options();
    options.queries = vectors_.row(kCount);
    options.query_count = kQueryCount;
    const rhumb_recall_curve curve = measure(index, options);
    EXPECT_TRUE(curve.queries_given);
    EXPECT_EQ(curve.query_count, kQueryCount);
    for (uint32_t i = 0; i < curve.point_count; i++) {
        if (curve.k[i] != 10) continue;
        rhumb_search_options searching;
        rhumb_search_options_init(&searching, sizeof searching);
        searching.ef_search = curve.ef[i];
        const double unseen = recall_of(index, vectors_, kCount, kQueryCount, 10, searching);
        EXPECT_NEAR(curve.recall[i], unseen, 2.1e-5) << "the same searches, rounded down";
    }
}

TEST_F(Recall, GoesOverToACompactedGraphUnlessItsCodesChange) {
    rhumb_index_options options = index_options(dim_);
    options.codes = RHUMB_CODES_8BIT;
    rhumb_recall_curve before, after;
    {
        const Index index = build(options);
        before = measure(index);
        for (uint64_t key = 0; key < 100; key++) ASSERT_OK(rhumb_index_delete(index.get(), key));
        ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        ASSERT_OK(curve_of(index, &after));
        expect_equal(before, after);
        EXPECT_EQ(after.change_count, 100u);
    }
    const std::string copy = directory_.file("copy.rhumb"), other = directory_.file("other.rhumb");
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), copy.c_str(), nullptr, nullptr, 0));
    ASSERT_OK(curve_of(open(copy, true), &after));
    expect_equal(before, after);
    EXPECT_EQ(after.change_count, 100u);
    rhumb_compact_options compacting;
    rhumb_compact_options_init(&compacting, sizeof compacting);
    compacting.codes = RHUMB_CODES_NONE;
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), other.c_str(), &compacting, nullptr, 0));
    EXPECT_STATUS(RHUMB_E_NOTFOUND, curve_of(open(other, true), &after));
}

TEST_F(Recall, OfAFilteredCopyIsOutdated) {
    {
        const Index index = build(index_options(dim_));
        measure(index);
    }
    const std::vector<uint64_t> kept = {1, 2, 3, 5, 8, 13};
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_KEYS;
    filter.keys = kept.data();
    filter.key_count = kept.size();
    rhumb_compact_options compacting;
    rhumb_compact_options_init(&compacting, sizeof compacting);
    compacting.filter = &filter;
    const std::string copy = directory_.file("copy.rhumb");
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), copy.c_str(), &compacting, nullptr, 0));
    rhumb_recall_curve curve;
    ASSERT_OK(curve_of(open(copy, true), &curve));
    EXPECT_TRUE(curve.outdated);
}

TEST_F(Recall, IsCalledOutdatedAfterManyOperationsAndUsedAllTheSame) {
    const Index index = build(index_options(dim_));
    measure(index);
    for (uint64_t key = 0; key <= kCount / 4; key++) ASSERT_OK(rhumb_index_delete(index.get(), key));
    rhumb_recall_curve curve;
    ASSERT_OK(curve_of(index, &curve));
    EXPECT_TRUE(curve.outdated);
    uint32_t ef = 0;
    EXPECT_OK(rhumb_index_recall_ef(index.get(), 10, 0.95, &ef, nullptr));
    EXPECT_FALSE(measure(index).outdated);
}

TEST_F(Recall, IsRefusedWhereItCannotBe) {
    const Index index = build(index_options(dim_));
    uint64_t keys[10];
    uint32_t ef = 0;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.recall = 0.9;
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED,
                  rhumb_index_search(index.get(), vectors_.row(0), 10, &options, keys, nullptr, nullptr));
    EXPECT_NE(std::string(rhumb_error_last()->message).find("rhumb_index_recall_measure"), std::string::npos);
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED,
                  rhumb_index_search_batch(index.get(), vectors_.row(0), 1, 10, &options, keys, nullptr, nullptr));
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_search_like(index.get(), 1, 10, &options, keys, nullptr, nullptr));
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_recall_ef(index.get(), 10, 0.9, &ef, nullptr));
    EXPECT_OK(rhumb_index_search_exact(index.get(), vectors_.row(0), 1, 10, &options, keys, nullptr, nullptr));
    measure(index);
    EXPECT_OK(rhumb_index_search(index.get(), vectors_.row(0), 10, &options, keys, nullptr, nullptr));
    EXPECT_OK(rhumb_index_search_like(index.get(), 1, 10, &options, keys, nullptr, nullptr));
    size_t found_count = 0;
    rhumb_iterator *iterator = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_search_radius(index.get(), vectors_.row(0), 1, 10, &options, keys,
                                                             nullptr, &found_count));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_iterator_open(index.get(), vectors_.row(0), &options, &iterator));
    options.ef_search = 10;
    EXPECT_STATUS(RHUMB_E_INVALID,
                  rhumb_index_search(index.get(), vectors_.row(0), 10, &options, keys, nullptr, nullptr));
    options.ef_search = 0;
    for (const double wrong :
         {-0.1, 1.0001, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        options.recall = wrong;
        EXPECT_STATUS(RHUMB_E_INVALID,
                      rhumb_index_search(index.get(), vectors_.row(0), 10, &options, keys, nullptr, nullptr));
        EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_recall_ef(index.get(), 10, wrong, &ef, nullptr));
    }
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_recall_ef(index.get(), 0, 0.9, &ef, nullptr));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_recall_ef(index.get(), 10, 0, &ef, nullptr));
}

TEST_F(Recall, IsNotMeasuredWithWrongArguments) {
    const Index index = build(index_options(dim_));
    rhumb_recall_options options = recall_options();
    options.query_count = RHUMB_RECALL_QUERY_COUNT_MAX + 1;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_recall_measure(index.get(), &options, nullptr, 0));
    options.query_count = 0;
    options.queries = vectors_.row(0);
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_recall_measure(index.get(), &options, nullptr, 0));
    Vectors wrong = random_vectors(3, dim_, 1);
    wrong.components[dim_ + 2] = std::numeric_limits<float>::quiet_NaN();
    options.queries = wrong.row(0);
    options.query_count = 3;
    EXPECT_STATUS(RHUMB_E_NOT_FINITE, rhumb_index_recall_measure(index.get(), &options, nullptr, 0));
    EXPECT_NE(std::string(rhumb_error_last()->message).find("query 1"), std::string::npos);
    rhumb_recall_curve curve;
    EXPECT_STATUS(RHUMB_E_NOTFOUND, curve_of(index, &curve));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const Index reader = open(path_, true);
    EXPECT_STATUS(RHUMB_E_READONLY, rhumb_index_recall_measure(reader.get(), nullptr, nullptr, 0));
    options = recall_options();
    options.dry_run = true;
    EXPECT_OK(rhumb_index_recall_measure(reader.get(), &options, nullptr, 0));
    const Index graph_only = open_graph_only(path_);
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_recall_measure(graph_only.get(), &options, nullptr, 0));
}

TEST_F(Recall, IsMeasuredUntilTheCallerStops) {
    const Index index = build(index_options(dim_));
    for (uint64_t limit = 1;; limit += 97) {
        uint64_t state[2] = {limit, 0};
        rhumb_recall_options options = recall_options();
        options.progress_context = state;
        options.progress = [](void *context, uint64_t done, uint64_t total) {
            uint64_t *numbers = static_cast<uint64_t *>(context);
            EXPECT_EQ(total, 1000u);
            EXPECT_GE(done, numbers[1]);
            numbers[1] = done;
            return done < numbers[0];
        };
        const rhumb_status status = rhumb_index_recall_measure(index.get(), &options, nullptr, 0);
        rhumb_recall_curve curve;
        if (limit > 1000) {
            EXPECT_OK(status);
            EXPECT_OK(curve_of(index, &curve));
            break;
        }
        ASSERT_EQ(status, RHUMB_E_CANCELLED) << last_error();
        EXPECT_STATUS(RHUMB_E_NOTFOUND, curve_of(index, &curve));
    }
}

// Equal vectors, deleted ones and a handful: nothing divides by zero, and no query finds itself.
TEST_F(Recall, OfStrangeIndexesIsMeasured) {
    for (const size_t count : {0, 1, 2, 3, 11, 150}) {
        const std::string path = directory_.file("few-" + std::to_string(count));
        const Index index = create(path, index_options(dim_));
        if (count > 0) {
            EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(0), count, nullptr, nullptr));
        }
        const rhumb_status status = rhumb_index_recall_measure(index.get(), nullptr, nullptr, 0);
        if (count < 2) {
            EXPECT_STATUS(RHUMB_E_NOTFOUND, status) << count;
        } else {
            EXPECT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOTFOUND) << last_error(); // all on upper levels
        }
    }
    const Index equal = create(directory_.file("equal"), index_options(dim_));
    for (uint64_t key = 0; key < 300; key++) ASSERT_OK(rhumb_index_insert(equal.get(), key, vectors_.row(key % 3)));
    const rhumb_recall_curve curve = measure(equal);
    for (uint32_t i = 0; i < curve.point_count; i++) EXPECT_EQ(curve.recall[i], 1.0);
    for (uint64_t key = 0; key < 299; key++) ASSERT_OK(rhumb_index_delete(equal.get(), key));
    const rhumb_status last = rhumb_index_recall_measure(equal.get(), nullptr, nullptr, 0);
    EXPECT_TRUE(last == RHUMB_OK || last == RHUMB_E_NOTFOUND) << last_error();
}

TEST_F(Recall, OfFusedRowsIsWhatUnseenQueriesFind) {
    rhumb_index_options options = index_options(dim_);
    options.codes = RHUMB_CODES_8BIT;
    options.fused = RHUMB_FUSED_2BIT;
    const Index index = build(options);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    measure(index);
    for (const double target : {0.9, 0.97}) {
        rhumb_search_options searching;
        rhumb_search_options_init(&searching, sizeof searching);
        searching.recall = target;
        EXPECT_GE(recall_of(index, vectors_, kCount, kQueryCount, 10, searching), target - 0.03);
    }
}

TEST_F(Recall, IsMeasuredWhileOthersWriteSearchAndCompact) {
    const Index index = build(index_options(dim_), RHUMB_DURABILITY_INTERVAL);
    measure(index);
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        for (uint64_t key = kCount; !stop; key++) {
            EXPECT_OK(rhumb_index_upsert(index.get(), key % (2 * kCount), vectors_.row(key % kCount)));
        }
    });
    threads.emplace_back([&] {
        uint64_t keys[10];
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.recall = 0.9;
        for (size_t i = 0; !stop; i++) {
            EXPECT_OK(rhumb_index_search(index.get(), vectors_.row(i % kCount), 10, &options, keys, nullptr, nullptr));
        }
    });
    threads.emplace_back([&] {
        while (!stop) EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    });
    rhumb_recall_options options = recall_options();
    options.query_count = 60;
    for (int i = 0; i < 3; i++) measure(index, options);
    stop = true;
    for (std::thread &thread : threads) thread.join();
    rhumb_verify_report report;
    EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report)) << report.first_error;
}

} // namespace
} // namespace index_test
