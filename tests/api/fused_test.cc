// Goal: an index with fused rows answers as one without: as near vectors, at the same distances, also after inserts,
// upserts and deletes that its rows do not know, and where rows are damaged or missing. Method: rows are made by
// compactions, batches and in the background; exact search says what the distances are.
#include <map>

#include "engine/graph/sections.h"
#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 96;
constexpr size_t kCount = rhumb_test::kSanitized ? 1200 : 3000; // enough for a batch to make rows
constexpr size_t kQueryCount = rhumb_test::kSanitized ? 20 : 60;

rhumb_index_options options_with(rhumb_fused fused, rhumb_metric metric = RHUMB_METRIC_L2) {
    rhumb_index_options options = index_options(kDim, metric);
    options.ef_construction = 100;
    options.codes = RHUMB_CODES_8BIT;
    options.fused = fused;
    return options;
}

uint64_t fused_rows_of(const std::string &path) {
    return rhumb_test::FileImage::load(path).row_count(RHUMB__SECTION_FUSED);
}

class Fused : public ::testing::Test {
  protected:
    void expect_exact_distances(const Index &index, size_t k, uint32_t ef) const {
        const uint64_t count = rhumb_index_count(index.get());
        for (size_t i = 0; i < queries_.count(); i++) {
            const Answer truth = search_exact(index, queries_.row(i), count);
            const Answer found = search(index, queries_.row(i), k, ef);
            std::map<uint64_t, float> distances;
            for (size_t n = 0; n < truth.found_count; n++) distances[truth.keys[n]] = truth.distances[n];
            ASSERT_EQ(found.found_count, std::min<uint64_t>(k, count));
            for (size_t n = 0; n < found.found_count; n++) {
                ASSERT_EQ(found.distances[n], distances.at(found.keys[n])) << "query " << i << ", answer " << n;
                if (n == 0) continue;
                ASSERT_LE(found.distances[n - 1], found.distances[n]);
            }
        }
    }
    void expect_good(const Index &index, double floor = 0.99) const {
        expect_sound(index);
        expect_exact_distances(index, 10, 64);
        EXPECT_GE(recall(index, queries_, 10, 100), floor);
    }
    // An index whose vectors all have rows.
    Index woven(const std::string &path, const rhumb_index_options &options) const {
        Index index = create(path, options);
        insert_all(index, vectors_);
        EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        EXPECT_EQ(fused_rows_of(path), kCount);
        return index;
    }

    const Vectors vectors_ = clustered_vectors(kCount, kDim, 40, 7, 8);
    const Vectors queries_ = clustered_vectors(kQueryCount, kDim, 40, 7, 9);
    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index");
};

TEST_F(Fused, LeaveDistancesExactAndRecallAsItIsUnderEveryMetric) {
    for (rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}) {
        std::map<rhumb_fused, double> recalls;
        for (rhumb_fused fused : {RHUMB_FUSED_NONE, RHUMB_FUSED_1BIT, RHUMB_FUSED_2BIT}) {
            SCOPED_TRACE(std::string(rhumb_metric_name(metric)) + " " + std::to_string(fused));
            const std::string path = directory_.file(std::string(rhumb_metric_name(metric)) + std::to_string(fused));
            const Index index = create(path, options_with(fused, metric));
            insert_all(index, vectors_);
            ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
            EXPECT_EQ(fused_rows_of(path), fused == RHUMB_FUSED_NONE ? 0 : kCount);
            expect_exact_distances(index, 10, 64);
            recalls[fused] = recall(index, queries_, 10, 64);
        }
        EXPECT_GE(recalls[RHUMB_FUSED_1BIT], recalls[RHUMB_FUSED_NONE] - 0.02) << rhumb_metric_name(metric);
        EXPECT_GE(recalls[RHUMB_FUSED_2BIT], recalls[RHUMB_FUSED_NONE] - 0.01) << rhumb_metric_name(metric);
    }
}

TEST_F(Fused, ReachTheRecallOfTheWholeIndex) {
    for (rhumb_fused fused : {RHUMB_FUSED_1BIT, RHUMB_FUSED_2BIT}) {
        const Index index = woven(directory_.file(std::to_string(fused)), options_with(fused));
        EXPECT_GE(recall(index, queries_, 10, 500), 0.999);
    }
}

TEST_F(Fused, AreReadByAnotherHandle) {
    woven(path_, options_with(RHUMB_FUSED_2BIT)).reset();
    rhumb_index_info info;
    ASSERT_OK(rhumb_index_info_get(path_.c_str(), &info, sizeof info));
    EXPECT_EQ(info.fused, RHUMB_FUSED_2BIT);
    for (bool read_only : {true, false}) {
        const Index index = open(path_, read_only);
        EXPECT_EQ(created_with(index).fused, RHUMB_FUSED_2BIT);
        expect_good(index);
    }
}

// Rows do not know what came after them: new nodes, new links of old ones, and what was deleted.
TEST_F(Fused, FindWhatWasInsertedReplacedAndDeletedSince) {
    for (rhumb_fused fused : {RHUMB_FUSED_1BIT, RHUMB_FUSED_2BIT}) {
        SCOPED_TRACE(fused);
        const std::string path = directory_.file(std::to_string(fused));
        Index index = woven(path, options_with(fused));
        insert_all(index, clustered_vectors(kCount / 2, kDim, 40, 7, 10), kCount);
        expect_good(index);
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        EXPECT_GE(fused_rows_of(path), kCount);
        expect_good(open(path, true));
        const Vectors others = clustered_vectors(kCount / 10, kDim, 40, 7, 11);
        for (size_t i = 0; i < others.count(); i++) ASSERT_OK(rhumb_index_upsert(index.get(), i * 9, others.row(i)));
        for (uint64_t key = 1; key < kCount; key += 9) ASSERT_OK(rhumb_index_delete(index.get(), key));
        ASSERT_OK(rhumb_index_wait_idle(index.get())); // these may have begun a compaction
        expect_good(index);
        index.reset();
        index = open(path, false);
        expect_good(index);
        ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        EXPECT_EQ(fused_rows_of(path), rhumb_index_count(index.get()));
        expect_good(index);
    }
}

TEST_F(Fused, AreMadeByABatchThatFillsTheIndex) {
    const Index index = create(path_, options_with(RHUMB_FUSED_2BIT));
    insert_all(index, vectors_, 0, 2);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(fused_rows_of(path_), kCount);
    expect_good(index);
}

TEST_F(Fused, AreMadeInTheBackgroundForNodesThatHaveComeSince) {
    constexpr size_t kNewCount = 1500; // enough for it to pay
    const Index index = woven(path_, options_with(RHUMB_FUSED_2BIT));
    const Vectors more = clustered_vectors(kNewCount, kDim, 40, 7, 13);
    for (size_t i = 0; i < kNewCount; i++) {
        ASSERT_OK(rhumb_index_insert(index.get(), kCount + i, more.row(i)));
    }
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_GE(fused_rows_of(path_), kCount + kNewCount / 2);
    expect_good(index);
    expect_good(open(path_, true));
}

// Deleted nodes, and those that a filter excludes, are walked over.
TEST_F(Fused, FindWhatAFilterAdmits) {
    for (rhumb_fused fused : {RHUMB_FUSED_1BIT, RHUMB_FUSED_2BIT}) {
        const Index index = woven(directory_.file(std::to_string(fused)), options_with(fused));
        for (uint64_t share : {2, 5, 20}) {
            for (uint64_t key = share; key < kCount; key += 40) {
                rhumb_status status = rhumb_index_delete(index.get(), key);
                ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOTFOUND);
            }
            rhumb_filter filter;
            rhumb_filter_init(&filter, sizeof filter);
            filter.kind = RHUMB_FILTER_CALLBACK;
            filter.matches = [](void *context, uint64_t key) { return key % *static_cast<uint64_t *>(context) == 0; };
            filter.context = &share;
            rhumb_search_options options = search_options(100);
            options.filter = &filter;
            size_t found = 0, wanted = 0;
            for (size_t i = 0; i < queries_.count(); i++) {
                Answer truth = {std::vector<uint64_t>(10), std::vector<float>(10)}, answer = truth;
                ASSERT_OK(rhumb_index_search_exact(index.get(), queries_.row(i), 1, 10, &options, truth.keys.data(),
                                                   truth.distances.data(), &truth.found_count));
                ASSERT_OK(rhumb_index_search(index.get(), queries_.row(i), 10, &options, answer.keys.data(),
                                             answer.distances.data(), &answer.found_count));
                ASSERT_EQ(answer.found_count, truth.found_count);
                for (size_t n = 0; n < answer.found_count; n++) {
                    ASSERT_EQ(answer.keys[n] % share, 0u);
                    found += answer.distances[n] <= truth.distances[truth.found_count - 1];
                }
                wanted += truth.found_count;
            }
            EXPECT_GE(found, wanted * 0.98) << fused << " bits, one of " << share;
        }
    }
}

TEST_F(Fused, AreAddedAndDroppedByCompaction) {
    Index index = create(path_, options_with(RHUMB_FUSED_NONE));
    insert_all(index, vectors_);
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    for (rhumb_fused fused : {RHUMB_FUSED_1BIT, RHUMB_FUSED_2BIT, RHUMB_FUSED_NONE, RHUMB_FUSED_2BIT}) {
        options.fused = fused;
        ASSERT_OK(rhumb_index_compact(index.get(), &options, nullptr, 0));
        EXPECT_EQ(created_with(index).fused, fused);
        EXPECT_EQ(fused_rows_of(path_), fused == RHUMB_FUSED_NONE ? 0 : kCount);
        expect_good(index);
    }
    options.fused = RHUMB_FUSED_DEFAULT;
    options.codes = RHUMB_CODES_NONE;
    ASSERT_OK(rhumb_index_compact(index.get(), &options, nullptr, 0));
    EXPECT_EQ(created_with(index).fused, RHUMB_FUSED_NONE) << "rows need codes";
    options.fused = RHUMB_FUSED_1BIT;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_compact(index.get(), &options, nullptr, 0));
    expect_good(index);
}

TEST_F(Fused, ThatCannotBeAreRefused) {
    rhumb_index *index = nullptr;
    rhumb_index_options options = options_with(RHUMB_FUSED_1BIT);
    options.codes = RHUMB_CODES_NONE;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_create(path_.c_str(), &options, &index));
    options = options_with(static_cast<rhumb_fused>(9));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_create(path_.c_str(), &options, &index));
    options = options_with(RHUMB_FUSED_1BIT, RHUMB_METRIC_L1);
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_create(path_.c_str(), &options, &index));
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Fused, ThatAreDamagedLeaveDistancesExact) {
    woven(path_, options_with(RHUMB_FUSED_1BIT)).reset();
    rhumb_test::FileImage image = rhumb_test::FileImage::load(path_);
    std::mt19937_64 random(choose_seed());
    const uint64_t stride = image.row_stride(RHUMB__SECTION_FUSED);
    for (uint64_t slot = 0; slot < kCount; slot += 4) {
        const uint64_t place = image.locate_row(RHUMB__SECTION_FUSED, slot);
        const uint64_t kind = slot / 4 % 3;
        for (uint64_t i = 0; i < stride; i++) {
            const uint8_t wrong[] = {0xFF, 0, static_cast<uint8_t>(random())};
            image.bytes()[place + i] = wrong[kind];
        }
    }
    ASSERT_TRUE(image.save(path_));
    const Index index = open(path_, true);
    expect_exact_distances(index, 10, 64);
    EXPECT_GE(recall(index, queries_, 10, 200), 0.5);
    rhumb_verify_report report;
    EXPECT_STATUS(RHUMB_E_CORRUPT, rhumb_index_verify(index.get(), &report, sizeof report));
    EXPECT_GE(report.structure_error_count, kCount / 4);
}

// Rows of a codec that the library does not know are left alone, and codes walked over.
TEST_F(Fused, ThatAreLostAreMadeAgainByCompaction) {
    woven(path_, options_with(RHUMB_FUSED_1BIT)).reset();
    rhumb_test::FileImage image = rhumb_test::FileImage::load(path_);
    image.make_unknown(RHUMB__SECTION_FUSED);
    ASSERT_TRUE(image.save(path_));
    const Index index = open(path_, false);
    expect_good(index);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    EXPECT_EQ(fused_rows_of(path_), kCount);
    expect_good(index);
}

} // namespace
} // namespace index_test
